//! Arriving at a barrier, and waiting there.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use redis::Value;

use super::{Arrived, Barrier, Duty, Standing, State, word};
use crate::error::{BarrierError, BrokenBy, Error, Kind, Result};
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::{giving, object, waiting};
use crate::sys::clock::Deadline;
use crate::sys::fork;

impl Barrier {
    /// Waits for the others; if `acts`, the last one is told to act before all pass. A deadline that has passed breaks the barrier, unless
    /// all others are there.
    pub(in crate::remote) fn arrive(&self, acts: bool, deadline: Deadline) -> Result<Arrived, BarrierError> {
        let session = self.hold.session();
        let token = session.token();
        let mut known: Option<(Arc<str>, Standing)> = None;
        let waited = waiting::wait(session, Kind::Barrier, self.hold.object(), deadline, |waiter| {
            if let Some((_, arrival)) = &known
                && arrival.state == State::Wait
            {
                let now = self.look(arrival.turn, waiter)?;
                return Ok((now != State::Wait).then_some(now));
            }
            let (name, arrival) = self.ask(&token, acts, false, waiter)?;
            known = Some((name, arrival));
            Ok((!matches!(arrival.state, State::Wait | State::Busy)).then_some(arrival.state))
        });
        let state = match waited {
            Ok(Some(state)) => state,
            Ok(None) => {
                // One that could not arrive yet breaks the generation that it would be of.
                let arrived = known.as_ref().filter(|(_, arrival)| arrival.state == State::Wait);
                match arrived {
                    Some((_, arrival)) => self.break_as(BrokenBy::Timeout, arrival.turn)?,
                    None => self.break_present(BrokenBy::Timeout)?,
                }
            }
            Err(failure) => {
                self.give_up(&failure, known, &token);
                return Err(failure.into());
            }
        };
        // Somebody has asked once, at least.
        let (name, arrival) = known.ok_or_else(|| self.strange())?;
        self.arrived(name, Standing { state, ..arrival }, token)
    }

    /// Passes if all others are there already, or is told to act; otherwise nobody has noticed anything.
    pub(in crate::remote) fn try_arrive(&self, acts: bool) -> Result<Option<Arrived>, BarrierError> {
        let token = self.hold.session().token();
        match self.ask(&token, acts, true, None) {
            Ok((_, arrival)) if arrival.state == State::No => Ok(None),
            Ok((name, arrival)) => self.arrived(name, arrival, token).map(Some),
            Err(failure) => {
                self.give_up(&failure, None, &token);
                Err(failure.into())
            }
        }
    }

    fn arrived(&self, session: Arc<str>, now: Standing, token: String) -> Result<Arrived, BarrierError> {
        let Standing { state, turn, index } = now;
        match state {
            State::Passed => {
                self.wake_rest();
                Ok(Arrived::Passed(index))
            }
            State::Act => Ok(Arrived::Act(Duty { session, token, turn, index, generation: fork::generation() })),
            State::Broken(by) => {
                self.wake_rest();
                Err(BarrierError::Broken(by))
            }
            State::Wait | State::Busy | State::No => Err(self.strange().into()),
        }
    }

    fn strange(&self) -> Error {
        self.hold.session().distrust("waiting at a barrier", &Value::Nil)
    }

    /// A party that knows no more how things stand does not keep the others.
    fn give_up(&self, failure: &Error, known: Option<(Arc<str>, Standing)>, token: &str) {
        let object = self.hold.object().to_owned();
        match known {
            Some((name, arrival)) if arrival.state == State::Wait => {
                let arguments = vec![object, word(BrokenBy::Timeout).to_owned(), arrival.turn.to_string()];
                self.hold.session().run_later(&name, Self::breaking(), arguments);
            }
            _ => {
                let script = lua!(frees "leaving a barrier", "line/line.lua", "object/parts.lua", "object/recent.lua", "barrier/barrier.lua", "barrier/give_up.lua");
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
            "line/line.lua",
            "object/parts.lua",
            "object/recent.lua",
            "barrier/barrier.lua",
            "barrier/arrive.lua"
        );
        let answer = session.run_named(Kind::Barrier, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(token).arg(&self.handle).arg(object::recent(session));
            request.arg(u8::from(acts)).arg(u8::from(only_last)).arg(waiter);
        })?;
        let parts = if let Value::Array(parts) = &answer.value { &parts[..] } else { &[] };
        let (Some(state), Some(Value::Int(turn)), Some(Value::Int(index))) =
            (State::of(parts.first(), parts.get(3)), parts.get(1), parts.get(2))
        else {
            return Err(session.distrust("arriving at a barrier", &answer.value));
        };
        let standing = Standing { state, turn: turn.cast_unsigned(), index: index.cast_unsigned() as usize };
        Ok((answer.session, standing))
    }

    fn look(&self, turn: u64, waiter: Option<&str>) -> Result<State> {
        let script = lua!(frees "waiting at a barrier", "line/line.lua", "object/parts.lua", "barrier/barrier.lua", "barrier/look.lua");
        let answer = self.hold.session().run(Kind::Barrier, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(turn).arg(waiter);
        })?;
        self.state(&answer)
    }
}
