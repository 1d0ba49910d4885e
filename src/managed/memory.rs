//! A manager of this machine: its memory, by its name or its descriptor; and a manager's way to another process.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::engine::Engine;
use super::{Manager, local};
use crate::error::{Error, Kind, Result};
use crate::segment::{self, Name, Segment, handle, named, transfer};

impl Manager {
    /// As [`start`](Self::start), under a name, by which other processes of the same user can [open](Self::open) it.
    ///
    /// # Errors
    ///
    /// [`NameTaken`](crate::Error::NameTaken) if there is such an object already; [`InvalidName`](crate::Error::InvalidName); and those of
    /// [`start`](Self::start).
    ///
    /// # Examples
    ///
    /// See [`Place`](super::Place).
    pub fn create(name: impl Into<Name>) -> Result<Self> {
        named::create(name.into(), local::Engine::start).map(Self::of)
    }

    /// The manager of this name, or a new one if there is none.
    ///
    /// Of any number of processes that call it at once, one makes it and the others find it. Whichever makes it, the name goes with that
    /// one's last handle, unless it is to [persist](Name::persist).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and [`create`](Self::create), but that there is none, or one already.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Manager;
    ///
    /// # let unique = format!("example/manager-either-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let manager = Manager::open_or_create(name)?; // or "app/state"
    /// assert_eq!(manager.at("runs").value(0)?.fetch_add(1)?, 0);
    /// assert_eq!(Manager::open_or_create(name)?.at("runs").value(0)?.get()?, 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn open_or_create(name: impl Into<Name>) -> Result<Self> {
        named::open_or_create(name.into(), local::Engine::start, |_| Ok(())).map(Self::of)
    }

    /// The manager of this name.
    ///
    /// # Errors
    ///
    /// [`NoSuchName`](crate::Error::NoSuchName) if there is none; [`PermissionDenied`](crate::Error::PermissionDenied)
    /// if it is another user's, or others can get at it; [`InvalidName`](crate::Error::InvalidName); and those of
    /// [`from_fd`](Self::from_fd), as for an object of another kind.
    ///
    /// # Examples
    ///
    /// See [`Place`](super::Place).
    pub fn open(name: impl Into<Name>) -> Result<Self> {
        named::open(&name.into()).map(Self::of)
    }

    /// The manager whose memory's descriptor this is: one that [`fd`](Self::fd) gave, in this process or in one that sent it over a
    /// socket. What it refers to is checked, not trusted.
    ///
    /// # Errors
    ///
    /// [`Attach`](crate::Error::Attach) if it is something else, with both sides of the mismatch;
    /// [`TooManyPeers`](crate::Error::TooManyPeers) if too many processes are attached already;
    /// [`NoSpace`](crate::Error::NoSpace) if it has holes and there is no memory to fill them;
    /// [`Unsupported`](crate::Error::Unsupported) without `/proc`; [`Os`](crate::Error::Os) with `EBUSY` if somebody who is
    /// removing its name has been stopped at it, and does not go on for half a second.
    ///
    /// # Examples
    ///
    /// See [`fd`](Self::fd).
    pub fn from_fd(descriptor: OwnedFd) -> Result<Self> {
        let segment = Segment::attach(descriptor)?;
        let offset = segment.first_object();
        local::Engine::attach(segment, offset).map(Self::of)
    }

    /// The descriptor of a manager's memory; `None` for one at a server.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Manager;
    ///
    /// let manager = Manager::start()?;
    /// manager.at("log").list()?.push(1)?;
    /// let descriptor = manager.fd().unwrap().try_clone_to_owned().unwrap(); // from here it could go over a socket
    /// assert_eq!(Manager::from_fd(descriptor)?.at("log").list::<i32>()?.to_vec()?, [1]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.memory().map(|(segment, _)| segment.as_fd())
    }

    /// The name under which this process has made the manager, or by which it has opened it. It says nothing of whether that
    /// has been removed since.
    ///
    /// # Examples
    ///
    /// See [`Name`](crate::Name).
    pub fn name(&self) -> Option<&str> {
        let (segment, offset) = self.memory()?;
        segment.name_of(offset).map(Name::as_str)
    }

    /// Removes the [name](Self::name). Those who have the manager open keep it; the kernel frees it with the last of them.
    ///
    /// As the function [`unlink`](crate::unlink()), but never another object that has got the name since.
    ///
    /// # Errors
    ///
    /// [`NoSuchName`](crate::Error::NoSuchName) if it has been removed already; [`Nameless`](crate::Error::Nameless) if
    /// this process has neither made it under a name nor opened it by one, as one at a server;
    /// [`PermissionDenied`](crate::Error::PermissionDenied) if it is another user's.
    ///
    /// # Examples
    ///
    /// See [`Name`](crate::Name).
    pub fn unlink(&self) -> Result<()> {
        match self.memory() {
            Some((segment, offset)) => segment::unlink_object(segment, offset, Kind::Manager),
            None => Err(Error::Nameless { object: Kind::Manager }),
        }
    }

    fn memory(&self) -> Option<(&Arc<Segment>, u64)> {
        match &self.engine {
            Engine::Local(local) => Some((local.segment(), local.offset())),
            #[cfg(feature = "redis")]
            Engine::Server(_) => None,
        }
    }

    pub(super) fn of(engine: local::Engine) -> Self {
        Manager { engine: Engine::Local(engine) }
    }
}

/// A manager on its way to another process.
#[derive(Serialize, Deserialize)]
enum Wire {
    Local(handle::Wire),
    /// Its URL. The password in it goes where the handle goes.
    #[cfg(feature = "redis")]
    Server(String),
}

/// Only within a transfer to another process.
impl Serialize for Manager {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = transfer::stow(|outgoing| match &self.engine {
            Engine::Local(local) => outgoing.handle(local.segment(), local.offset()).map(Wire::Local),
            #[cfg(feature = "redis")]
            Engine::Server(server) => Ok(Wire::Server(server.url())),
        })?;
        wire.serialize(serializer)
    }
}

/// Only within a transfer from another process.
impl<'de> Deserialize<'de> for Manager {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Wire::deserialize(deserializer)? {
            Wire::Local(wire) => transfer::take_out(|incoming| {
                local::Engine::attach(incoming.segment(&wire)?, wire.offset).map(Self::of)
            }),
            #[cfg(feature = "redis")]
            Wire::Server(url) => super::server::take_out(|| Self::connect(&url)),
        }
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Manager");
        #[cfg(feature = "redis")]
        if let Engine::Server(server) = &self.engine {
            text.field("address", &server.address());
        }
        text.finish_non_exhaustive()
    }
}
