//! Queues at a server (`crate::remote::queue`): messages are values, so that handles of the same server's objects are kept in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::kept::Kept;
use super::super::{codec, engine};
use super::engine::type_of;
use super::{Engine, Expected, Holds, Wire, pack, payload, unpack};
use crate::error::{Kind, Result, TypeStamp};
use crate::remote;
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::queue::Message;
pub(crate) use crate::remote::queue::{Get, Put, Task};
use crate::remote::session::{Hold, Session};
use crate::segment::handle::Outgoing;
use crate::sys::clock::Deadline;

/// A queue, which all handles of a process share.
pub(crate) struct Queue {
    queue: remote::queue::Queue,
    capacity: usize,
    /// Whether a message that was put has been decoded once, to see whether its type can be.
    is_checked: AtomicBool,
}

/// A queue on its way to another process.
#[derive(Serialize, Deserialize)]
pub(crate) struct QueueWire {
    wire: Wire,
    capacity: usize,
}

/// What was got as a task, decoded.
pub(crate) enum GetTask<'a, T> {
    Task(Task<'a>, T),
    Empty,
    Closed,
}

impl Engine {
    pub(crate) fn make_queue(&self, expected: &TypeStamp, capacity: usize) -> Result<Queue> {
        let queue = remote::queue::Queue::make(&self.0, &type_of(expected), capacity)?;
        Ok(Queue { queue, capacity, is_checked: AtomicBool::new(false) })
    }

    /// The queue of a name, or a new one.
    pub(crate) fn find_queue(&self, name: &str, expected: &TypeStamp, capacity: usize) -> Result<Queue> {
        let (session, token, object) = (&self.0, self.0.token(), Session::new_object());
        let script = lua!("looking a name up", "line/line.lua", "queue/queue.lua", "queue/named.lua");
        let expected = Expected::queue(expected);
        let found = session.run_holding(Kind::Queue, script, Effect::Repeatable, &token, |request| {
            request.arg(name).arg(&object).arg(expected.kind).arg(&expected.of).arg(capacity);
        })?;
        let hold = self.found(script.name(), found, token, &expected)?;
        let mut queue = Queue::of(hold, capacity);
        queue.capacity = queue.queue.state()?.capacity;
        Ok(queue)
    }
}

impl Queue {
    fn of(hold: Hold, capacity: usize) -> Self {
        Queue { queue: remote::queue::Queue::of(hold), capacity, is_checked: AtomicBool::new(false) }
    }

    pub(crate) fn pack(self: &Arc<Self>, outgoing: &mut Outgoing) -> Result<QueueWire> {
        let wire = pack(self.queue.hold(), Arc::clone(self) as _, Kind::Queue, outgoing)?;
        Ok(QueueWire { wire, capacity: self.capacity })
    }

    pub(crate) fn unpack(wire: &QueueWire, expected: &TypeStamp) -> Result<Self> {
        Ok(Self::of(unpack(&wire.wire, &Expected::queue(expected))?, wire.capacity))
    }

    pub(crate) fn put<T: DeserializeOwned>(&self, message: &impl Serialize, deadline: Deadline) -> Result<Put> {
        let engine = engine::Engine::Server(Engine(Arc::clone(self.session())));
        let (message, _handles) = codec::value_with(&engine, message)?;
        // What refers to something would have to be held to be decoded. Relaxed: to check once more does no harm.
        if message.bytes.first() == Some(&0) && !self.is_checked.load(Ordering::Relaxed) {
            codec::check::<T>(payload(&message.bytes))?;
            self.is_checked.store(true, Ordering::Relaxed);
        }
        self.queue.put(&message.bytes, deadline)
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, deadline: Deadline) -> Result<Get<T>> {
        self.queue.get(deadline, |message| self.decode(message))
    }

    pub(crate) fn get_task<T: DeserializeOwned>(&self, deadline: Deadline) -> Result<GetTask<'_, T>> {
        match self.queue.get_task(deadline)? {
            remote::queue::GetTask::Empty => Ok(GetTask::Empty),
            remote::queue::GetTask::Closed => Ok(GetTask::Closed),
            // If it does not decode, the task is dropped, and so it is done; in a panic it is given back.
            remote::queue::GetTask::Task(task, message) => Ok(GetTask::Task(task, self.decode(message)?)),
        }
    }

    pub(crate) fn task_done(&self) -> Result<()> {
        self.queue.task_done()
    }

    pub(crate) fn join(&self, deadline: Deadline) -> Result<bool> {
        self.queue.join(deadline)
    }

    pub(crate) fn len(&self) -> Result<usize> {
        self.queue.state().map(|state| state.length)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.queue.close()
    }

    pub(crate) fn is_closed(&self) -> Result<bool> {
        self.queue.state().map(|state| state.is_closed)
    }

    pub(crate) fn redelivered(&self) -> Result<u64> {
        self.queue.state().map(|state| state.redelivered)
    }

    fn session(&self) -> &Arc<Session> {
        self.queue.hold().session()
    }

    fn decode<T: DeserializeOwned>(&self, message: Message) -> Result<T> {
        Kept::server(message.value, Holds::new(self.session(), message.holds)).decode()
    }
}
