//! Where a queue is, and what is done there.

#[cfg(feature = "redis")]
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::engine::Engine;
#[cfg(feature = "redis")]
use super::super::server;
#[cfg(feature = "redis")]
use super::Queue;
use super::task::Task;
#[cfg(feature = "redis")]
use crate::error::Kind;
use crate::error::{Error, GetError, PutError, Result, TryGetError, TryPutError};
use crate::message::Sends;
#[cfg(feature = "redis")]
use crate::segment::type_stamp;
#[cfg(feature = "redis")]
use crate::sys::clock::Deadline;

pub(super) enum Kept<T> {
    Local(crate::Queue<T>),
    #[cfg(feature = "redis")]
    Server(Arc<server::Queue>),
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        match self {
            Kept::Local(queue) => Kept::Local(queue.clone()),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => Kept::Server(Arc::clone(queue)),
        }
    }
}

/// A capacity that a queue on this machine can have, too.
#[cfg(feature = "redis")]
fn check_capacity(capacity: usize) -> Result<()> {
    const MOST: usize = 1 << 30;
    match capacity {
        1..=MOST => Ok(()),
        _ => Err(Error::Capacity { object: Kind::Queue, capacity, most: MOST }),
    }
}

#[cfg(feature = "redis")]
impl<T> Kept<T> {
    /// A queue at a server.
    pub(super) fn at_server(queue: server::Queue) -> Self {
        Kept::Server(Arc::new(queue))
    }
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    pub(super) fn make(engine: &Engine, capacity: usize) -> Result<Self> {
        match engine {
            Engine::Local(_) => crate::Queue::new(capacity).map(Kept::Local),
            #[cfg(feature = "redis")]
            Engine::Server(server) => {
                check_capacity(capacity)?;
                server.make_queue(&type_stamp::<Queue<T>>(), capacity).map(Self::at_server)
            }
        }
    }

    /// The queue of a name, or a new one.
    #[cfg_attr(not(feature = "redis"), allow(unused_variables))]
    pub(super) fn find(engine: &Engine, name: &str, capacity: usize) -> Result<Self> {
        match engine {
            Engine::Local(_) => {
                let what = "a queue in a manager of this machine, other than by Queue::open_or_create,";
                Err(Error::Unsupported { what: what.into() })
            }
            #[cfg(feature = "redis")]
            Engine::Server(server) => {
                check_capacity(capacity)?;
                server.find_queue(name, &type_stamp::<Queue<T>>(), capacity).map(Self::at_server)
            }
        }
    }

    pub(super) fn put<M: Sends<T>>(&self, message: M) -> Result<(), PutError<M>> {
        match self {
            Kept::Local(queue) => queue.put(message),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => loop {
                return match queue.put::<T>(&message, Deadline::NEVER) {
                    Ok(server::Put::Done) => Ok(()),
                    Ok(server::Put::Full) => continue,
                    Ok(server::Put::Closed) => Err(PutError::Closed(message)),
                    Err(error) => Err(PutError::Failed { message, error }),
                };
            },
        }
    }

    pub(super) fn try_put<M: Sends<T>>(&self, message: M) -> Result<(), TryPutError<M>> {
        match self {
            Kept::Local(queue) => queue.try_put(message),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => put_until(queue, message, Deadline::after(Duration::ZERO)),
        }
    }

    pub(super) fn put_timeout<M: Sends<T>>(&self, message: M, timeout: Duration) -> Result<(), TryPutError<M>> {
        match self {
            Kept::Local(queue) => queue.put_timeout(message, timeout),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => put_until(queue, message, Deadline::after(timeout)),
        }
    }

    pub(super) fn get(&self) -> Result<T, GetError> {
        match self {
            Kept::Local(queue) => queue.get(),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => loop {
                return match get_until(queue, Deadline::NEVER) {
                    Ok(message) => Ok(message),
                    Err(TryGetError::Empty) => continue,
                    Err(TryGetError::Closed) => Err(GetError::Closed),
                    Err(TryGetError::Disconnected) => Err(GetError::Disconnected),
                    Err(TryGetError::Failed(error)) => Err(GetError::Failed(error)),
                };
            },
        }
    }

    pub(super) fn try_get(&self) -> Result<T, TryGetError> {
        match self {
            Kept::Local(queue) => queue.try_get(),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => get_until(queue, Deadline::after(Duration::ZERO)),
        }
    }

