//! A process at a server: what it holds there, for as long as it is heard.
//!
//! A session is renewed by a thread (`life`), several times in each lease. What a process that is not heard any more held is given back by the
//! others. One that was only stopped, or cut off, for longer learns of it with its next request: it goes on as a new session, which
//! holds what is still there; locks and the like are lost, and say so.
//!
//! A hold is a token in the session's hash, used once. So taking one and giving it up may be asked for twice, and what was held by a
//! session that has ended cannot be given up in the name of the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use redis::{Cmd, Value};

use super::address::Address;
use super::client::{Client, Effect, Failed};
use super::life::{Life, Stage, lock};
use super::lua::{Lua, lua};
use super::random;
use super::work::Errand;
use crate::error::{Error, Kind, Result};
use crate::sys::fork;

/// This process at one server. All handles of it share it; it ends with the last.
pub(crate) struct Session {
    client: Arc<Client>,
    /// Of the process that has asked last: a forked copy begins a life of its own.
    life: Mutex<Arc<Life>>,
    tokens: AtomicU64,
}

/// What a script has answered, and the session in whose name it was asked.
pub(crate) struct Answer {
    pub(crate) value: Value,
    pub(crate) session: Arc<str>,
    /// What was granted is known to this process before this goes: until then it does not end that session.
    pub(crate) pending: Arc<()>,
}

/// What keeps an object, as long as this exists.
pub(crate) struct Hold {
    session: Arc<Session>,
    life: Arc<Life>,
    token: String,
    object: String,
}

static SESSIONS: Mutex<Vec<(u32, Address, Weak<Session>)>> = Mutex::new(Vec::new());

impl Session {
    /// This process's session at a server, which has been reached.
    pub(crate) fn at(address: &Address) -> Result<Arc<Self>> {
        fork::prepare()?;
        let session = Self::known(address)?;
        session.name()?;
        Ok(session)
    }

    fn known(address: &Address) -> Result<Arc<Self>> {
        let (client, life) = (Arc::new(Client::new(address.clone())?), Mutex::new(Life::new()));
        let new = Arc::new(Session { client, life, tokens: AtomicU64::new(1) });
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
        Ok(self.asking()?.0)
    }

    /// The name, and what says that something is asked in it.
    fn asking(&self) -> Result<(Arc<str>, Arc<()>)> {
        let life = self.life();
        let (asking, stage) = {
            let state = lock(&life.state);
            (state.asking(), state.stage)
        };
        if stage == Stage::Unborn {
            life.begin(&self.client)?;
        }
        Ok(asking)
    }

    /// Whether a session of this name is this process's, and not known to have ended.
    #[cfg(test)]
    pub(crate) fn is_called(&self, name: &str) -> bool {
        &*lock(&self.life().state).name == name
    }

