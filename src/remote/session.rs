//! A process at a server: what it holds there, for as long as it is heard.
//!
//! A session is renewed by a thread, several times in each lease. What a process that is not heard any more held is given back by the
//! others. One that was only stopped, or cut off, for longer learns of it with its next request: it goes on as a new session, which
//! holds what is still there; locks and the like are lost, and say so.
//!
//! A hold is a token in the session's hash, used once. So taking one and giving it up may be asked for twice, and what was held by a
//! session that has ended cannot be given up in the name of the next.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use redis::{Cmd, Value};

use super::address::Address;
use super::client::{Client, Effect, Failed};
use super::link::Seat;
use super::lua::{Lua, lua};
use super::random;
use crate::error::{Error, Kind, Result};
use crate::sys::fork;

/// This process at one server. All handles of it share it; it ends with the last.
pub(crate) struct Session {
    client: Arc<Client>,
    /// Of the process that has asked last: a forked copy begins a life of its own.
    life: Mutex<Arc<Life>>,
}

/// A session in one process.
struct Life {
    generation: u32,
    state: Mutex<State>,
    changed: Condvar,
    /// Who has it makes the next session, for all.
    joining: Mutex<()>,
}

struct State {
    name: Arc<str>,
    /// By token, what is held.
    holds: HashMap<String, String>,
    /// What is to be given up: the session, and the token.
    later: Vec<(Arc<str>, String)>,
    /// What else is to be told to the server.
    errands: Vec<Errand>,
    /// Holds that were taken in the name of a session that has ended since: to be taken in this one's.
    missed: Vec<(String, String)>,
    tokens: u64,
    stage: Stage,
}

/// A script that the session's thread runs for somebody who has given up waiting for the server; Repeatable.
struct Errand {
    script: &'static Lua,
    session: Arc<str>,
    arguments: Vec<String>,
    /// What must not be carried out any more once this has been.
    doubts: Vec<Seat>,
}

/// What a script has answered, and the session in whose name it was asked.
pub(crate) struct Answer {
    pub(crate) value: Value,
    pub(crate) session: Arc<str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unborn,
    Running,
    /// Nobody uses it any more.
    Ending,
    Ended,
}

/// What keeps an object, as long as this exists.
pub(crate) struct Hold {
    session: Arc<Session>,
    life: Arc<Life>,
    token: String,
    object: String,
}

static SESSIONS: Mutex<Vec<(u32, Address, Weak<Session>)>> = Mutex::new(Vec::new());