    pub(super) fn get_timeout(&self, timeout: Duration) -> Result<T, TryGetError> {
        match self {
            Kept::Local(queue) => queue.get_timeout(timeout),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => get_until(queue, Deadline::after(timeout)),
        }
    }

    pub(super) fn task(&self) -> Result<Task<'_, T>, GetError> {
        match self {
            Kept::Local(queue) => queue.get_task().map(Task::Local),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => loop {
                return match task_until(queue, Deadline::NEVER) {
                    Ok(task) => Ok(task),
                    Err(TryGetError::Empty) => continue,
                    Err(TryGetError::Closed) => Err(GetError::Closed),
                    Err(TryGetError::Disconnected) => Err(GetError::Disconnected),
                    Err(TryGetError::Failed(error)) => Err(GetError::Failed(error)),
                };
            },
        }
    }

    pub(super) fn try_task(&self) -> Result<Task<'_, T>, TryGetError> {
        match self {
            Kept::Local(queue) => queue.try_get_task().map(Task::Local),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => task_until(queue, Deadline::after(Duration::ZERO)),
        }
    }

    pub(super) fn task_timeout(&self, timeout: Duration) -> Result<Task<'_, T>, TryGetError> {
        match self {
            Kept::Local(queue) => queue.get_task_timeout(timeout).map(Task::Local),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => task_until(queue, Deadline::after(timeout)),
        }
    }
}

#[cfg(feature = "redis")]
fn put_until<T: DeserializeOwned, M: Sends<T>>(
    queue: &server::Queue,
    message: M,
    deadline: Deadline,
) -> Result<(), TryPutError<M>> {
    match queue.put::<T>(&message, deadline) {
        Ok(server::Put::Done) => Ok(()),
        Ok(server::Put::Full) => Err(TryPutError::Full(message)),
        Ok(server::Put::Closed) => Err(TryPutError::Closed(message)),
        Err(error) => Err(TryPutError::Failed { message, error }),
    }
}

#[cfg(feature = "redis")]
fn get_until<T: DeserializeOwned>(queue: &server::Queue, deadline: Deadline) -> Result<T, TryGetError> {
    match queue.get(deadline)? {
        server::Get::Message(message) => Ok(message),
        server::Get::Empty => Err(TryGetError::Empty),
        server::Get::Closed => Err(TryGetError::Closed),
        // If it is in the queue again, to have it as well would be to get it twice.
        server::Get::Unsure(_, error) => Err(TryGetError::Failed(error)),
    }
}

#[cfg(feature = "redis")]
fn task_until<T: DeserializeOwned>(queue: &server::Queue, deadline: Deadline) -> Result<Task<'_, T>, TryGetError> {
    match queue.get_task(deadline)? {
        server::GetTask::Task(task, message) => Ok(Task::Server(task, message)),
        server::GetTask::Empty => Err(TryGetError::Empty),
        server::GetTask::Closed => Err(TryGetError::Closed),
    }
}

impl<T> Kept<T> {
    pub(super) fn task_done(&self) -> Result<()> {
        match self {
            Kept::Local(queue) => queue.task_done(),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => queue.task_done(),
        }
    }

    pub(super) fn join(&self) -> Result<()> {
        match self {
            Kept::Local(queue) => queue.join(),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => while !queue.join(Deadline::NEVER)? {},
        }
        Ok(())
    }

    pub(super) fn join_timeout(&self, timeout: Duration) -> Result<bool> {
        match self {
            Kept::Local(queue) => Ok(queue.join_timeout(timeout)),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => queue.join(Deadline::after(timeout)),
        }
    }

    pub(super) fn len(&self) -> Result<usize> {
        match self {
            Kept::Local(queue) => Ok(queue.len()),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => queue.len(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        match self {
            Kept::Local(queue) => queue.capacity(),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => queue.capacity(),
        }
    }

    pub(super) fn close(&self) -> Result<()> {
        match self {
            Kept::Local(queue) => {
                queue.close();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Kept::Server(queue) => queue.close(),
        }
    }

    pub(super) fn is_closed(&self) -> Result<bool> {
        match self {
            Kept::Local(queue) => Ok(queue.is_closed()),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => queue.is_closed(),
        }
    }

    pub(super) fn redelivered(&self) -> Result<u64> {
        match self {
            Kept::Local(queue) => Ok(queue.redelivered()),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => queue.redelivered(),
        }
    }
}
