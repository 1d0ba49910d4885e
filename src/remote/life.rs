//! A session in one process: its name, what is held in it, and the thread that renews it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis::Value;

use super::client::{Client, Effect, Failed};
use super::link::Seat;
use super::lua::{Lua, lua};
use super::random;
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::fork;

/// A session in one process.
pub(super) struct Life {
    pub(super) generation: u32,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
    /// Who has it makes the next session, for all.
    joining: Mutex<()>,
}

pub(super) struct State {
    pub(super) name: Arc<str>,
    /// By token, what is held.
    pub(super) holds: HashMap<String, String>,
    /// What is to be given up: the session, and the token.
    pub(super) later: Vec<(Arc<str>, String)>,
    /// What else is to be told to the server.
    pub(super) errands: Vec<Errand>,
    /// Holds that were taken in the name of a session that has ended since: to be taken in this one's.
    pub(super) missed: Vec<(String, String)>,
    pub(super) tokens: u64,
    pub(super) stage: Stage,
}

/// A script that the session's thread runs for somebody who has given up waiting for the server; Repeatable.
pub(super) struct Errand {
    pub(super) script: &'static Lua,
    pub(super) session: Arc<str>,
    pub(super) arguments: Vec<String>,
    /// What must not be carried out any more once this has been.
    pub(super) doubts: Vec<Seat>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Unborn,
    Running,
    /// Nobody uses it any more.
    Ending,
    Ended,
}

/// So many holds are taken, or given up, in one step, in which the server does nothing else.
const STEP: usize = 500;

/// Who drops the last handle waits so long, at most, until the server knows.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Life {
    pub(super) fn new() -> Arc<Self> {
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

    /// Begins the first session, unless somebody has.
    pub(super) fn begin(self: &Arc<Self>, client: &Arc<Client>) -> Result<()> {
        let _joining = lock(&self.joining);
        if lock(&self.state).stage != Stage::Unborn {
            return Ok(());
        }
        let (name, holds) = self.present();
        Self::join(client, &name, &holds)?;
        let server = client.server();
        // It must not wait for an answer for so long that the lease runs out meanwhile.
        let mut address = client.address.clone();
        address.patience = address.patience.min(address.lease / 4);
        let (thread_life, client) = (Arc::clone(self), Client::new(address)?);
        let started = thread::Builder::new()
            .name("crossproc-lease".into())
            .stack_size(256 << 10)
            .spawn(move || thread_life.keep(&client, server));
        started.map_err(|error| Error::os("start a thread", error))?;
        lock(&self.state).stage = Stage::Running;
        Ok(())
    }

    pub(super) fn present(&self) -> (Arc<str>, Vec<(String, String)>) {
        let state = lock(&self.state);
        let holds = state.holds.iter().map(|(token, object)| (token.clone(), object.clone()));
        (Arc::clone(&state.name), holds.collect())
    }

    /// Begins a session, or goes on with it, which holds these besides.
    pub(super) fn join(client: &Client, name: &str, holds: &[(String, String)]) -> Result<()> {
        let script = lua!(frees "beginning a session", "begin.lua");
        let begun = client.run(script, Effect::Repeatable, Duration::ZERO, |request| {
            request.arg(name).arg(client.address.lease.as_millis() as u64);
        });
        match begun.and_then(|_| hold_more(client, name, holds)) {
            Ok(()) => Ok(()),
            Err(Failed::Other(error)) => Err(error),
            Err(Failed::Gone | Failed::Lost) => Err(client.invalid(script.name(), &Value::Nil)),
        }
    }

    /// Goes on as a new session, unless somebody has seen to it since the name was asked for.
    pub(super) fn rejoin(&self, client: &Client, lost: &str) -> Result<()> {
        let _joining = lock(&self.joining);
        let (present, holds) = self.present();
        if &*present != lost {
            return Ok(());
        }
        let name: Arc<str> = random::hexadecimal().into();
        Self::join(client, &name, &holds)?;
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
        let held = hold_more(client, name, &missed);
        let mut state = lock(&self.state);
        if held.is_err() || state.name != *name {
            state.missed.extend(missed);
            return;
        }
        let dropped: Vec<_> = missed.into_iter().filter(|(token, _)| !state.holds.contains_key(token)).collect();
        state.later.extend(dropped.into_iter().map(|(token, _)| (Arc::clone(name), token)));
    }

    /// Nobody uses it any more: its thread says so to the server.
    pub(super) fn end(&self) {
        let mut state = lock(&self.state);
        if state.stage != Stage::Running {
            return;
        }
        state.stage = Stage::Ending;
        self.changed.notify_all();
        let ended = self.changed.wait_timeout_while(state, FAREWELL, |state| state.stage != Stage::Ended);
        drop(ended);
    }

    /// What the session's thread does: it renews the lease, and gives up what is to be given up. `server`: where the session
    /// has begun.
    fn keep(&self, client: &Client, mut server: Option<String>) {
        let pause = client.address.lease / 4;
        let mut renewed_at = Instant::now();
        loop {
            let (name, later, errands, is_ending) = {
                let state = lock(&self.state);
                let idle = |state: &mut State| {
                    state.stage == Stage::Running
                        && state.later.is_empty()
                        && state.errands.is_empty()
                        && state.missed.is_empty()
                };
                let (mut state, _) = self
                    .changed
                    .wait_timeout_while(state, pause.saturating_sub(renewed_at.elapsed()), idle)
                    .unwrap_or_else(PoisonError::into_inner);
                let (later, errands) = (std::mem::take(&mut state.later), std::mem::take(&mut state.errands));
                (Arc::clone(&state.name), later, errands, state.stage == Stage::Ending)
            };
            if renewed_at.elapsed() >= pause {
                renewed_at = Instant::now();
                self.renew(client, &name);
                let present = client.server();
                if present.is_some() {
                    if server.is_some() && server != present {
                        self.begin_anew(client, &name);
                    }
                    server = present;
                }
            }
            self.catch_up(client, &name);
            let unheard = run_errands(client, errands);
            let left = give_up(client, later);
            if is_ending {
                while end_session(client, &name) {}
                lock(&self.state).stage = Stage::Ended;
                self.changed.notify_all();
                return;
            }
            let has_left = !left.is_empty() || !unheard.is_empty() || !lock(&self.state).missed.is_empty();
            {
                let mut state = lock(&self.state);
                state.later.splice(0..0, left);
                state.errands.splice(0..0, unheard);
            }
            if has_left {
                // The server is not to be reached: what is left waits for the next renewal.
                let state = lock(&self.state);
                let _ = self.changed.wait_timeout_while(state, pause, |state| state.stage == Stage::Running);
            }
        }
    }

    /// Another process is the server, which may remember an older state: locks that were released since, handles that were dropped. What this
    /// session had by that state is given up, and what this process has is held anew.
    fn begin_anew(&self, client: &Client, name: &str) {
        if self.rejoin(client, name).is_ok() {
            end_session(client, name);
        }
    }

    /// And does its share of what is left of others, some steps at a time.
    fn renew(&self, client: &Client, name: &str) {
        let script = lua!(frees "renewing a session", "grave.lua", "renew.lua");
        let until = Deadline::after(client.address.lease / 32);
        loop {
            let renewed = client.run(script, Effect::Nothing, Duration::ZERO, |request| {
                request.arg(name).arg(client.address.lease.as_millis() as u64);
            });
            match renewed {
                Ok(Value::Int(1..)) if !until.has_passed() => {}
                Err(Failed::Lost) => return drop(self.rejoin(client, name)),
                _ => return,
            }
        }
    }
}

