//! A session in one process: its name, what is held in it, and the thread that renews it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use redis::Value;

use super::anew::{Former, LOOK};
use super::client::{Client, Effect, Failed};
use super::lua::lua;
use super::random;
use super::work::{Pass, STEP, Work};
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::fork;

/// A session in one process.
pub(super) struct Life {
    pub(super) generation: u32,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
    joining: Mutex<Joining>,
    joined: Condvar,
}

/// One makes the next session, for all who want it meanwhile.
struct Joining {
    is_on: bool,
    /// How often somebody has come to an end with it, and to which.
    rounds: u64,
    last: Result<()>,
}

pub(super) struct State {
    pub(super) name: Arc<str>,
    /// Whoever asks in this name has it until what it was granted is in `holds`, and under `missed` if the name is another one by then.
    pub(super) pending: Arc<()>,
    /// By token, what is held.
    pub(super) holds: HashMap<String, String>,
    /// What is to be told to the server.
    pub(super) work: Work,
    /// Somebody waits for what has failed to be told.
    pub(super) is_urgent: bool,
    /// What errands that are not done yet are about, and some that are.
    pub(super) owed: Vec<Weak<[String]>>,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Unborn,
    Running,
    /// Nobody uses it any more.
    Ending,
    Ended,
}

/// Who drops the last handle waits so long, at most, until the server knows.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The name, and what says that something is asked in it.
    pub(super) fn asking(&self) -> (Arc<str>, Arc<()>) {
        (Arc::clone(&self.name), Arc::clone(&self.pending))
    }
}

