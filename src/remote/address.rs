//! Where a server is, and under which prefix our keys are there.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::error::{Error, Result, without_password};

/// Where the keys of a program that does not say otherwise are.
const PREFIX: &str = "crossproc";

/// For how long a process that is not heard counts as alive, unless the address says otherwise. A guess: longer than a server's usual
/// pauses, short enough to wait for.
const LEASE: Duration = Duration::from_secs(10);

/// For how long a server is tried and waited for, unless the address says otherwise. Shorter than the lease, so that who reaches the server
/// again has not lost it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server's address: `redis://user:password@host:port/db?prefix=app&lease_ms=10000&timeout_ms=5000`, or with `rediss`, `unix`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// As it was given. It may contain a password.
    url: String,
    pub(crate) prefix: String,
    pub(crate) lease: Duration,
    pub(crate) patience: Duration,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let invalid = |reason: String| Error::InvalidAddress { address: without_password(url), reason: reason.into() };
        let parsed = redis::parse_redis_url(url)
            .ok_or_else(|| invalid("a server's address begins with redis://, rediss:// or unix://".to_owned()))?;
        if parsed.scheme().ends_with("unix") && parsed.path().len() < 2
            || parsed.scheme().ends_with("unix") && parsed.host().is_some()
        {
            return Err(invalid("of a Unix socket its path is absolute: unix:///folder/socket".to_owned()));
        }
        let mut address = Address { url: url.to_owned(), prefix: PREFIX.to_owned(), lease: LEASE, patience: PATIENCE };
        for (name, value) in parsed.query_pairs() {
            let milliseconds = || match value.parse::<u32>() {
                Ok(number) if number >= 100 => Ok(Duration::from_millis(number.into())),
                _ => Err(invalid(format!("{name} is a number of milliseconds, at least 100, not {value:?}"))),
            };
            match &*name {
                "prefix" => address.prefix = value.into_owned(),
                "lease_ms" => address.lease = milliseconds()?,
                "timeout_ms" => address.patience = milliseconds()?,
                "db" | "user" | "pass" => {} // of an address of a Unix socket
                // Its value may be part of a password.
                _ => {
                    let known = "prefix, lease_ms, timeout_ms, and of a Unix socket db, user, pass";
                    return Err(invalid(format!("there is no option {name:?}; there are {known}")));
                }
            }
        }
        let may_be = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if address.prefix.is_empty() || !address.prefix.chars().all(may_be) {
            return Err(invalid(format!("{:?} is no prefix: letters, digits and . _ - / are", address.prefix)));
        }
        address.connection()?;
        Ok(address)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What to connect to, and as whom.
    pub(crate) fn connection(&self) -> Result<ConnectionInfo> {
        let invalid =
            |reason: String| Error::InvalidAddress { address: without_password(&self.url), reason: reason.into() };
        let info = self.url.as_str().into_connection_info().map_err(|error| invalid(error.to_string()))?;
        match info.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                Err(invalid("who answers is always checked; #insecure is refused".to_owned()))
            }
            _ => Ok(info),
        }
    }
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.url))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_is_wrong_with_it() {
        for (url, reason) in [
            ("http://host", "begins with redis://"),
            ("redis://host?colour=red", "no option \"colour\""),
            ("unix://socket", "its path is absolute"),
            ("redis://host?lease_ms=1", "at least 100"),
            ("redis://host?prefix=a b", "no prefix"),
            ("redis://host/db", "Invalid database number"),
            ("rediss://host#insecure", "#insecure is refused"),
        ] {
            let refused = Address::parse(url).unwrap_err();
            assert!(refused.to_string().contains(reason), "{url}: {refused}");
        }
        let address = Address::parse("redis://u:p@host:7000/3?prefix=app&lease_ms=500&timeout_ms=300").unwrap();
        assert_eq!(
            (&*address.prefix, address.lease, address.patience),
            ("app", Duration::from_millis(500), Duration::from_millis(300))
        );
        assert_eq!(format!("{address:?}"), "Address(redis://***@host:7000/3)");
    }
}