/// Has a session that has not ended hold more.
fn hold_more(client: &Client, name: &str, holds: &[(String, String)]) -> Result<(), Failed> {
    let script = lua!(frees "holding objects", "hold_more.lua");
    holds.chunks(STEP).try_for_each(|some| {
        let held = client.run(script, Effect::Repeatable, Duration::ZERO, |request| {
            request.arg(name);
            for (token, object) in some {
                request.arg(token).arg(object);
            }
        });
        held.map(drop)
    })
}

/// Whether it is to be asked again, as it had much. If it is not, others do the rest with their renewals.
fn end_session(client: &Client, name: &str) -> bool {
    let script = lua!(frees "ending a session", "grave.lua", "end.lua");
    let ended = client.run(script, Effect::Repeatable, Duration::ZERO, |request| {
        request.arg(name);
    });
    matches!(ended, Ok(Value::Int(1)))
}

/// Runs what others have left to be run; the rest, when the server does not hear, or refuses for now.
fn run_errands(client: &Client, errands: Vec<Errand>) -> Vec<Errand> {
    let mut left = errands.into_iter();
    while let Some(errand) = left.next() {
        client.adopt(&errand.doubts);
        let sent = client.run(errand.script, Effect::Repeatable, Duration::ZERO, |request| {
            request.arg(&*errand.session).arg(&errand.arguments);
        });
        if let Err(Failed::Other(_)) = sent {
            return std::iter::once(errand).chain(left).collect();
        }
    }
    Vec::new()
}

/// Gives holds up, of whichever sessions; those that the server has not heard of.
fn give_up(client: &Client, mut later: Vec<(Arc<str>, String)>) -> Vec<(Arc<str>, String)> {
    while let Some((session, _)) = later.first().cloned() {
        let mut left = STEP;
        let (mine, others): (Vec<_>, Vec<_>) = later.into_iter().partition(|(name, _)| {
            let is_next = *name == session && left > 0;
            left -= usize::from(is_next);
            is_next
        });
        let sent =
            client.run(lua!(frees "giving holds up", "let_go.lua"), Effect::Repeatable, Duration::ZERO, |request| {
                request.arg(&*session);
                mine.iter().for_each(|(_, token)| {
                    request.arg(token);
                });
            });
        match sent {
            Err(Failed::Other(_)) => {
                return mine.into_iter().chain(others).collect();
            }
            _ => later = others,
        }
    }
    later
}
