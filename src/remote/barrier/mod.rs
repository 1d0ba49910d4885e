//! Barriers at a server.
//!
//! A session is a possible party from its first arrival until its handle is dropped. One that was not heard breaks the barrier for those who
//! wait: they look, once a second.

mod arrive;
mod pass;

pub(crate) use self::pass::NoAction;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use redis::Value;

use crate::error::{BarrierError, BrokenBy, Error, Kind, Result};
use crate::remote::client::Effect;
use crate::remote::giving;
use crate::remote::lua::{Lua, lua};
use crate::remote::object;
use crate::remote::session::{Hold, Session};
use crate::sys::fork;

pub(crate) struct Barrier {
    hold: Hold,
    parties: usize,
    /// Of the part that a session has when it has arrived by this handle.
    handle: String,
    /// The fork generation that has arrived; 0: none. Relaxed: the number is all there is.
    arrived: AtomicU32,
}

/// As in shared memory.
const MOST_PARTIES: usize = 65_535;

/// As in `line/line.lua`.
const MOST_WOKEN: usize = 500;

/// How an arrival goes on.
pub(in crate::remote) enum Arrived {
    /// All have come; how many had come before this one: 0 for exactly one of them.
    Passed(usize),
    /// All have come, and wait until this one has run the action: then it calls [`Barrier::finish`], or [`Barrier::fail`].
    Act(Duty),
}

/// Of the party that runs the action.
pub(in crate::remote) struct Duty {
    session: Arc<str>,
    token: String,
    turn: u64,
    index: usize,
    generation: u32,
}

/// What a script says of an arrival, or of a generation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits for others.
    Wait,
    /// It has to wait until those before have passed, and then to arrive.
    Busy,
    /// It has not come, as it would not have been the last.
    No,
    /// It is the last, and runs the action.
    Act,
    Passed,
    Broken(BrokenBy),
}

/// A state, its generation, and how many had come to that before.
#[derive(Clone, Copy)]
struct Standing {
    state: State,
    turn: u64,
    index: usize,
}

impl State {
    /// Of what a script says: the state, and by what it is broken.
    fn of(state: Option<&Value>, by: Option<&Value>) -> Option<Self> {
        Some(match text(state)? {
            "wait" => State::Wait,
            "busy" => State::Busy,
            "no" => State::No,
            "act" => State::Act,
            "passed" => State::Passed,
            "broken" => State::Broken(broken_by(text(by)?)),
            _ => return None,
        })
    }
}

impl Barrier {
    pub(crate) fn make(session: &Arc<Session>, parties: usize) -> Result<Self> {
        Ok(Self::with(object::make(session, Kind::Barrier, &Self::fields(parties)?)?, parties))
    }

