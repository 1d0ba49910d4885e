//! Requests to a server, over connections that come back.
//!
//! Each thread has a connection of its own, so that none waits for another's answer, and a forked copy of the process finds no lock
//! taken. What is done when an answer does not come depends on what asking again would do: [`Effect`].

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use redis::{Cmd, ConnectionInfo, Value};

use super::address::Address;
use super::doubts::Doubts;
use super::idle::Idle;
use super::link::{Broken, Link, Seat};
use super::lua::Lua;
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;

/// What a request does at the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing that matters twice, so that it may be asked again without more ado.
    Nothing,
    /// The same however often it is carried out in a row: it may be asked again once nobody can carry out the first one.
    Repeatable,
    /// Something each time.
    Once,
}

/// A server, as this process talks to it.
pub(crate) struct Client {
    pub(crate) address: Address,
    info: ConnectionInfo,
    idle: Idle,
    doubts: Arc<Doubts>,
}

/// What has become of a request that was answered.
pub(crate) enum Failed {
    /// What it is about is no more.
    Gone,
    /// The session in whose name it was asked has ended.
    Lost,
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Other(error)
    }
}

/// A connection that nobody has used for so long may have been closed meanwhile; in milliseconds. A guess.
const FRESH: u64 = 20;

/// The shortest and the longest wait before a server is tried again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(320));

impl Client {
    pub(crate) fn new(address: Address) -> Result<Self> {
        let info = address.connection()?;
        Ok(Client { info, address, idle: Idle::default(), doubts: Arc::default() })
    }

    /// The same server, for who waits for it no longer than this.
    pub(super) fn hurried(&self, patience: Duration) -> Self {
        let mut address = self.address.clone();
        address.patience = address.patience.min(patience);
        Client { address, info: self.info.clone(), idle: Idle::default(), doubts: Arc::clone(&self.doubts) }
    }

    /// The answer of a script.
    pub(crate) fn run(&self, script: &Lua, effect: Effect, arguments: impl FnOnce(&mut Cmd)) -> Result<Value, Failed> {
        let mut request = redis::cmd("EVALSHA");
        request.arg(script.hash()).arg(0).arg(&self.address.prefix);
        arguments(&mut request);
        let sent = Sent { request, script: Some(script) };
        self.carry_out(&sent, effect, script.name(), Duration::ZERO)
    }

    /// The answer to a command. `pause`: how long the server may take for it, besides.
    pub(crate) fn ask(
        &self,
        request: Cmd,
        effect: Effect,
        what: &'static str,
        pause: Duration,
    ) -> Result<Value, Failed> {
        self.carry_out(&Sent { request, script: None }, effect, what, pause)
    }

    fn carry_out(&self, sent: &Sent<'_>, effect: Effect, what: &'static str, pause: Duration) -> Result<Value, Failed> {
        let deadline = Deadline::after(self.address.patience + pause);
        let mut wait = BACK_OFF.0;
        let mut was_sent = false;
        loop {
            let opened = self.link(deadline);
            let mut link = opened.map_err(|broken| self.no_answer(Broken { was_sent, ..broken }, effect, what))?;
            let broken = match sent.over(&mut link, deadline) {
                Ok(Value::ServerError(error)) => {
                    // Otherwise it has lost its place among what we say, and hears no more.
                    if !error.details().is_some_and(|details| details.starts_with("Protocol error")) {
                        self.idle.put(link);
                    }
                    match error.code() {
                        "GONE" => return Err(Failed::Gone),
                        // What was sent before may have been carried out in that session's name: in another's it would be done twice.
                        "LOST" if was_sent && effect != Effect::Nothing => {
                            let broken = Broken::new("the session has ended meanwhile", was_sent);
                            return Err(self.no_answer(broken, effect, what).into());
                        }
                        "LOST" => return Err(Failed::Lost),
                        // It has not begun: somebody else's script runs, or it has just been started.
                        "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" if !deadline.has_passed() => {
                            back_off(&mut wait, deadline);
                            continue;
                        }
                        code if was_sent && effect != Effect::Nothing => {
                            let broken = Broken::new(format!("it was asked again, and answers {code}"), was_sent);
                            return Err(self.no_answer(broken, effect, what).into());
                        }
                        code => return Err(self.refusal(code, error.details(), what).into()),
                    }
                }
                Ok(answer) => {
                    self.idle.put(link);
                    return Ok(answer);
                }
                Err(broken) => broken,
            };
            let can_settle = link.seat.is_some();
            if broken.was_sent
                && effect != Effect::Nothing
                && let Some(seat) = link.seat.take()
            {
                self.doubts.add(seat);
            }
            drop(link);
            was_sent |= broken.was_sent;
            let may_repeat = match effect {
                Effect::Nothing => true,
                Effect::Repeatable => !broken.was_sent || can_settle,
                Effect::Once => !broken.was_sent,
            };
            if !may_repeat || deadline.has_passed() {
                return Err(self.no_answer(Broken { was_sent, ..broken }, effect, what).into());
            }
            back_off(&mut wait, deadline);
        }
    }

