use super::super::engine::Engine;
use super::super::names::Place;
use super::super::server::Waited;
use super::{Barrier, Condvar, Event, Lock, RLock, Semaphore};
use crate::error::{Error, Kind, Result};
use crate::remote;

/// With the feature `redis`: what processes wait for at a server has names, too.
///
/// # Errors
///
/// On this machine [`Unsupported`](Error::Unsupported): there each of these has memory of its own, and is reached by its handles.
impl Place<'_> {
    /// The lock of this name, or a new one, free.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let manager = crossproc::Manager::connect("redis://localhost")?;
    /// let printer = manager.at("printer").lock()?;
    /// let _guard = printer.lock()?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock(self) -> Result<Lock> {
        self.waited(&[])
    }

    /// The lock that its owner may lock again of this name, or a new one, free.
    ///
    /// # Examples
    ///
    /// As of [`lock`](Self::lock).
    pub fn rlock(self) -> Result<RLock> {
        self.waited(&[])
    }

    /// The semaphore of this name, however many permits that has, or a new one with so many.
    ///
    /// # Examples
    ///
    /// As of [`lock`](Self::lock).
    pub fn semaphore(self, permits: usize) -> Result<Semaphore> {
        let most = remote::semaphore::MOST;
        self.waited(&remote::semaphore::Semaphore::fields(Kind::Semaphore, permits, most)?)
    }

    /// The condition variable of this name, or a new one.
    ///
    /// # Examples
    ///
    /// As of [`lock`](Self::lock).
    pub fn condvar(self) -> Result<Condvar> {
        self.waited(&[])
    }

    /// The event of this name, or a new one, not set.
    ///
    /// # Examples
    ///
    /// As of [`lock`](Self::lock).
    pub fn event(self) -> Result<Event> {
        self.waited(&[])
    }

    /// The barrier of this name, for however many parties that is, or a new one for so many.
    ///
    /// # Examples
    ///
    /// As of [`lock`](Self::lock).
    pub fn barrier(self, parties: usize) -> Result<Barrier> {
        self.waited(&remote::barrier::Barrier::fields(parties)?)
    }

    fn waited<W: Waited>(self, fields: &[(&str, String)]) -> Result<W> {
        match &self.manager.engine {
            Engine::Local(_) => Err(Error::Unsupported {
                what: format!(
                    "{} inside a manager of this machine, where it has a name of its own (`create`, `open`),",
                    W::KIND
                )
                .into(),
            }),
            Engine::Server(server) => server.find_waited(self.name, fields).map_err(|error| error.at(self.name)),
        }
    }
}
