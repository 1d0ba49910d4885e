//! Getting messages: each is read under a token, and then it is done, or given back.
//!
//! A message that was read is never left in the hands of a process that lives and does not know of it: what became of a request that
//! was given up is settled by the session's thread.

use std::fmt;
use std::sync::Arc;
use std::thread;

use redis::Value;

use super::{Later, Queue};
use crate::error::{Error, Kind, Result};
use crate::remote::client::{Effect, Failed};
use crate::remote::lua::{Lua, lua};
use crate::remote::session::{Hold, Session};
use crate::remote::waiting::wait;
use crate::sys::clock::Deadline;
use crate::sys::fork;

/// A value that was put, with holds of what it refers to.
pub(crate) struct Message {
    pub(crate) value: Vec<u8>,
    pub(crate) holds: Vec<Hold>,
}

/// What a get has got, decoded.
pub(crate) enum Get<T> {
    Message(T),
    /// There was none until the deadline.
    Empty,
    /// There is none, and will be none.
    Closed,
    /// This one, or it has been given back: the server's answer has not come.
    Unsure(T, Error),
}

/// What was got as a task.
pub(crate) enum GetTask<'a> {
    Task(Task<'a>, Message),
    Empty,
    Closed,
}

/// A message that is being worked on. Its drop says that it is done, or, in a panic and if that is asked for, gives it back.
#[must_use = "dropping it says that the work is done"]
pub(crate) struct Task<'a> {
    queue: &'a Queue,
    read: Read,
    /// The fork generation that got it.
    generation: u32,
    was_panicking: bool,
    is_open: bool,
    /// What its drop does.
    ending: Ending,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    /// Done, and the message is the caller's; if that is not heard, it is given back, as the caller does not get it.
    TakenOut,
    GivenBack,
}

/// Under which name a message was read.
#[derive(Clone)]
pub(in crate::remote) struct Read {
    session: Arc<str>,
    token: String,
}

/// How an attempt to read has ended.
pub(in crate::remote) enum Taken {
    Message(Read, Message),
    Closed,
}

fn done() -> &'static Lua {
    lua!(frees "finishing a message", "line/line.lua", "queue/queue.lua", "queue/done.lua")
}

fn give_back() -> &'static Lua {
    lua!(frees "giving a message back", "line/line.lua", "queue/queue.lua", "queue/give_back.lua")
}

impl Queue {
    /// Gets the next message; waits while there is none. What `decode` refuses is not in the queue any more, and counts as done; in a panic
    /// it is given back.
    ///
    /// After any other error, a message that may have been read for it is in the queue again, as soon as the server is reached. A process
    /// that was not heard for as long as its lease before it could say that it has got a message gets another one: others have that.
    pub(crate) fn get<T>(&self, deadline: Deadline, mut decode: impl FnMut(Message) -> Result<T>) -> Result<Get<T>> {
        loop {
            let (mut task, message) = match self.get_task(deadline)? {
                GetTask::Task(task, message) => (task, message),
                GetTask::Closed => return Ok(Get::Closed),
                GetTask::Empty => return Ok(Get::Empty),
            };
            let message = match decode(message) {
                Ok(message) => message,
                Err(error) => {
                    // If that is not heard, it is told later.
                    let _ = task.done();
                    return Err(error);
                }
            };
            if task.generation != fork::generation() {
                return Err(Error::GivenAway { object: Kind::Queue });
            }
            task.is_open = false;
            if let Some(got) = self.got(task.read.clone(), message)? {
                return Ok(got);
            }
        }
    }

    /// Says that a message has been got. `None`: too late, it is somebody else's.
    pub(in crate::remote) fn got<T>(&self, read: Read, message: T) -> Result<Option<Get<T>>> {
        let token = &*read.token;
        let otherwise = Later { script: give_back(), arguments: vec![token] };
        match self.tell(&read.session, done(), &[token, "got"], otherwise) {
            Ok(()) => Ok(Some(Get::Message(message))),
            Err(Failed::Lost) => Ok(None),
            Err(Failed::Other(error @ Error::Unanswered { .. })) => Ok(Some(Get::Unsure(message, error))),
            Err(failed) => Err(Session::failure(failed, Kind::Queue)),
        }
    }