    /// The answer of a script that is asked in nobody's name.
    pub(crate) fn run(
        &self,
        kind: Kind,
        script: &Lua,
        effect: Effect,
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<Value> {
        self.client.run(script, effect, arguments).map_err(|failed| Session::failure(failed, kind))
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
            let (session, pending) = self.asking()?;
            let answer = self.client.run(script, effect, |request| {
                request.arg(&*session);
                arguments(request);
            });
            match answer {
                Err(Failed::Lost) => self.life().rejoin(&self.client, &session)?,
                Ok(value) => return Ok(Answer { value, session, pending }),
                Err(failed) => return Err(Session::failure(failed, kind)),
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
        self.client.run(script, effect, |request| {
            request.arg(name);
            arguments(request);
        })
    }

    /// The answer of a script that is asked in the session's name, and makes that hold something under a token, its third argument, or under
    /// TOKEN.1 .. If that may have happened, and no answer comes, it is given up.
    pub(crate) fn run_holding(
        &self,
        kind: Kind,
        script: &Lua,
        effect: Effect,
        token: &str,
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Answer> {
        let answer = self.run_named(kind, script, effect, |request| {
            request.arg(token);
            arguments(request);
        });
        if let Err(Error::Unanswered { .. }) = answer
            // As of what is undone (`giving`).
            && let Ok(session) = self.name()
        {
            let script = lua!(frees "giving holds up", "session/disown.lua");
            let arguments = vec![token.to_owned(), "0".to_owned()];
            self.do_later(script, session, arguments, true);
        }
        answer
    }

    /// Has a script run in the name of a session, if that has not ended, as soon as the server can be reached; behind whatever this
    /// process has asked for in vain.
    pub(crate) fn run_later(&self, name: &Arc<str>, script: &'static Lua, arguments: Vec<String>) {
        self.do_later(script, Arc::clone(name), arguments, false);
    }

    fn do_later(&self, script: &'static Lua, session: Arc<str>, arguments: Vec<String>, is_in_parts: bool) {
        let about: Arc<[String]> = arguments.iter().take(2).cloned().collect();
        let life = self.life();
        let mut state = lock(&life.state);
        // Not each time: there may be many.
        if state.owed.len().is_power_of_two() {
            state.owed.retain(|owed| owed.strong_count() > 0);
        }
        state.owed.push(Arc::downgrade(&about));
        state.work.errands.push_back(Errand { script, session, arguments, _about: about, is_in_parts });
        drop(state);
        life.changed.notify_all();
    }

    /// Whether something with these first arguments is still to be told to the server: then that is tried now.
    pub(crate) fn owes(&self, about: &[String]) -> bool {
        let life = self.life();
        let mut state = lock(&life.state);
        state.owed.retain(|owed| owed.strong_count() > 0);
        let owes = state.owed.iter().any(|owed| owed.upgrade().is_some_and(|owed| *owed == *about));
        state.is_urgent |= owes;
        drop(state);
        if owes {
            life.changed.notify_all();
        }
        owes
    }

    /// Which process the server is that this thread has asked last, if it tells.
    pub(crate) fn server(&self) -> Option<String> {
        self.client.server()
    }

    /// Whether what was got of one process of the server was asked of another one last: it may know an older state, in which what others have
    /// got since is ours.
    pub(crate) fn has_moved(&self, server: Option<&String>) -> bool {
        server.is_some_and(|server| self.server().is_some_and(|now| now != *server))
    }

    /// The answer to a command that changes nothing that matters, and for which the server may take so long.
    pub(crate) fn ask_for(&self, kind: Kind, what: &'static str, request: Cmd, time: Duration) -> Result<Value> {
        self.client.ask(request, Effect::Nothing, what, time).map_err(|failed| Session::failure(failed, kind))
    }

    pub(crate) fn failure(failed: Failed, kind: Kind) -> Error {
        match failed {
            Failed::Gone => Error::Gone { object: kind },
            Failed::Lost => Error::OwnerDied { object: kind },
            Failed::Other(error) => error,
        }
    }

    /// Whether there is something that this process has given up, and that the server may still carry out.
    #[cfg(test)]
    pub(super) fn is_in_doubt(&self) -> bool {
        self.client.is_in_doubt()
    }

    /// As [`Client::distrust`].
    pub(crate) fn distrust(&self, what: &'static str, answer: &Value) -> Error {
        self.client.distrust(what, answer)
    }

    /// A token that this process has not used here, nor, before the fork, the one it is a copy of: handles that were made by then keep theirs.
    pub(crate) fn token(&self) -> String {
        // Relaxed: a number of its own is all there is to it.
        format!("{:x}", self.tokens.fetch_add(1, Ordering::Relaxed))
    }

    /// A hold that a script has taken under a token, in the name of a session.
    pub(crate) fn held(self: &Arc<Self>, session: &str, token: String, object: String) -> Hold {
        let life = self.life();
        let mut state = lock(&life.state);
        state.holds.insert(token.clone(), object.clone());
        if &*state.name != session {
            state.work.missed.push((token.clone(), object.clone()));
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
        let script = lua!(frees "holding an object", "session/hold.lua");
        let answer = self.run_holding(kind, script, Effect::Repeatable, &token, |request| {
            request.arg(object);
            if let Some((session, ticket)) = ticket {
                request.arg(session).arg(ticket);
            }
        })?;
        match redis::from_redis_value::<(String, String)>(answer.value.clone()) {
            Ok((kind, of)) => Ok((self.held(&answer.session, token, object.to_owned()), kind, of)),
            Err(_) => Err(self.distrust("holding an object", &answer.value)),
        }
    }

    /// A hold for a handle on its way: the session whose it is, and its token. It lasts until the handle arrives, or until an hour after
    /// this session's end.
    pub(crate) fn ticket(self: &Arc<Self>, kind: Kind, object: &str) -> Result<(Arc<str>, String)> {
        let ticket = format!("t{}", self.token());
        let script = lua!(frees "holding an object", "session/ticket.lua");
        let answer = self.run_holding(kind, script, Effect::Repeatable, &ticket, |request| {
            request.arg(object);
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
        life.end();
    }
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
        state.work.later.push((name, std::mem::take(&mut self.token)));
        self.life.changed.notify_all();
    }
}
