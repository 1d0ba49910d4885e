//! Where a manager is: the name of one on this machine, or a server's URL.

use super::Manager;
use crate::error::Result;

impl Manager {
    /// The manager at an address: one of this machine by its name, or one at a Redis or Valkey server (7.0 or later) by its URL.
    ///
    /// With the feature `redis`: `redis://user:password@host:port/database`, `rediss://` for the same over TLS, or
    /// `unix:///path/of/socket?db=0&user=..&pass=..`. What follows a question mark may be:
    ///
    /// | option | default | what it says |
    /// |---|---|---|
    /// | `prefix` | `crossproc` | under which the keys are there: processes meet that have the same one, in the same database |
    /// | `lease_ms` | 10,000 | for how many milliseconds this process counts as alive when it is not heard |
    /// | `timeout_ms` | 5,000 | for how many milliseconds a request is tried, and its answer waited for |
    ///
    /// `timeout_ms` is for one request, with as many connections as it takes. Who waits for something, a lock, a permit, a message, makes one
    /// request after the other, and waits as long as it takes: the `_timeout` forms bound that. They may take longer than they are told by
    /// `timeout_ms`, if the server does not answer.
    ///
    /// Each process has its own lease, and what it held when it died comes back after that one. The leases of a prefix should be the same
    /// even so: as long as a process with a short one is dying, time passes more slowly for those with longer ones, so that a server's pause
    /// is nobody's death. A lease should be longer than `timeout_ms`: else who finds the server again may have lost what it held.
    ///
    /// A password is never printed.
    ///
    /// After a restart of the server whatever was locked or acquired before counts as lost. Only a user who may ask `INFO`, `CLIENT ID` and
    /// `CLIENT KILL` notices one: others may keep, by an older snapshot, locks that they have released, and are not told of those that
    /// it has forgotten.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open); [`InvalidAddress`](crate::Error::InvalidAddress); [`Unreachable`](crate::Error::Unreachable) if no
    /// server answers there; [`Refused`](crate::Error::Refused) if it does not let this user in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Manager};
    ///
    /// # let unique = format!("example/connect-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let here = Manager::create(name)?; // or "app/state"
    /// here.at("jobs").list()?.push(1)?;
    /// let address = name; // from the command line, say; or "redis://localhost"
    /// assert_eq!(Manager::connect(address)?.at("jobs").list::<i32>()?.to_vec()?, [1]);
    ///
    /// let refused = Manager::connect("gopher://ada:secret@example.org/0").unwrap_err();
    /// assert!(matches!(&refused, Error::InvalidAddress { address, .. } if address == "gopher://***@example.org/0"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn connect(address: &str) -> Result<Self> {
        if !address.contains("://") {
            return Self::open(address);
        }
        #[cfg(feature = "redis")]
        return super::server::Engine::connect(address)
            .map(|server| Manager { engine: super::engine::Engine::Server(server) });
        #[cfg(not(feature = "redis"))]
        Err(crate::Error::InvalidAddress {
            address: crate::error::without_password(address),
            reason: "servers are the feature `redis` of crossproc, which this program is built without".into(),
        })
    }
}