    /// Gets the next message as a task; waits while there is none.
    pub(crate) fn get_task(&self, deadline: Deadline) -> Result<GetTask<'_>> {
        Ok(match self.take(deadline)? {
            Some(Taken::Message(read, message)) => {
                let (generation, was_panicking) = (fork::generation(), thread::panicking());
                let ending = Ending::Done;
                GetTask::Task(Task { queue: self, read, generation, was_panicking, is_open: true, ending }, message)
            }
            Some(Taken::Closed) => GetTask::Closed,
            None => GetTask::Empty,
        })
    }

    /// Reads the next message: it is pending until it is done or given back.
    pub(in crate::remote) fn take(&self, deadline: Deadline) -> Result<Option<Taken>> {
        let script = lua!(frees "getting a message", "line/line.lua", "queue/queue.lua", "queue/get.lua");
        let (session, object) = (self.session(), self.hold.object());
        let token = session.token();
        let taken = wait(session, Kind::Queue, object, deadline, |waiter| {
            let answer = session.run_named(Kind::Queue, script, Effect::Repeatable, |request| {
                request.arg(object).arg(&token).arg(waiter);
            })?;
            match answer.value {
                Value::BulkString(value) => Ok(Some((answer.session, Some(value)))),
                Value::Int(1) => Ok(Some((answer.session, None))),
                Value::Int(0) => Ok(None),
                other => Err(session.distrust(script.name(), &other)),
            }
        });
        match taken {
            Ok(None) => Ok(None),
            Ok(Some((_, None))) => Ok(Some(Taken::Closed)),
            Ok(Some((session, Some(value)))) => {
                let holds = self.holds(&session, &token, &value);
                Ok(Some(Taken::Message(Read { session, token }, Message { value, holds })))
            }
            Err(error) => {
                // What was read in the name of a session that has ended since is the others'.
                if let (Error::Unreachable { .. } | Error::Unanswered { .. }, Ok(name)) = (&error, session.name()) {
                    self.later(&name, give_back(), &[&token, "unknown"]);
                }
                Err(error)
            }
        }
    }

    /// What the server has made the reader of a value hold.
    fn holds(&self, session: &str, token: &str, value: &[u8]) -> Vec<Hold> {
        let count = value.first().copied().unwrap_or_default().into();
        let objects = value.get(1..).unwrap_or_default().chunks_exact(32).take(count);
        let numbered = objects.zip(1..);
        numbered
            .map(|(object, number): (_, u32)| {
                let object = String::from_utf8_lossy(object).into_owned();
                self.session().held(session, format!("{token}.{number}"), object)
            })
            .collect()
    }
}

impl Task<'_> {
    /// Says that the work is done. [`OwnerDied`](Error::OwnerDied): this process was not heard for as long as its lease, and somebody
    /// else has the message, or will. After [`Unanswered`](Error::Unanswered) and [`Unreachable`](Error::Unreachable) it is said as soon
    /// as the server is reached, unless that is too late.
    pub(crate) fn done(mut self) -> Result<()> {
        self.end(Ending::Done)
    }

    /// Says that the work is done, for a caller who has the message only if this succeeds. Errors as with [`done`](Self::done), but
    /// that the message is given back as soon as the server is reached, unless it was done.
    pub(crate) fn take_out(mut self) -> Result<()> {
        self.end(Ending::TakenOut)
    }

    /// Gives the message back, for somebody else to get before later ones. Errors as with [`done`](Self::done).
    pub(crate) fn give_back(mut self) -> Result<()> {
        self.end(Ending::GivenBack)
    }

    /// The same task, whose drop gives the message back.
    pub(crate) fn give_back_on_drop(mut self) -> Self {
        self.ending = Ending::GivenBack;
        self
    }

    fn end(&mut self, ending: Ending) -> Result<()> {
        // A forked copy of the process that got it has nothing to say about it.
        if !std::mem::replace(&mut self.is_open, false) || self.generation != fork::generation() {
            return Ok(());
        }
        let (script, otherwise) = match ending {
            Ending::Done => (done(), done()),
            Ending::TakenOut => (done(), give_back()),
            Ending::GivenBack => (give_back(), give_back()),
        };
        let token = &*self.read.token;
        let otherwise = Later { script: otherwise, arguments: vec![token] };
        let told = self.queue.tell(&self.read.session, script, &[token], otherwise);
        told.map_err(|failed| Session::failure(failed, Kind::Queue))
    }
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        let panics = thread::panicking() && !self.was_panicking;
        // Whoever wants to know calls `done`.
        let _ = self.end(if panics { Ending::GivenBack } else { self.ending });
    }
}
