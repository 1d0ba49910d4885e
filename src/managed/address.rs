//! Where a manager is: the name of one on this machine, or a server's URL.

use super::Manager;
use crate::error::Result;

impl Manager {
    /// The manager at an address: one of this machine by its name, or one at a Redis or Valkey server (7.0 or later) by its URL.
    ///
    /// With the feature `redis`: `redis://user:password@host:port/database`, `rediss://` for the same over TLS, or
    /// `unix:///path/of/socket?db=0&user=..&pass=..`. What follows a question mark may be: `prefix`, under which the keys are there
    /// (default: `crossproc`); `lease_ms`, for how many milliseconds a process that is not heard counts as alive (default: 10,000; the same
    /// for all processes of a prefix); `timeout_ms`, for how long the server is tried and waited for (default: 5,000). A password is
    /// never printed.
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