impl Life {
    pub(super) fn new() -> Arc<Self> {
        let state = State {
            name: random::hexadecimal().into(),
            pending: Arc::default(),
            holds: HashMap::new(),
            work: Work::default(),
            is_urgent: false,
            owed: Vec::new(),
            stage: Stage::Unborn,
        };
        Arc::new(Life {
            generation: fork::generation(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            joining: Mutex::new(Joining { is_on: false, rounds: 0, last: Ok(()) }),
            joined: Condvar::new(),
        })
    }

    /// Begins the first session, unless somebody has.
    pub(super) fn begin(self: &Arc<Self>, client: &Arc<Client>) -> Result<()> {
        self.once_for_all(client, || {
            if lock(&self.state).stage == Stage::Unborn { self.begin_alone(client) } else { Ok(()) }
        })
    }

    /// Has one thread join: who comes meanwhile has its outcome, and waits for that no longer than for a server. Else as many as ask a silent
    /// server would each wait for all before.
    fn once_for_all(&self, client: &Client, join: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut joining = lock(&self.joining);
        if joining.is_on {
            let (rounds, limit) = (joining.rounds, client.address.patience);
            let waited = self.joined.wait_timeout_while(joining, limit, |joining| joining.rounds == rounds);
            let (joining, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if joining.rounds != rounds {
                return joining.last.clone();
            }
            let reason = "another thread waits for its answer".to_owned();
            return Err(Error::Unreachable { address: client.address.to_string(), reason });
        }
        joining.is_on = true;
        drop(joining);
        let result = join();
        let mut joining = lock(&self.joining);
        *joining = Joining { is_on: false, rounds: joining.rounds + 1, last: result.clone() };
        self.joined.notify_all();
        result
    }

    fn begin_alone(self: &Arc<Self>, client: &Arc<Client>) -> Result<()> {
        let (name, holds) = self.present();
        Self::join(client, &name, &holds)?;
        let server = client.server();
        // It must not wait for an answer for so long that the lease runs out meanwhile.
        let (thread_life, client) = (Arc::clone(self), client.hurried(client.address.lease / 4));
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
        let script = lua!(frees "beginning a session", "session/begin.lua");
        let begun = client.run(script, Effect::Repeatable, |request| {
            request.arg(name).arg(client.address.lease.as_millis() as u64);
        });
        match begun.and_then(|_| hold_more(client, name, holds)) {
            Ok(()) => Ok(()),
            Err(Failed::Other(error)) => Err(error),
            Err(Failed::Gone | Failed::Lost) => Err(client.distrust(script.name(), &Value::Nil)),
        }
    }

    /// Goes on as a new session, unless somebody has seen to it since the name was asked for.
    pub(super) fn rejoin(&self, client: &Client, lost: &str) -> Result<()> {
        self.once_for_all(client, || self.rejoin_alone(client, lost))
    }

    fn rejoin_alone(&self, client: &Client, lost: &str) -> Result<()> {
        let (present, holds) = self.present();
        if &*present != lost {
            return Ok(());
        }
        let name: Arc<str> = random::hexadecimal().into();
        Self::join(client, &name, &holds)?;
        let mut state = lock(&self.state);
        // What was taken meanwhile is the one's that has ended.
        let joined: HashSet<&String> = holds.iter().map(|(token, _)| token).collect();
        let taken = state.holds.iter().filter(|(token, _)| !joined.contains(token));
        let taken: Vec<_> = taken.map(|(token, object)| (token.clone(), object.clone())).collect();
        state.work.missed.extend(taken);
        // What was dropped meanwhile has been given up in the name of the one that has ended.
        let dropped: Vec<_> = holds.into_iter().filter(|(token, _)| !state.holds.contains_key(token)).collect();
        state.work.later.extend(dropped.into_iter().map(|(token, _)| (Arc::clone(&name), token)));
        (state.name, state.pending) = (name, Arc::default());
        Ok(())
    }

    /// Takes holds in this session's name that were taken in an earlier one's.
    pub(super) fn catch_up(&self, client: &Client, work: &mut Work, failed: &mut Work) {
        let missed = std::mem::take(&mut work.missed);
        if missed.is_empty() {
            return;
        }
        let name = self.name();
        // A session that has ended must not begin again under its name: others have taken what was its own.
        let held = hold_more(client, &name, &missed);
        let mut state = lock(&self.state);
        if held.is_err() || state.name != name {
            failed.missed.extend(missed);
            return;
        }
        let dropped: Vec<_> = missed.into_iter().filter(|(token, _)| !state.holds.contains_key(token)).collect();
        state.work.later.extend(dropped.into_iter().map(|(token, _)| (Arc::clone(&name), token)));
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

    /// What the session's thread does: it renews the lease, before all else, and tells the server what it is to be told. What fails is tried
    /// again, each eighth of a lease or as long as an attempt takes. `server`: where the session has begun.
    fn keep(&self, client: &Client, mut server: Option<String>) {
        let pause = client.address.lease / 4;
        let mut renewed_at = Instant::now();
        let (mut failed, mut retry_at) = (Work::default(), renewed_at);
        let mut former: Vec<Former> = Vec::new();
        loop {
            let mut wake_at = if failed.is_empty() { renewed_at + pause } else { retry_at.min(renewed_at + pause) };
            if !former.is_empty() {
                wake_at = wake_at.min(Instant::now() + LOOK);
            }
            let (mut work, is_ending, is_urgent) = self.next(wake_at);
            if renewed_at.elapsed() >= pause {
                renewed_at = Instant::now();
                self.renew(client);
                let present = client.server();
                if server.is_none() || server == present {
                    server = present.or(server);
                } else if present.is_some()
                    && let Some(left) = self.begin_anew(client)
                {
                    former.push(left);
                    server = present;
                }
            }
            if is_ending || is_urgent || Instant::now() >= retry_at {
                work.precede(std::mem::take(&mut failed));
            }
            let had_failed = !failed.is_empty();
            // It is renewed in time also by who has much to tell.
            let until = if is_ending { Instant::now() + FAREWELL } else { renewed_at + pause };
            self.catch_up(client, &mut work, &mut failed);
            self.end_former(client, &mut former, &mut failed);
            let pass = work.tell(client, until, &mut failed);
            if is_ending {
                former.iter().for_each(|former| former.end(client));
                while end_session(client, &self.name()) {}
                lock(&self.state).stage = Stage::Ended;
                self.changed.notify_all();
                return;
            }
            match pass {
                Pass::Away => failed.append(work),
                Pass::Whole | Pass::Late => lock(&self.state).work.precede(work),
            }
            failed.keep_of(&self.name());
            if !had_failed {
                retry_at = Instant::now() + pause / 2;
            }
        }
    }

    /// What there is to do, when there is something, or at this time; whether nobody uses the session any more, and whether somebody waits for
    /// what has failed.
    fn next(&self, wake_at: Instant) -> (Work, bool, bool) {
        let idle = |state: &mut State| state.stage == Stage::Running && state.work.is_empty() && !state.is_urgent;
        let limit = wake_at.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(lock(&self.state), limit, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let is_urgent = std::mem::take(&mut state.is_urgent);
        (std::mem::take(&mut state.work), state.stage == Stage::Ending, is_urgent)
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&lock(&self.state).name)
    }

    /// Renews the lease, and then removes what others have left, for an eighth of the time to the next renewal (a guess).
    fn renew(&self, client: &Client) {
        let name = self.name();
        let script = lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua");
        let until = Deadline::after(client.address.lease / 32);
        loop {
            let renewed = client.run(script, Effect::Nothing, |request| {
                request.arg(&*name).arg(client.address.lease.as_millis() as u64);
            });
            match renewed {
                Ok(Value::Int(1..)) if !until.has_passed() => {}
                Err(Failed::Lost) => return drop(self.rejoin(client, &name)),
                _ => return,
            }
        }
    }
}

/// Has a session that has not ended hold more.
fn hold_more(client: &Client, name: &str, holds: &[(String, String)]) -> Result<(), Failed> {
    let script = lua!(frees "holding objects", "session/hold_more.lua");
    holds.chunks(STEP).try_for_each(|some| {
        let held = client.run(script, Effect::Repeatable, |request| {
            request.arg(name);
            for (token, object) in some {
                request.arg(token).arg(object);
            }
        });
        held.map(drop)
    })
}

/// Whether it is to be asked again, as it had much. If it is not, others do the rest with their renewals.
pub(super) fn end_session(client: &Client, name: &str) -> bool {
    let script = lua!(frees "ending a session", "session/grave.lua", "session/end.lua");
    let ended = client.run(script, Effect::Repeatable, |request| {
        request.arg(name);
    });
    matches!(ended, Ok(Value::Int(1)))
}
