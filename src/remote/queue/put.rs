use redis::Value;

use super::Queue;
use crate::error::{Kind, Result};
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::waiting::wait;
use crate::sys::clock::Deadline;

/// What has become of a value that was to be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Done,
    /// There was no room until the deadline.
    Full,
    Closed,
}

impl Queue {
    /// Puts a value behind the others; waits while there is no room.
    ///
    /// After any error but [`Unanswered`](crate::Error::Unanswered), it has not been put. That one is told at once: to put it again could
    /// deliver it twice.
    pub(crate) fn put(&self, value: &[u8], deadline: Deadline) -> Result<Put> {
        let script = lua!("putting a message", "line/line.lua", "queue/queue.lua", "queue/put.lua");
        let (session, object) = (self.session(), self.hold.object());
        let put = wait(session, Kind::Queue, object, deadline, |waiter| {
            let answer = session.run_named(Kind::Queue, script, Effect::Once, |request| {
                request.arg(object).arg(value).arg(waiter);
            })?;
            match &answer.value {
                Value::BulkString(word) if word == b"done" => Ok(Some(Put::Done)),
                Value::BulkString(word) if word == b"closed" => Ok(Some(Put::Closed)),
                Value::BulkString(word) if word == b"full" => Ok(None),
                other => Err(session.distrust(script.name(), other)),
            }
        })?;
        Ok(put.unwrap_or(Put::Full))
    }
}
