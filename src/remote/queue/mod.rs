//! A queue at a server: what is put is there until somebody has done it. How it is kept is told in `lua/queue/queue.lua`.
//!
//! A get is two requests: a read, after which the message is pending under a name of its own, and what says that it has been got,
//! whose answer is waited for. One would do if a process that ends between the server's answer and its receipt might take the message with
//! it, or if messages that were got might be delivered again after a death: a local queue does neither.

mod put;
mod take;

pub(crate) use self::put::Put;
#[cfg(test)]
pub(in crate::remote) use self::take::Taken;
pub(crate) use self::take::{Get, GetTask, Message, Task};

use std::sync::Arc;

use redis::Cmd;

use super::client::{Effect, Failed};
use super::lua::{Lua, lua};
use super::session::{Hold, Session};
use super::waiting::wait;
use crate::error::{Error, Kind, Result};
use crate::sys::clock::Deadline;

/// A queue of values. All methods fail with [`Gone`](Error::Gone) if the server has lost it.
pub(crate) struct Queue {
    hold: Hold,
}

/// What a queue is like at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Messages that nobody has in hands.
    pub(crate) length: usize,
    /// Messages that take a place: those of tasks that are not done, too.
    pub(crate) places: usize,
    pub(crate) capacity: usize,
    pub(crate) is_closed: bool,
    pub(crate) redelivered: u64,
}

impl Queue {
    /// A new queue of so many messages of a type.
    pub(crate) fn make(session: &Arc<Session>, of: &str, capacity: usize) -> Result<Self> {
        let script = lua!("making a queue", "line/line.lua", "queue/queue.lua", "object/make.lua", "queue/make.lua");
        let (token, object) = (session.token(), Session::new_object());
        let made = session.run_holding(Kind::Queue, script, Effect::Repeatable, &token, |request| {
            request.arg(&object).arg("queue").arg(of).arg("capacity").arg(capacity);
        })?;
        Ok(Queue { hold: session.held(&made.session, token, object) })
    }

    /// The queue that is held.
    pub(crate) fn of(hold: Hold) -> Self {
        Queue { hold }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Refuses every put from now on.
    pub(crate) fn close(&self) -> Result<()> {
        let script = lua!(frees "closing a queue", "line/line.lua", "queue/queue.lua", "queue/close.lua");
        self.run(script, Effect::Repeatable, |_| {}).map(drop)
    }

    pub(crate) fn state(&self) -> Result<State> {
        let script = lua!(frees "looking at a queue", "line/line.lua", "queue/queue.lua", "queue/state.lua");
        let answer = self.run(script, Effect::Nothing, |_| {})?;
        let numbers = redis::from_redis_value::<(usize, usize, usize, u8, u64)>(answer.clone());
        let (length, places, capacity, closed, redelivered) =
            numbers.map_err(|_| self.session().distrust(script.name(), &answer))?;
        Ok(State { length, places, capacity, is_closed: closed != 0, redelivered })
    }

    /// Says that a message is done which this process has got; [`NothingToBeDone`](Error::NothingToBeDone) if there is none.
    pub(crate) fn task_done(&self) -> Result<()> {
        let script =
            lua!(frees "saying that a message is done", "line/line.lua", "queue/queue.lua", "queue/task_done.lua");
        let answer = self.session().run_named(Kind::Queue, script, Effect::Once, |request| {
            request.arg(self.hold.object());
        })?;
        match answer.value {
            redis::Value::Int(1) => Ok(()),
            redis::Value::Int(0) => Err(Error::NothingToBeDone { object: Kind::Queue }),
            other => Err(self.session().distrust(script.name(), &other)),
        }
    }

    /// Waits until everything that was put is done; whether it is.
    pub(crate) fn join(&self, deadline: Deadline) -> Result<bool> {
        let script = lua!(frees "waiting for a queue", "line/line.lua", "queue/queue.lua", "queue/join.lua");
        let is_done = wait(self.session(), Kind::Queue, self.hold.object(), deadline, |waiter| {
            let answer = self.run(script, Effect::Repeatable, |request| {
                request.arg(waiter);
            })?;
            Ok((answer == redis::Value::Int(1)).then_some(()))
        })?;
        Ok(is_done.is_some())
    }

    fn session(&self) -> &Arc<Session> {
        self.hold.session()
    }

    /// The answer of a script in nobody's name, whose second argument is the queue.
    fn run(&self, script: &Lua, effect: Effect, arguments: impl FnOnce(&mut Cmd)) -> Result<redis::Value> {
        self.session().run(Kind::Queue, script, effect, |request| {
            request.arg(self.hold.object());
            arguments(request);
        })
    }

    /// Whether a script that is asked in the name of a session about one of its messages was carried out. If it was not, or that is
    /// not known, `otherwise` is run later.
    fn tell(
        &self,
        session: &Arc<str>,
        script: &'static Lua,
        arguments: &[&str],
        otherwise: Later,
    ) -> Result<(), Failed> {
        let told = self.session().run_as(session, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(arguments);
        });
        match told {
            Ok(_) => Ok(()),
            Err(failed) => {
                if let Failed::Other(_) = failed {
                    self.later(session, otherwise.script, &otherwise.arguments);
                }
                Err(failed)
            }
        }
    }

    fn later(&self, session: &Arc<str>, script: &'static Lua, arguments: &[&str]) {
        let all = std::iter::once(self.hold.object()).chain(arguments.iter().copied());
        self.session().run_later(session, script, all.map(str::to_owned).collect());
    }
}

/// What is to be done if something else fails.
struct Later<'a> {
    script: &'static Lua,
    arguments: Vec<&'a str>,
}
