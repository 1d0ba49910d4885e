//! What a session's thread is to tell the server, since whoever wanted it told has not been heard, or does not wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use redis::Value;

use super::client::{Client, Effect, Failed};
use super::lua::{Lua, lua};
use crate::error::Error;

/// A script that is run in the name of a session, until the server has heard it, as long as that session is this process's; Repeatable.
pub(super) struct Errand {
    pub(super) script: &'static Lua,
    pub(super) session: Arc<str>,
    pub(super) arguments: Vec<String>,
    /// The first of them, for who asks what is not done yet: it is there as long as this is.
    pub(super) _about: Arc<[String]>,
    /// Whether the server does it a part at a time, and answers from where it is to go on: the last argument, `0` in the beginning and in
    /// the end.
    pub(super) is_in_parts: bool,
}

#[derive(Default)]
pub(super) struct Work {
    pub(super) errands: VecDeque<Errand>,
    /// Holds that are to be given up: the session, and the token.
    pub(super) later: Vec<(Arc<str>, String)>,
    /// Holds that were taken in the name of a session that has ended since: to be taken in this one's.
    pub(super) missed: Vec<(String, String)>,
}

/// How far somebody came who told the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// All has been tried.
    Whole,
    /// There is no time left.
    Late,
    /// The server is not to be reached.
    Away,
}

/// So many holds are taken, or given up, in one step, in which the server does nothing else: a guess, a few milliseconds of its time.
pub(super) const STEP: usize = 500;

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.errands.is_empty() && self.later.is_empty() && self.missed.is_empty()
    }

    pub(super) fn append(&mut self, newer: Work) {
        self.errands.extend(newer.errands);
        self.later.extend(newer.later);
        self.missed.extend(newer.missed);
    }

    /// Puts what is older before this.
    pub(super) fn precede(&mut self, older: Work) {
        let newer = std::mem::replace(self, older);
        self.append(newer);
    }

    /// Runs the errands, and gives holds up. What fails is in `failed` then, and what is left has not been tried.
    pub(super) fn tell(&mut self, client: &Client, until: Instant, failed: &mut Work) -> Pass {
        match self.run_errands(client, until, failed) {
            Pass::Whole => self.give_up(client, until, failed),
            other => other,
        }
    }

    fn run_errands(&mut self, client: &Client, until: Instant, failed: &mut Work) -> Pass {
        while let Some(mut errand) = self.errands.pop_front() {
            let sent = client.run(errand.script, Effect::Repeatable, |request| {
                request.arg(&*errand.session).arg(&errand.arguments);
            });
            let pass = Pass::after(&sent, until);
            match sent {
                Err(Failed::Other(_)) => failed.errands.push_back(errand),
                Ok(Value::BulkString(next)) if errand.is_in_parts && next != b"0" => {
                    errand.arguments.pop();
                    errand.arguments.push(String::from_utf8_lossy(&next).into_owned());
                    self.errands.push_front(errand);
                }
                _ => {}
            }
            if pass != Pass::Whole {
                return pass;
            }
        }
        Pass::Whole
    }

    /// Of whichever sessions.
    fn give_up(&mut self, client: &Client, until: Instant, failed: &mut Work) -> Pass {
        let script = lua!(frees "giving holds up", "session/let_go.lua");
        while let Some((session, _)) = self.later.first().cloned() {
            let mut mine = Vec::new();
            self.later.retain(|hold| {
                let is_mine = hold.0 == session && mine.len() < STEP;
                if is_mine {
                    mine.push(hold.clone());
                }
                !is_mine
            });
            let sent = client.run(script, Effect::Repeatable, |request| {
                request.arg(&*session);
                mine.iter().for_each(|(_, token)| {
                    request.arg(token);
                });
            });
            let pass = Pass::after(&sent, until);
            if let Err(Failed::Other(_)) = sent {
                failed.later.extend(mine);
            }
            if pass != Pass::Whole {
                return pass;
            }
        }
        Pass::Whole
    }

    /// Forgets what was to be told in the name of a session that is not this process's any more: what that had goes without.
    pub(super) fn keep_of(&mut self, session: &str) {
        self.errands.retain(|errand| &*errand.session == session);
        self.later.retain(|(name, _)| &**name == session);
    }
}

impl Pass {
    fn after<T>(sent: &Result<T, Failed>, until: Instant) -> Self {
        match sent {
            // Nothing else would be heard either. What is refused is no reason not to tell the rest.
            Err(Failed::Other(Error::Unreachable { .. } | Error::Unanswered { .. })) => Pass::Away,
            _ if Instant::now() >= until => Pass::Late,
            _ => Pass::Whole,
        }
    }
}