    /// Of a new one.
    pub(crate) fn fields(parties: usize) -> Result<[(&'static str, String); 1]> {
        if !(1..=MOST_PARTIES).contains(&parties) {
            return Err(Error::Capacity { object: Kind::Barrier, capacity: parties, most: MOST_PARTIES });
        }
        Ok([("parties", parties.to_string())])
    }

    /// One that is there: it is asked for its parties.
    pub(crate) fn of(hold: Hold) -> Result<Self> {
        let (parties, ..) = facts(&hold)?;
        Ok(Self::with(hold, parties))
    }

    fn with(hold: Hold, parties: usize) -> Self {
        let handle = hold.session().token();
        Barrier { hold, parties, handle, arrived: AtomicU32::new(0) }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    pub(crate) fn parties(&self) -> usize {
        self.parties
    }

    /// How many wait. Stale at once.
    pub(crate) fn n_waiting(&self) -> Result<usize> {
        facts(&self.hold).map(|(_, count, ..)| count)
    }

    /// Whether it is broken. A death is not found before somebody has waited.
    pub(crate) fn is_broken(&self) -> Result<bool> {
        facts(&self.hold).map(|(_, _, is_broken, _)| is_broken)
    }

    /// Whom the script has not woken, as it wakes some. Without an answer they find it out themselves, within a second.
    fn wake_rest(&self) {
        if self.parties > MOST_WOKEN {
            let _ = object::wake_all(&self.hold, Kind::Barrier);
        }
    }

    /// How a generation stands.
    fn state(&self, answer: &Value) -> Result<State> {
        let parts = if let Value::Array(parts) = answer { &parts[..] } else { &[] };
        let state = State::of(parts.first(), parts.get(1));
        state.ok_or_else(|| self.hold.session().distrust("waiting at a barrier", answer))
    }

    /// The action is done: all pass, unless the barrier was broken meanwhile. The index of this party.
    pub(in crate::remote) fn finish(&self, duty: Duty) -> Result<usize, BarrierError> {
        if duty.generation != fork::generation() {
            return Err(Error::ForkedCopy { object: Kind::Barrier }.into());
        }
        let script = lua!(frees "passing a barrier", "line/line.lua", "object/parts.lua", "barrier/barrier.lua", "barrier/finish.lua");
        let arguments = vec![self.hold.object().to_owned(), duty.token, duty.turn.to_string()];
        let done = giving::give_back(self.hold.session(), &duty.session, Kind::Barrier, script, arguments)?;
        let done = done.ok_or(Error::Gone { object: Kind::Barrier })?;
        match self.state(&done)? {
            State::Passed => {
                self.wake_rest();
                Ok(duty.index)
            }
            State::Broken(by) => Err(BarrierError::Broken(by)),
            // Somebody else acts by now: ours counted as dead.
            _ => Err(BarrierError::Broken(BrokenBy::Death)),
        }
    }

    /// The action has panicked: the barrier is broken, unless it is already, or the action is a forked copy's.
    pub(in crate::remote) fn fail(&self, duty: Duty) -> Result<()> {
        if duty.generation == fork::generation() {
            self.break_as(BrokenBy::Panic, duty.turn)?;
        }
        Ok(())
    }

    /// Breaks it for all who wait and come, until it is [reset](Self::reset). One that is broken stays as it is.
    pub(crate) fn abort(&self) -> Result<()> {
        self.break_present(BrokenBy::Abort).map(drop)
    }

    fn breaking() -> &'static Lua {
        lua!(frees "breaking a barrier", "line/line.lua", "object/parts.lua", "barrier/barrier.lua", "barrier/break.lua")
    }

    /// Breaks the generation that is there now: one that comes after an error is left alone.
    fn break_present(&self, by: BrokenBy) -> Result<State> {
        let session = self.hold.session();
        loop {
            let (.., turn) = facts(&self.hold)?;
            let arguments = self.break_arguments(by, turn);
            let done = giving::ask(session, &session.name()?, Kind::Barrier, Self::breaking(), &arguments)?;
            match self.broken(done)? {
                // It has ended meanwhile.
                State::Passed | State::Broken(BrokenBy::Reset) => {}
                state => return Ok(state),
            }
        }
    }

    fn break_arguments(&self, by: BrokenBy, turn: u64) -> Vec<String> {
        vec![self.hold.object().to_owned(), word(by).to_owned(), turn.to_string()]
    }

    /// What has become of the generation, which is broken later if the server is away.
    fn break_as(&self, by: BrokenBy, turn: u64) -> Result<State> {
        let (session, arguments) = (self.hold.session(), self.break_arguments(by, turn));
        self.broken(giving::give_back(session, &session.name()?, Kind::Barrier, Self::breaking(), arguments)?)
    }

    fn broken(&self, done: Option<Value>) -> Result<State> {
        let done = done.ok_or(Error::Gone { object: Kind::Barrier })?;
        self.wake_rest();
        self.state(&done)
    }

    /// Makes it whole, with nobody waiting: who waits is told that it was broken, and the dead are forgotten.
    pub(crate) fn reset(&self) -> Result<()> {
        let session = self.hold.session();
        let token = session.token();
        let script = lua!(frees "resetting a barrier", "line/line.lua", "object/parts.lua", "object/recent.lua", "barrier/barrier.lua", "barrier/reset.lua");
        session.run_named(Kind::Barrier, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(&token).arg(object::recent(session));
        })?;
        self.wake_rest();
        Ok(())
    }
}

/// It is no possible party any more.
impl Drop for Barrier {
    fn drop(&mut self) {
        let session = self.hold.session();
        if self.arrived.load(Relaxed) == fork::generation()
            && let Ok(name) = session.name()
        {
            let script = lua!(frees "leaving a barrier", "object/parts.lua", "barrier/leave.lua");
            let arguments = vec![self.hold.object().to_owned(), std::mem::take(&mut self.handle)];
            let _ = giving::give_back(session, &name, Kind::Barrier, script, arguments);
        }
    }
}

/// Parties, how many wait, whether it is broken, and which generation it is.
fn facts(hold: &Hold) -> Result<(usize, usize, bool, u64)> {
    let script = lua!(frees "looking at a barrier", "barrier/facts.lua");
    let answer = hold.session().run(Kind::Barrier, script, Effect::Nothing, |request| {
        request.arg(hold.object());
    })?;
    redis::from_redis_value(answer.clone()).map_err(|_| hold.session().distrust("looking at a barrier", &answer))
}

fn text(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::BulkString(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// What the server calls it.
fn word(by: BrokenBy) -> &'static str {
    match by {
        BrokenBy::Death => "death",
        BrokenBy::Timeout => "timeout",
        BrokenBy::Abort => "abort",
        BrokenBy::Panic => "panic",
        BrokenBy::Reset => "reset",
    }
}

/// What the server calls otherwise is of another build, and as good as a death.
fn broken_by(called: &str) -> BrokenBy {
    use BrokenBy::{Abort, Death, Panic, Reset, Timeout};
    [Death, Timeout, Abort, Panic, Reset].into_iter().find(|by| word(*by) == called).unwrap_or(Death)
}
