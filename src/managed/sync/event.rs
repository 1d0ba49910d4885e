use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
use crate::error::Result;

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
/// Of all methods: none on this machine.
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
    event: crate::Event,
}

impl Manager {
    /// A new event, not set.
    ///
    /// # Errors
    ///
    /// Those of [`Event::new`](crate::Event::new).
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn event(&self) -> Result<Event> {
        match &self.engine {
            Engine::Local(_) => Ok(Event { event: crate::Event::new()? }),
            #[cfg(feature = "redis")]
            Engine::Server(_) => Err(crate::managed::server::lacks("an Event")),
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
        self.event.set();
        Ok(())
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
        self.event.clear();
        Ok(())
    }

    /// Whether it is set. The answer may be stale when you read it.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn is_set(&self) -> Result<bool> {
        Ok(self.event.is_set())
    }

    /// Waits until it is set.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn wait(&self) -> Result<()> {
        self.event.wait();
        Ok(())
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
        Ok(self.event.wait_timeout(timeout))
    }
}