/// Who drops the last handle waits so long, at most, until the server knows.
const FAREWELL: Duration = Duration::from_secs(1);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// This process's session at a server, which has been reached.
    pub(crate) fn at(address: &Address) -> Result<Arc<Self>> {
        fork::prepare()?;
        let session = Self::known(address)?;
        session.name()?;
        Ok(session)
    }

    fn known(address: &Address) -> Result<Arc<Self>> {
        let new = Arc::new(Session { client: Arc::new(Client::new(address.clone())?), life: Mutex::new(Life::new()) });
        let generation = fork::generation();
        let _no_fork = fork::exclude();
        let mut sessions = lock(&SESSIONS);
        sessions.retain(|(_, _, session)| session.strong_count() > 0);
        let known = sessions.iter().find(|known| known.0 == generation && known.1 == *address);
        if let Some(session) = known.and_then(|(_, _, session)| session.upgrade()) {
            return Ok(session);
        }
        sessions.push((generation, address.clone(), Arc::downgrade(&new)));
        Ok(new)
    }

    pub(crate) fn address(&self) -> &Address {
        &self.client.address
    }

    /// What this process is doing at the server.
    fn life(&self) -> Arc<Life> {
        let _no_fork = fork::exclude();
        let mut life = lock(&self.life);
        if life.generation != fork::generation() {
            *life = Life::new();
        }
        Arc::clone(&life)
    }

    /// The session's name, for scripts in its name. It has begun.
    pub(crate) fn name(&self) -> Result<Arc<str>> {
        let life = self.life();
        let (name, stage) = {
            let state = lock(&life.state);
            (Arc::clone(&state.name), state.stage)
        };
        if stage == Stage::Unborn {
            self.begin(&life)?;
        }
        Ok(name)
    }

    /// Whether a session of this name is this process's, and not known to have ended.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let life = self.life();
        let state = lock(&life.state);
        &*state.name == name
    }

    fn begin(&self, life: &Arc<Life>) -> Result<()> {
        let _joining = lock(&life.joining);
        if lock(&life.state).stage != Stage::Unborn {
            return Ok(());
        }
        let (name, holds) = life.present();
        life.join(&self.client, &name, &holds)?;
        let (thread_life, client) = (Arc::clone(life), Arc::clone(&self.client));
        let started = thread::Builder::new()
            .name("crossproc-lease".into())
            .stack_size(256 << 10)
            .spawn(move || thread_life.keep(&client));
        started.map_err(|error| Error::os("start a thread", error))?;
        lock(&life.state).stage = Stage::Running;
        Ok(())
    }

    /// The answer of a script that is asked in nobody's name.
    pub(crate) fn run(
        &self,
        kind: Kind,
        script: &Lua,
        effect: Effect,
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<Value> {
        self.client.run(script, effect, Duration::ZERO, arguments).map_err(|failed| self.failure(failed, kind))
    }

    /// The answer of a script that is asked in the session's name, its second argument. If that has ended, it is asked in the name of the
    /// next.
    pub(crate) fn run_named(
        &self,
        kind: Kind,
        script: &Lua,
        effect: Effect,
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Answer> {
        loop {
            let session = self.name()?;
            let answer = self.client.run(script, effect, Duration::ZERO, |request| {
                request.arg(&*session);
                arguments(request);
            });
            match answer {
                Err(Failed::Lost) => self.life().rejoin(&self.client, &session)?,
                Ok(value) => return Ok(Answer { value, session }),
                Err(failed) => return Err(self.failure(failed, kind)),
            }
        }
    }

    /// The same in the name of a session that may have ended: then that is the answer.
    pub(crate) fn run_as(
        &self,
        name: &str,
        script: &Lua,
        effect: Effect,
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<Value, Failed> {
        self.client.run(script, effect, Duration::ZERO, |request| {
            request.arg(name);
            arguments(request);
        })
    }

    /// Has a script run in the name of a session, if that has not ended, as soon as the server can be reached; behind whatever this
    /// thread has asked for in vain.
    pub(crate) fn run_later(&self, name: &Arc<str>, script: &'static Lua, arguments: Vec<String>) {
        let errand = Errand { script, session: Arc::clone(name), arguments, doubts: self.client.doubts() };
        let life = self.life();
        lock(&life.state).errands.push(errand);
        life.changed.notify_all();
    }

    /// The answer to a command that changes nothing that matters, and for which the server may take so long.
    pub(crate) fn ask_for(&self, kind: Kind, what: &'static str, request: Cmd, time: Duration) -> Result<Value> {
        self.client.ask(request, Effect::Nothing, what, time).map_err(|failed| self.failure(failed, kind))
    }

    pub(crate) fn failure(&self, failed: Failed, kind: Kind) -> Error {
        match failed {
            Failed::Gone => Error::Gone { object: kind },
            Failed::Lost => Error::OwnerDied { object: kind },
            Failed::Other(error) => error,
        }
    }

    /// That an answer is not of the form that ours have.
    pub(crate) fn invalid(&self, what: &'static str, answer: &Value) -> Error {
        self.client.invalid(what, answer)
    }

    /// A token that this process's sessions have not used.
    pub(crate) fn token(&self) -> String {
        let life = self.life();
        let mut state = lock(&life.state);
        state.tokens += 1;
        format!("{:x}", state.tokens)
    }

    /// A hold that a script has taken under a token, in the name of a session.
    pub(crate) fn held(self: &Arc<Self>, session: &str, token: String, object: String) -> Hold {
        let life = self.life();
        let mut state = lock(&life.state);
        state.holds.insert(token.clone(), object.clone());
        if &*state.name != session {
            state.missed.push((token.clone(), object.clone()));
            life.changed.notify_all();
        }
        drop(state);
        Hold { session: Arc::clone(self), life, token, object }
    }

    /// Holds an object that is there; and its kind and type. Of a handle on its way: whose hold it ends, by which token.
    pub(crate) fn hold(
        self: &Arc<Self>,
        kind: Kind,
        object: &str,
        ticket: Option<(&str, &str)>,
    ) -> Result<(Hold, String, String)> {
        let token = self.token();
        let answer =
            self.run_named(kind, lua!(frees "holding an object", "hold.lua"), Effect::Repeatable, |request| {
                request.arg(&token).arg(object);
                if let Some((session, ticket)) = ticket {
                    request.arg(session).arg(ticket);
                }
            })?;
        match redis::from_redis_value::<(String, String)>(answer.value.clone()) {
            Ok((kind, of)) => Ok((self.held(&answer.session, token, object.to_owned()), kind, of)),
            Err(_) => Err(self.invalid("holding an object", &answer.value)),
        }
    }

    /// A hold for a handle on its way: the session whose it is, and its token. It lasts until the handle arrives, or until an hour after
    /// this session's end.
    pub(crate) fn ticket(self: &Arc<Self>, kind: Kind, object: &str) -> Result<(Arc<str>, String)> {
        let ticket = format!("t{}", self.token());
        let answer =
            self.run_named(kind, lua!(frees "holding an object", "ticket.lua"), Effect::Repeatable, |request| {
                request.arg(&ticket).arg(object);
            })?;
        Ok((answer.session, ticket))
    }

    /// The name of an object that is to be made: no other has it.
    pub(crate) fn new_object() -> String {
        random::hexadecimal()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let life = self.life.get_mut().unwrap_or_else(PoisonError::into_inner);
        if life.generation != fork::generation() {
            return; // it is the parent's
        }
        let mut state = lock(&life.state);
        if state.stage != Stage::Running {
            return;
        }
        state.stage = Stage::Ending;
        life.changed.notify_all();
        let ended = life.changed.wait_timeout_while(state, FAREWELL, |state| state.stage != Stage::Ended);
        drop(ended);
    }
}

impl Life {
    fn new() -> Arc<Self> {
        let state = State {
            name: random::hexadecimal().into(),
            holds: HashMap::new(),
            later: Vec::new(),
            errands: Vec::new(),
            missed: Vec::new(),
            tokens: 0,
            stage: Stage::Unborn,
        };
        Arc::new(Life {
            generation: fork::generation(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            joining: Mutex::new(()),
        })
    }

    fn present(&self) -> (Arc<str>, Vec<(String, String)>) {
        let state = lock(&self.state);
        let holds = state.holds.iter().map(|(token, object)| (token.clone(), object.clone()));
        (Arc::clone(&state.name), holds.collect())
    }

    /// Begins a session, or goes on with it, which holds these besides.
    fn join(&self, client: &Client, name: &str, holds: &[(String, String)]) -> Result<()> {
        let script = lua!(frees "beginning a session", "begin.lua");
        let begun = client.run(script, Effect::Repeatable, Duration::ZERO, |request| {
            request.arg(name).arg(client.address.lease.as_millis() as u64);
            for (token, object) in holds {
                request.arg(token).arg(object);
            }
        });
        match begun {
            Ok(_) => Ok(()),
            Err(Failed::Other(error)) => Err(error),
            Err(Failed::Gone | Failed::Lost) => Err(client.invalid(script.name(), &Value::Nil)),
        }
    }

    /// Goes on as a new session, unless somebody has seen to it since the name was asked for.
    fn rejoin(&self, client: &Client, lost: &str) -> Result<()> {
        let _joining = lock(&self.joining);
        let (present, holds) = self.present();
        if &*present != lost {
            return Ok(());
        }
        let name: Arc<str> = random::hexadecimal().into();
        self.join(client, &name, &holds)?;
        let mut state = lock(&self.state);
        // What was dropped meanwhile has been given up in the name of the one that has ended.
        let dropped: Vec<_> = holds.into_iter().filter(|(token, _)| !state.holds.contains_key(token)).collect();
        state.later.extend(dropped.into_iter().map(|(token, _)| (Arc::clone(&name), token)));
        state.name = name;
        Ok(())
    }

    /// Takes holds in this session's name that were taken in an earlier one's.
    fn catch_up(&self, client: &Client, name: &Arc<str>) {
        let missed = std::mem::take(&mut lock(&self.state).missed);
        if missed.is_empty() {
            return;
        }
        // A session that has ended must not begin again under its name: others have taken what was its own.
        let more = lua!(frees "holding objects", "hold_more.lua");
        let held = client.run(more, Effect::Repeatable, Duration::ZERO, |request| {
            request.arg(&**name);
            for (token, object) in &missed {
                request.arg(token).arg(object);
            }
        });
        let mut state = lock(&self.state);
        if held.is_err() || state.name != *name {
            state.missed.extend(missed);
            return;
        }
        let dropped: Vec<_> = missed.into_iter().filter(|(token, _)| !state.holds.contains_key(token)).collect();
        state.later.extend(dropped.into_iter().map(|(token, _)| (Arc::clone(name), token)));
    }

    /// What the session's thread does: it renews the lease, and gives up what is to be given up.
    fn keep(&self, client: &Client) {
        let pause = client.address.lease / 4;
        loop {
            let (name, later, errands, is_ending) = {
                let state = lock(&self.state);
                let idle = |state: &mut State| {
                    state.stage == Stage::Running
                        && state.later.is_empty()
                        && state.errands.is_empty()
                        && state.missed.is_empty()
                };
                let (mut state, _) =
                    self.changed.wait_timeout_while(state, pause, idle).unwrap_or_else(PoisonError::into_inner);
                let (later, errands) = (std::mem::take(&mut state.later), std::mem::take(&mut state.errands));
                (Arc::clone(&state.name), later, errands, state.stage == Stage::Ending)
            };
            self.catch_up(client, &name);
            let unheard = run_errands(client, errands);
            let left = give_up(client, later);
            if is_ending {
                let _ = client.run(
                    lua!(frees "ending a session", "grave.lua", "end.lua"),
                    Effect::Repeatable,
                    Duration::ZERO,
                    |request| {
                        request.arg(&*name);
                    },
                );
                lock(&self.state).stage = Stage::Ended;
                self.changed.notify_all();
                return;
            }
            let has_left = !left.is_empty() || !unheard.is_empty();
            {
                let mut state = lock(&self.state);
                state.later.splice(0..0, left);
                state.errands.splice(0..0, unheard);
            }
            let renewed = client.run(
                lua!(frees "renewing a session", "grave.lua", "renew.lua"),
                Effect::Nothing,
                Duration::ZERO,
                |request| {
                    request.arg(&*name).arg(client.address.lease.as_millis() as u64);
                },
            );
            if let Err(Failed::Lost) = renewed {
                let _ = self.rejoin(client, &name);
            }
            if has_left {
                // The server is not to be reached: what is left waits for the next renewal.
                let state = lock(&self.state);
                let _ = self.changed.wait_timeout_while(state, pause, |state| state.stage == Stage::Running);
            }
        }
    }
}

/// Runs what others have left to be run; the rest, when the server does not hear.
fn run_errands(client: &Client, errands: Vec<Errand>) -> Vec<Errand> {
    let mut left = errands.into_iter();
    while let Some(errand) = left.next() {
        client.adopt(&errand.doubts);
        let sent = client.run(errand.script, Effect::Repeatable, Duration::ZERO, |request| {
            request.arg(&*errand.session).arg(&errand.arguments);
        });
        if let Err(Failed::Other(Error::Unreachable { .. } | Error::Unanswered { .. })) = sent {
            return std::iter::once(errand).chain(left).collect();
        }
    }
    Vec::new()
}

/// Gives holds up, of whichever sessions; those that the server has not heard of.
fn give_up(client: &Client, mut later: Vec<(Arc<str>, String)>) -> Vec<(Arc<str>, String)> {
    while let Some((session, _)) = later.first().cloned() {
        let (mine, others): (Vec<_>, Vec<_>) = later.into_iter().partition(|(name, _)| *name == session);
        let sent =
            client.run(lua!(frees "giving holds up", "let_go.lua"), Effect::Repeatable, Duration::ZERO, |request| {
                request.arg(&*session);
                mine.iter().for_each(|(_, token)| {
                    request.arg(token);
                });
            });
        match sent {
            Err(Failed::Other(Error::Unreachable { .. } | Error::Unanswered { .. })) => {
                return mine.into_iter().chain(others).collect();
            }
            _ => later = others,
        }
    }
    later
}

impl Hold {
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn object(&self) -> &str {
        &self.object
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.life.generation != fork::generation() {
            return; // it is the parent's
        }
        let mut state = lock(&self.life.state);
        state.holds.remove(&self.token);
        let name = Arc::clone(&state.name);
        state.later.push((name, std::mem::take(&mut self.token)));
        self.life.changed.notify_all();
    }
}
