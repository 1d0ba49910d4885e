//! Arriving at a barrier, and waiting there.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use redis::Value;

use super::{Arrived, Barrier, Duty, Standing, reason, text, word};
use crate::error::{BarrierError, BrokenBy, Error, Kind, Result};
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::{giving, object, waiting};
use crate::sys::clock::Deadline;
use crate::sys::fork;

impl Barrier {
    /// Waits for the others; if `acts`, the last one is told to act before all pass. A deadline that has passed breaks the barrier, unless
    /// all others are there.
    pub(crate) fn arrive(&self, acts: bool, deadline: Deadline) -> Result<Arrived, BarrierError> {
        let session = self.hold.session();
        let token = session.token();
        let mut known: Option<(Arc<str>, Standing)> = None;
        let waited = waiting::wait(session, Kind::Barrier, self.hold.object(), deadline, |waiter| {
            if let Some((_, arrival)) = &known
                && arrival.state == "wait"
            {
                let now = self.look(arrival.turn, waiter)?;
                return Ok((now.state != "wait").then_some(now));
            }
            let (name, arrival) = self.ask(&token, acts, false, waiter)?;
            let is_waiting = matches!(&*arrival.state, "wait" | "busy");
            known = Some((name, arrival.clone()));
            Ok((!is_waiting).then_some(arrival))
        });
        let now = match waited {
            Ok(Some(now)) => now,
            Ok(None) => self.break_as(BrokenBy::Timeout, known.as_ref().map(|(_, arrival)| arrival.turn))?,
            Err(failure) => {
                self.give_up(&failure, known, &token);
                return Err(failure.into());
            }
        };
        let index = known.as_ref().map_or(0, |(_, arrival)| arrival.index);
        let name = known.map(|(name, _)| name);
        self.arrived(now, index, name, token)
    }

    /// Passes if all others are there already, or is told to act; otherwise nobody has noticed anything.
    #[cfg_attr(not(test), expect(dead_code, reason = "managed handles have neither actions nor a try yet"))]
    pub(crate) fn try_arrive(&self, acts: bool) -> Result<Option<Arrived>, BarrierError> {
        let token = self.hold.session().token();
        match self.ask(&token, acts, true, None) {
            Ok((_, arrival)) if arrival.state == "no" => Ok(None),
            Ok((name, arrival)) => {
                let index = arrival.index;
                self.arrived(arrival, index, Some(name), token).map(Some)
            }
            Err(failure) => {
                self.give_up(&failure, None, &token);
                Err(failure.into())
            }
        }
    }

    fn arrived(
        &self,
        now: Standing,
        index: usize,
        name: Option<Arc<str>>,
        token: String,
    ) -> Result<Arrived, BarrierError> {
        match (&*now.state, now.by, name) {
            ("passed", ..) => {
                self.wake_rest();
                Ok(Arrived::Passed(index))
            }
            ("act", _, Some(session)) => {
                Ok(Arrived::Act(Duty { session, token, turn: now.turn, index, generation: fork::generation() }))
            }
            (_, Some(by), _) => {
                self.wake_rest();
                Err(BarrierError::Broken(by))
            }
            _ => Err(self.hold.session().invalid("waiting at a barrier", &Value::Nil).into()),
        }
    }

    /// A party that knows no more how things stand does not keep the others.
    fn give_up(&self, failure: &Error, known: Option<(Arc<str>, Standing)>, token: &str) {
        let object = self.hold.object().to_owned();
        match known {
            Some((name, arrival)) if arrival.state == "wait" => {
                let arguments = vec![object, word(BrokenBy::Timeout).to_owned(), arrival.turn.to_string()];
                self.hold.session().run_later(&name, Self::breaking(), arguments);
            }
            _ => {
                let script = lua!(frees "leaving a barrier", "waiting.lua", "parts.lua", "recent.lua", "barrier.lua", "barrier_not.lua");
                let time = object::recent(self.hold.session()).to_string();
                giving::undo(self.hold.session(), failure, script, vec![object, token.to_owned(), time]);
            }
        }
    }

    fn ask(&self, token: &str, acts: bool, only_last: bool, waiter: Option<&str>) -> Result<(Arc<str>, Standing)> {
        let session = self.hold.session();
        self.arrived.store(fork::generation(), Relaxed);
        let script = lua!(
            "arriving at a barrier",
            "waiting.lua",
            "parts.lua",
            "recent.lua",
            "barrier.lua",
            "barrier_arrive.lua"
        );
        let answer = session.run_named(Kind::Barrier, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(token).arg(&self.handle).arg(object::recent(session));
            request.arg(u8::from(acts)).arg(u8::from(only_last)).arg(waiter);
        })?;
        let Value::Array(parts) = &answer.value else {
            return Err(session.invalid("arriving at a barrier", &answer.value));
        };
        let number = |index: usize| match parts.get(index) {
            Some(Value::Int(number)) => number.cast_unsigned(),
            _ => 0,
        };
        let state = text(parts.first()).unwrap_or_default().to_owned();
        let standing = Standing { state, turn: number(1), index: number(2) as usize, by: reason(parts.get(3)) };
        Ok((answer.session, standing))
    }

    fn look(&self, turn: u64, waiter: Option<&str>) -> Result<Standing> {
        let script = lua!(frees "waiting at a barrier", "waiting.lua", "parts.lua", "barrier.lua", "barrier_look.lua");
        let answer = self.hold.session().run(Kind::Barrier, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(turn).arg(waiter);
        })?;
        self.standing(&answer, turn)
    }
}
