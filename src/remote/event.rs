//! Events at a server: a flag that all who wait for it see, also if it is taken back at once.
//!
//! How often it has been set is kept with it: who waits has seen a number, and another one is as good as the flag.

use std::sync::Arc;

use super::client::Effect;
use super::lua::lua;
use super::object;
use super::session::{Hold, Session};
use super::waiting;
use crate::error::{Kind, Result};
use crate::sys::clock::Deadline;

pub(crate) struct Event {
    hold: Hold,
}

impl Event {
    /// A new one, not set.
    pub(crate) fn make(session: &Arc<Session>) -> Result<Self> {
        Ok(Event { hold: object::make(session, Kind::Event, &[])? })
    }

    pub(crate) fn of(hold: Hold) -> Self {
        Event { hold }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Sets the flag, and wakes all who wait. Whoever is not woken, as this process has died meanwhile, finds it within a second.
    pub(crate) fn set(&self) -> Result<()> {
        if self.change(true)? {
            object::wake_all(&self.hold, Kind::Event)?;
        }
        Ok(())
    }

    pub(crate) fn clear(&self) -> Result<()> {
        self.change(false).map(drop)
    }

    /// Whether there are others to wake.
    fn change(&self, is_set: bool) -> Result<bool> {
        let script = lua!(frees "changing an event", "line/line.lua", "object/recent.lua", "event/set.lua");
        let session = self.hold.session();
        let token = session.token();
        let answer = session.run_named(Kind::Event, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(&token).arg(u8::from(is_set)).arg(object::recent(session));
        })?;
        redis::from_redis_value(answer.value.clone()).map_err(|_| session.distrust("changing an event", &answer.value))
    }

    /// Whether the flag is set. Stale at once.
    pub(crate) fn is_set(&self) -> Result<bool> {
        Ok(self.look("", None)?.0)
    }

    /// Whether the flag was set before the deadline: after the wait began.
    pub(crate) fn wait(&self, deadline: Deadline) -> Result<bool> {
        let mut seen = String::new();
        let found = waiting::wait(self.hold.session(), Kind::Event, self.hold.object(), deadline, |waiter| {
            let (is_set, times) = self.look(&seen, waiter)?;
            if seen.is_empty() {
                seen = times;
            }
            Ok(is_set.then_some(()))
        });
        Ok(found?.is_some())
    }

    fn look(&self, seen: &str, waiter: Option<&str>) -> Result<(bool, String)> {
        // A full server, too: who waits goes on, and its place in the line is free again.
        let script = lua!(frees "waiting for an event", "line/line.lua", "event/wait.lua");
        let session = self.hold.session();
        let answer = session.run(Kind::Event, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(seen).arg(waiter);
        })?;
        redis::from_redis_value(answer.clone()).map_err(|_| session.distrust("waiting for an event", &answer))
    }
}
