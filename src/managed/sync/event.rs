use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
#[cfg(feature = "redis")]
use super::super::server::{Remote, Waited};
#[cfg(feature = "redis")]
use crate::error::Kind;
use crate::error::Result;
#[cfg(feature = "redis")]
use crate::remote::{self, session::Hold};
#[cfg(feature = "redis")]
use crate::sys::clock::Deadline;

/// A flag to set, clear and wait for, as a [`crate::Event`].
///
/// [`Manager::event`] makes one. It travels as a [`Lock`](super::Lock) does.
///
/// # Death
///
/// Nobody's death changes it, or holds up those who wait.
///
/// # Errors
///
/// Of all methods: none on this machine; at a server those of a [`Dict`](crate::managed::Dict).
///
/// # At a server
///
/// Who waits sees that it was set also if it is cleared at once. Whoever is not woken, as the one that has set it was killed just then,
/// finds out within a second.
///
/// # Examples
///
/// ```
/// use crossproc::managed::Event;
/// use crossproc::{Manager, Process};
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let go = Manager::start()?.event()?;
/// let runner = Process::spawn(|go: Event| go.wait(), (&go,))?;
/// go.set()?;
/// runner.join()??;
/// assert!(go.is_set()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    side: Side,
}

/// Where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Side {
    Local(crate::Event),
    #[cfg(feature = "redis")]
    Server(Remote<Event>),
}

#[cfg(feature = "redis")]
impl Waited for Event {
    type There = remote::event::Event;

    const KIND: Kind = Kind::Event;

    fn attach(hold: Hold) -> Result<Self::There> {
        Ok(remote::event::Event::of(hold))
    }

    fn hold(there: &Self::There) -> &Hold {
        there.hold()
    }

    fn of(remote: Remote<Self>) -> Self {
        Event { side: Side::Server(remote) }
    }
}

impl Manager {
    /// A new event, not set.
    ///
    /// # Errors
    ///
    /// Those of [`Event::new`](crate::Event::new); at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn event(&self) -> Result<Event> {
        match &self.engine {
            Engine::Local(_) => Ok(Event { side: Side::Local(crate::Event::new()?) }),
            #[cfg(feature = "redis")]
            Engine::Server(server) => Ok(Event::of(Remote::new(remote::event::Event::make(server.session())?))),
        }
    }
}

impl Event {
    /// Sets it, and wakes all who wait for it.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn set(&self) -> Result<()> {
        match &self.side {
            Side::Local(event) => {
                event.set();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().set(),
        }
    }

    /// Clears it.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = crossproc::Manager::start()?.event()?;
    /// event.set()?;
    /// event.clear()?;
    /// assert!(!event.is_set()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn clear(&self) -> Result<()> {
        match &self.side {
            Side::Local(event) => {
                event.clear();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().clear(),
        }
    }

    /// Whether it is set. The answer may be stale when you read it.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn is_set(&self) -> Result<bool> {
        match &self.side {
            Side::Local(event) => Ok(event.is_set()),
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().is_set(),
        }
    }

    /// Waits until it is set.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn wait(&self) -> Result<()> {
        match &self.side {
            Side::Local(event) => {
                event.wait();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().wait(Deadline::NEVER).map(drop),
        }
    }

    /// Waits until it is set, `timeout` at most (monotonic; never shorter); whether it is.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = crossproc::Manager::start()?.event()?;
    /// assert!(!event.wait_timeout(std::time::Duration::from_millis(1))?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        match &self.side {
            Side::Local(event) => Ok(event.wait_timeout(timeout)),
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().wait(Deadline::after(timeout)),
        }
    }
}
