//! Whether anybody does the tasks of a build, seen from outside: what is at the server of `remote/tasks.rs`.
//!
//! A host that has nothing to do looks for tasks of other builds that nobody does. Who has started another executable than the pool's would
//! otherwise learn of it from nobody: the pool waits for a host, the host for tasks, and neither fails. Nothing at a server lists the builds,
//! and so it goes through the keys there, some at a time (SCAN). A user who may not do that is not told.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue, Value};

use crate::error::{Error, Kind, Result};
use crate::remote::session::Session;

const WHAT: &str = "looking who does tasks";

/// So many keys are looked at in one step, and one step is made in each round: less than a millisecond of the server's time in each second. A
/// guess.
const SOME_KEYS: usize = 1_000;
const ROUND: Duration = Duration::from_secs(1);

/// So many chunks in hands are looked at: there are as many as hosts have workers. A guess.
const MOST_PENDING: usize = 10_000;

/// Tasks of other builds that nobody does, as one host knows of them.
pub(super) struct Unserved {
    /// This host's build.
    own: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the last step was made.
    looked: Option<Instant>,
    /// Where the next one goes on.
    cursor: u64,
    /// By build, the first chunk that waited when nobody did the build's: between two chunks nobody seems to do them, either.
    suspects: HashMap<String, String>,
    told: HashSet<String>,
    may_not_look: bool,
}

impl Unserved {
    pub(super) fn new(own: &str) -> Self {
        Unserved { own: own.to_owned(), state: Mutex::default() }
    }

    /// Makes a step, unless one was made just now. `tell` is told a build, once, of which the same chunk has waited at two looks, and nobody did
    /// that build's at either.
    pub(super) fn look(&self, session: &Session, tell: impl Fn(&str)) {
        let Ok(mut state) = self.state.try_lock() else { return };
        if state.may_not_look || state.looked.is_some_and(|at| at.elapsed() < ROUND) {
            return;
        }
        state.looked = Some(Instant::now());
        let (cursor, keys) = match streams(session, state.cursor) {
            Ok(found) => found,
            Err(Error::Refused { .. }) => return state.may_not_look = true,
            Err(_) => return, // who wants tasks tells of it
        };
        state.cursor = cursor;
        for build in keys.iter().filter_map(|key| build_of(&session.address().prefix, key)) {
            if build == self.own || state.told.contains(build) {
                continue;
            }
            match first_waiting(session, build) {
                Ok(Some(chunk)) if state.suspects.get(build) == Some(&chunk) => {
                    state.suspects.remove(build);
                    state.told.insert(build.to_owned());
                    tell(build);
                }
                Ok(Some(chunk)) => drop(state.suspects.insert(build.to_owned(), chunk)),
                _ => drop(state.suspects.remove(build)),
            }
        }
    }
}

/// Where the next step goes on, and the keys of streams of tasks that were found in this one.
fn streams(session: &Session, cursor: u64) -> Result<(u64, Vec<String>)> {
    let mut request = redis::cmd("SCAN");
    let pattern = format!("{}:o:tasks-*:d", session.address().prefix);
    request.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SOME_KEYS);
    ask(session, request)
}

/// Others may have written there: what is printed is a build's name.
fn build_of<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let build = key.strip_prefix(prefix)?.strip_prefix(":o:tasks-")?.strip_suffix(":d")?;
    (build.len() == 32 && build.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(build)
}

/// The first chunk of a build, if nobody does that one's.
fn first_waiting(session: &Session, build: &str) -> Result<Option<String>> {
    let mut count = redis::cmd("XLEN");
    count.arg(key(session, build, "d"));
    if ask::<u64>(session, count)? == 0 || !hosts(session, build)?.is_empty() {
        return Ok(None);
    }
    // All of it comes along: only now.
    let mut request = redis::cmd("XRANGE");
    request.arg(key(session, build, "d")).arg("-").arg("+").arg("COUNT").arg(1);
    let first: Vec<(String, Value)> = ask(session, request)?;
    Ok(first.into_iter().next().map(|(chunk, _)| chunk))
}

/// The sessions of those that have tasks of a build in hands, or wait for some.
pub(super) fn hosts(session: &Session, build: &str) -> Result<HashSet<String>> {
    let mut waiting = redis::cmd("ZRANGE");
    waiting.arg(key(session, build, "w")).arg(0).arg(-1);
    let waiters: Vec<String> = ask(session, waiting)?;
    let mut pending = redis::cmd("XPENDING");
    pending.arg(key(session, build, "d")).arg("all").arg("-").arg("+").arg(MOST_PENDING);
    let in_hands: Vec<(String, String, u64, u64)> = ask(session, pending)?;
    let names = waiters.into_iter().chain(in_hands.into_iter().map(|(_, consumer, ..)| consumer));
    let sessions: HashSet<String> = names.filter_map(|name| Some(name.split_once('/')?.0.to_owned())).collect();
    if sessions.is_empty() {
        return Ok(sessions);
    }
    let mut ends = redis::cmd("ZMSCORE");
    ends.arg(format!("{}:sessions", session.address().prefix)).arg(Vec::from_iter(&sessions));
    let ends: Vec<Option<f64>> = ask(session, ends)?;
    // 0: it is condemned (sessions.lua).
    let living = |(name, end): (String, Option<f64>)| (end? > 0.0).then_some(name);
    Ok(sessions.into_iter().zip(ends).filter_map(living).collect())
}

fn key(session: &Session, build: &str, part: &str) -> String {
    format!("{}:o:tasks-{build}:{part}", session.address().prefix)
}

fn ask<T: FromRedisValue>(session: &Session, request: Cmd) -> Result<T> {
    let answer = session.ask_for(Kind::Queue, WHAT, request, Duration::ZERO)?;
    redis::from_redis_value(answer.clone()).map_err(|_| session.distrust(WHAT, &answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_build_is_not_told() {
        let build = "0123456789abcdef0123456789abcdef";
        let of = |name: &str| build_of("app", name).map(str::to_owned);
        assert_eq!(of(&format!("app:o:tasks-{build}:d")).as_deref(), Some(build));
        for other in [
            format!("app:o:tasks-{build}"),
            format!("app:o:tasks-{build}:w"),
            format!("apps:o:tasks-{build}:d"),
            format!("app:o:tasks-{}:d", &build[1..]),
            format!("app:o:tasks-{}\x1b:d", &build[1..]),
        ] {
            assert_eq!(of(&other), None, "{other:?}");
        }
    }
}