    fn no_answer(&self, broken: Broken, effect: Effect, what: &'static str) -> Error {
        let address = self.address.to_string();
        if broken.was_sent && effect != Effect::Nothing {
            Error::Unanswered { address, what: what.into(), reason: broken.reason }
        } else if let Some(refused) = broken.refused {
            Error::Refused { address, what: refused.into(), reason: broken.reason }
        } else {
            Error::Unreachable { address, reason: broken.reason }
        }
    }

    fn refusal(&self, code: &str, details: Option<&str>, what: &'static str) -> Error {
        let address = self.address.to_string();
        let reason = format!("{code} {}", details.unwrap_or_default());
        match code {
            "OOM" => Error::ServerFull { address, reason },
            _ => Error::Refused { address, what: what.into(), reason },
        }
    }

    /// A connection to use: this thread's, or a new one, tried for until the deadline; or why there is none. What this process has given up
    /// before will not be carried out any more.
    fn link(&self, deadline: Deadline) -> Result<Link, Broken> {
        if let Some((mut link, age)) = self.idle.take() {
            let is_fresh = age < FRESH;
            if link.is_ours() && (is_fresh || link.is_good()) {
                let doubts = self.doubts.all();
                // One that is older than a doubt may be of an older process of the server.
                if doubts.iter().all(|doubt| link.is_at(&doubt.server))
                    && self.settle(&mut link, doubts, deadline).is_ok()
                {
                    return Ok(link);
                }
            }
        }
        let (mut wait, mut before) = (BACK_OFF.0, None);
        loop {
            let doubts = self.doubts.all();
            let opened = Link::open(&self.info, deadline).and_then(|mut link| {
                self.settle(&mut link, doubts, deadline)?;
                Ok(link)
            });
            match opened {
                Ok(link) => return Ok(link),
                Err(broken) if broken.refused.is_some() => return Err(broken),
                // The last attempt has no time left, and so the one before knows why.
                Err(broken) if deadline.has_passed() => return Err(before.unwrap_or(broken)),
                Err(broken) => {
                    before = Some(broken);
                    back_off(&mut wait, deadline);
                }
            }
        }
    }

    /// Has the server not carry out any more what was given up before this connection was opened. Another process of the server has never
    /// got it.
    fn settle(&self, link: &mut Link, doubts: Vec<Seat>, deadline: Deadline) -> Result<(), Broken> {
        for doubt in doubts {
            if link.is_at(&doubt.server) {
                let mut kill = redis::cmd("CLIENT");
                kill.arg("KILL").arg("ID").arg(doubt.client);
                if let Value::ServerError(error) = link.ask(&kill, deadline)? {
                    return Err(Broken::new(format!("CLIENT KILL: {}", error.code()), false));
                }
            }
            self.doubts.settled(&doubt);
        }
        Ok(())
    }

    /// Whether there is something that this process has given up, and that the server may still carry out.
    #[cfg(test)]
    pub(super) fn is_in_doubt(&self) -> bool {
        !self.doubts.all().is_empty()
    }

    /// Which process the server is that this thread has asked last, if that is known.
    pub(crate) fn server(&self) -> Option<String> {
        self.idle.look(|link| link.seat.as_ref().map(|seat| seat.server.clone()))
    }

    /// That an answer is of a form that none of ours has. Who knows to what it is an answer: this thread's connection is not used again.
    pub(crate) fn distrust(&self, what: &'static str, answer: &Value) -> Error {
        drop(self.idle.take());
        let reason = format!("it says {}, which is no answer to that", shape(answer));
        Error::Unanswered { address: self.address.to_string(), what: what.into(), reason }
    }
}

fn back_off(wait: &mut Duration, deadline: Deadline) {
    thread::sleep(deadline.remaining().map_or(*wait, |left| left.min(*wait)));
    *wait = (*wait * 2).min(BACK_OFF.1);
}

/// A request, and the script that it is about.
struct Sent<'a> {
    request: Cmd,
    script: Option<&'a Lua>,
}

impl Sent<'_> {
    fn over(&self, link: &mut Link, deadline: Deadline) -> Result<Value, Broken> {
        let answer = link.ask(&self.request, deadline)?;
        match (&answer, self.script) {
            (Value::ServerError(error), Some(script)) if error.code() == "NOSCRIPT" => {
                let mut whole = redis::cmd("EVAL");
                whole.arg(script.source());
                for argument in self.request.args_iter().skip(2) {
                    match argument {
                        redis::Arg::Simple(bytes) => whole.arg(bytes),
                        _ => &mut whole,
                    };
                }
                link.ask(&whole, deadline)
            }
            _ => Ok(answer),
        }
    }
}

/// What kind of answer it is, for errors: answers may be long, and secret.
fn shape(answer: &Value) -> &'static str {
    match answer {
        Value::Nil => "nil",
        Value::Int(_) => "a number",
        Value::BulkString(_) => "bytes",
        Value::Array(_) => "an array",
        Value::SimpleString(_) | Value::Okay => "a status",
        _ => "something else",
    }
}
