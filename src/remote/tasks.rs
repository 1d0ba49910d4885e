//! Chunks of tasks at a server: those of one build of a program, for whoever runs it.
//!
//! They are kept as a queue's messages are (`lua/queue/queue.lua`), each an entry `i` INBOX `v` CHUNK, and read as these: an entry is pending under
//! a name of its own until it is done, and goes to another host if its host's session ends. What comes of it is put, in the same step in
//! which it ends, into the inbox of who has sent it: an object whose o:OBJECT:d is a list, with `taken`, how many were taken from its front;
//! `batch` and `entries`, what was put last. An inbox goes with its session, and chunks without an inbox go when somebody finds them.

use std::sync::Arc;

use redis::Value;

use super::client::{Effect, Failed};
use super::lua::lua;
use super::session::{Hold, Session};
use super::waiting::wait;
use crate::error::{Kind, Result};
use crate::sys::clock::Deadline;

/// In errors, which those who use a pool do not see.
const KIND: Kind = Kind::Queue;

/// The chunks of a build.
pub(crate) struct Tasks {
    hold: Hold,
}

/// Where outcomes arrive.
pub(crate) struct Inbox {
    hold: Hold,
}

/// A chunk that this process has in hands.
pub(crate) struct Claim {
    session: Arc<str>,
    token: String,
    entry: String,
    inbox: String,
    pub(crate) chunk: Vec<u8>,
}

/// What there is in an inbox.
#[derive(Default)]
pub(crate) struct Fetched {
    pub(crate) outcomes: Vec<Vec<u8>>,
    /// Entries of which nothing will come.
    pub(crate) missing: Vec<String>,
}

impl Tasks {
    /// Those of the build of this name, with letters and digits.
    pub(crate) fn open(session: &Arc<Session>, build: &str) -> Result<Self> {
        let script = lua!("opening the tasks of a program", "line/line.lua", "queue/queue.lua", "task/open.lua");
        let (token, object) = (session.token(), format!("tasks-{build}"));
        let opened = session.run_holding(KIND, script, Effect::Repeatable, &token, |request| {
            request.arg(&object);
        })?;
        Ok(Tasks { hold: session.held(&opened.session, token, object) })
    }

    fn session(&self) -> &Arc<Session> {
        self.hold.session()
    }

    /// Puts chunks; their entries. `batch` is theirs alone, and used again if they may have been put: by the one thread that puts into this
    /// inbox.
    pub(crate) fn push(&self, inbox: &Inbox, batch: &str, chunks: &[Vec<u8>]) -> Result<Vec<String>> {
        let script = lua!("putting tasks", "line/line.lua", "queue/queue.lua", "task/push.lua");
        let answer = self.session().run_named(KIND, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(inbox.hold.object()).arg(batch).arg(chunks);
        })?;
        match redis::from_redis_value::<String>(answer.value.clone()) {
            Ok(entries) => Ok(entries.split(' ').map(str::to_owned).collect()),
            Err(_) => Err(self.session().distrust(script.name(), &answer.value)),
        }
    }

    /// Takes entries out that nobody wants to be done: a bounded number.
    pub(crate) fn withdraw(&self, entries: &[String]) -> Result<()> {
        let script = lua!(frees "withdrawing tasks", "task/withdraw.lua");
        let withdrawn = self.session().run(KIND, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(entries);
        });
        withdrawn.map(drop)
    }

    /// The next chunk; waits for one until `is_over`, which is looked at each second. `token` is for one chunk; after an error it is to be used
    /// again, as a chunk may have been read under it.
    pub(crate) fn claim(&self, token: &str, is_over: impl Fn() -> bool) -> Result<Option<Claim>> {
        let script = lua!(frees "getting a task", "line/line.lua", "queue/queue.lua", "task/claim.lua");
        let (session, object) = (self.session(), self.hold.object());
        let found = wait(session, KIND, object, Deadline::NEVER, |waiter| {
            loop {
                if is_over() {
                    return Ok(Some(None));
                }
                let answer = session.run_named(KIND, script, Effect::Repeatable, |request| {
                    request.arg(object).arg(token).arg(waiter);
                })?;
                match answer.value {
                    Value::Int(0) => return Ok(None),
                    Value::Int(1) => {}
                    other => {
                        let (entry, inbox, chunk) = redis::from_redis_value(other.clone())
                            .map_err(|_| session.distrust(script.name(), &other))?;
                        let token = token.to_owned();
                        return Ok(Some(Some(Claim { session: answer.session, token, entry, inbox, chunk })));
                    }
                }
            }
        })?;
        Ok(found.flatten())
    }

    /// Sends what has come of a chunk, if that is still this process's; it is not any more after any result but an error. After that it may
    /// be asked again.
    pub(crate) fn done(&self, claim: &Claim, outcome: &[u8]) -> Result<()> {
        let script = lua!(frees "sending what has come of tasks", "line/line.lua", "queue/queue.lua", "task/done.lua");
        let told = self.session().run_as(&claim.session, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(&claim.token).arg(&claim.entry).arg(&claim.inbox).arg(outcome);
        });
        settled(told)
    }

    /// Leaves a chunk to others.
    pub(crate) fn give_back(&self, claim: &Claim) -> Result<()> {
        let script = lua!(frees "giving a message back", "line/line.lua", "queue/queue.lua", "queue/give_back.lua");
        let told = self.session().run_as(&claim.session, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(&claim.token);
        });
        settled(told)
    }
}

/// Of a chunk that somebody else has, or that is no more, nothing is to be told.
fn settled(told: Result<Value, Failed>) -> Result<()> {
    match told {
        Ok(_) | Err(Failed::Lost | Failed::Gone) => Ok(()),
        Err(Failed::Other(error)) => Err(error),
    }
}

impl Inbox {
    pub(crate) fn make(session: &Arc<Session>) -> Result<Self> {
        let (token, object) = (session.token(), Session::new_object());
        let script = lua!("making an inbox", "object/make.lua");
        let made = session.run_holding(KIND, script, Effect::Repeatable, &token, |request| {
            request.arg(&object).arg("inbox").arg("");
        })?;
        Ok(Inbox { hold: session.held(&made.session, token, object) })
    }

    /// Outcomes behind the first `taken`, which go; waits for some until `is_over`, which is looked at each second, as is `to_check`: which
    /// entries are to be looked at, no more than some hundred.
    pub(crate) fn fetch(
        &self,
        tasks: &Tasks,
        taken: u64,
        is_over: impl Fn() -> bool,
        mut to_check: impl FnMut() -> Vec<String>,
    ) -> Result<Fetched> {
        let script = lua!(frees "waiting for what comes of tasks", "line/line.lua", "task/fetch.lua");
        let (session, object) = (self.hold.session(), self.hold.object());
        let found = wait(session, KIND, object, Deadline::NEVER, |waiter| {
            if is_over() {
                return Ok(Some(Fetched::default()));
            }
            let entries = to_check();
            let answer = session.run_named(KIND, script, Effect::Repeatable, |request| {
                request.arg(object).arg(tasks.hold.object()).arg(taken).arg(waiter.unwrap_or_default()).arg(&entries);
            })?;
            let (outcomes, missing): (Vec<Vec<u8>>, Vec<String>) = redis::from_redis_value(answer.value.clone())
                .map_err(|_| session.distrust(script.name(), &answer.value))?;
            Ok((!outcomes.is_empty() || !missing.is_empty()).then_some(Fetched { outcomes, missing }))
        })?;
        Ok(found.unwrap_or_default())
    }
}
