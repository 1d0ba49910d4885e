//! Where a manager is: the name of one on this machine, or a URL.

use super::Manager;
use crate::error::{Error, Result};

/// What tells a URL from a name.
const SCHEME: &str = "://";

impl Manager {
    /// The manager of an address: what is not a URL is the name of one on this machine, as for [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`](Error::InvalidAddress) for a URL, as this build speaks to no server; without the user and the password in it. Those of
    /// [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Manager};
    ///
    /// # let unique = format!("example/manager-connect-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let here = Manager::create(name)?; // or "app/state"
    /// here.at("runs").value(1)?;
    /// assert_eq!(Manager::connect(name)?.at("runs").value(0)?.get()?, 1);
    ///
    /// let refused = Manager::connect("redis://ada:secret@example.org/0").unwrap_err();
    /// assert!(matches!(&refused, Error::InvalidAddress { address, .. } if address == "redis://***@example.org/0"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn connect(address: &str) -> Result<Self> {
        if address.contains(SCHEME) {
            let reason = "this build speaks to no server: it lacks the feature for one".into();
            return Err(Error::InvalidAddress { address: without_secrets(address), reason });
        }
        Self::open(address)
    }
}

/// An address as it may be printed: what stands before the host may be a password, which may have any character in it.
fn without_secrets(address: &str) -> String {
    match (address.split_once(SCHEME), address.rfind('@')) {
        (Some((scheme, rest)), Some(at)) if at >= address.len() - rest.len() => {
            format!("{scheme}{SCHEME}***{}", &address[at..])
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn no_password_is_left() {
        for (address, shown) in [
            ("redis://example.org:6379/0", "redis://example.org:6379/0"),
            ("redis://:secret@example.org", "redis://***@example.org"),
            ("rediss://ada:se@c/r?e#t@example.org/1", "rediss://***@example.org/1"),
            ("redis://@", "redis://***@"),
            ("a@b://c", "a@b://c"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(without_secrets(address), shown);
        }
    }
}
