//! Locks at a server, which survive their owners' deaths.
//!
//! An owner is a thread of a session, and has the lock as long as the session is heard: one lease for all that a process has, which one
//! thread renews, and so one notion of death. The usual alternative, a key with a time of its own for each lock, has each renewed by
//! itself, and a process that is partly dead. Whoever finds an owner dead takes the lock and is told so.
//!
//! A process that was stopped for longer than its lease may go on as if it still had the lock. What it writes elsewhere can be refused
//! there by the *fence*, a number that each owner has, greater than all before: also than those of a server that has lost its data, as long
//! as its clock has not been set back.

use std::marker::PhantomData;
use std::sync::Arc;

use redis::Value;

use super::client::Effect;
use super::giving;
use super::lua::{Lua, lua};
use super::object;
use super::session::{Answer, Hold, Session};
use super::waiting;
use crate::error::{Error, Kind, Result};
use crate::sys::clock::Deadline;
use crate::sys::{fork, thread};

/// A lock: of [`Kind::Lock`], or of [`Kind::RLock`], which its owner may lock again.
pub(crate) struct Lock {
    hold: Hold,
    kind: Kind,
}

/// What came of locking.
pub(crate) enum Locked {
    Ours(Turn),
    /// Somebody else has it, and had it until the time was up.
    Held,
    /// This thread has it, and it is no `RLock`.
    AlreadyHeld,
}

/// One level of a lock that this thread has, until it is given to [`Lock::release`]. It is not given back by itself.
pub(crate) struct Turn {
    session: Arc<str>,
    /// The process of the server that has granted it, if it tells.
    server: Option<String>,
    token: String,
    thread: u32,
    generation: u32,
    fence: u64,
    owner_died: bool,
    _thread: PhantomData<*const ()>,
}

impl Turn {
    /// Greater than those of all owners before.
    pub(crate) fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether an owner had died with it, and nobody had repaired since.
    pub(crate) fn owner_died(&self) -> bool {
        self.owner_died
    }

    /// False in a forked copy of the process that has locked.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    pub(super) fn session(&self) -> &Arc<str> {
        &self.session
    }

    /// Whether another process of the server was asked last than the one that has granted it: that cannot tell a level that it has never
    /// known from one that was given back.
    pub(super) fn has_moved(&self, session: &Session) -> bool {
        session.has_moved(self.server.as_ref())
    }

    /// What a script is told of it: THREAD TOKEN.
    pub(super) fn arguments(&self) -> [String; 2] {
        [format!("{:x}", self.thread), self.token.clone()]
    }
}

impl Lock {
    /// A new one, free.
    pub(crate) fn make(session: &Arc<Session>, kind: Kind) -> Result<Self> {
        Ok(Lock { hold: object::make(session, kind, &[])?, kind })
    }

    pub(crate) fn of(hold: Hold, kind: Kind) -> Self {
        Lock { hold, kind }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Waits for the lock until the deadline; one that has passed is a try.
    pub(crate) fn lock(&self, deadline: Deadline) -> Result<Locked> {
        let script = lua!("locking", "line/line.lua", "object/parts.lua", "lock/owner.lua", "lock/take.lua");
        self.lock_as(script, self.hold.session().token(), deadline)
    }

    /// Gives a lock back for a while, all levels that this thread has, as long as the level is kept for [`relock`](Self::relock). False if
    /// it was lost; then there is nothing to lock again.
    pub(crate) fn lend(&self, turn: &Turn) -> Result<bool> {
        self.ask(
            turn,
            lua!(frees "lending a lock", "line/line.lua", "object/parts.lua", "lock/owner.lua", "lock/lend.lua"),
        )
    }

    /// Takes a level again that was [lent](Self::lend), with the thread's others, however long that takes: of a full server, too. After an
    /// error the level that was lent is to be released.
    pub(crate) fn relock(&self, lent: &Turn) -> Result<Locked> {
        let script =
            lua!(frees "locking again", "line/line.lua", "object/parts.lua", "lock/owner.lua", "lock/take.lua");
        self.lock_as(script, lent.token.clone(), Deadline::NEVER)
    }

    fn lock_as(&self, script: &'static Lua, token: String, deadline: Deadline) -> Result<Locked> {
        let session = self.hold.session();
        let thread = thread::token();
        let locked = waiting::wait(session, self.kind, self.hold.object(), deadline, |waiter| {
            let answer = session.run_named(self.kind, script, Effect::Repeatable, |request| {
                request.arg(self.hold.object()).arg(format!("{thread:x}")).arg(&token);
                request.arg(u8::from(self.kind == Kind::Lock)).arg(waiter);
            })?;
            self.outcome(answer, &token, thread)
        });
        locked.map(|locked| locked.unwrap_or(Locked::Held)).inspect_err(|failure| {
            let script = lua!(frees "giving a lock up", "line/line.lua", "object/parts.lua", "lock/owner.lua", "lock/give_up.lua");
            let arguments = vec![self.hold.object().to_owned(), format!("{thread:x}"), token.clone()];
            giving::undo(session, failure, script, arguments);
        })
    }

    fn outcome(&self, answer: Answer, token: &str, thread: u32) -> Result<Option<Locked>> {
        let distrust = |value: &Value| self.hold.session().distrust("locking", value);
        let Value::Array(parts) = &answer.value else { return Err(distrust(&answer.value)) };
        let word = |index: usize| match parts.get(index) {
            Some(Value::BulkString(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        match (word(0), word(1).and_then(|fence| fence.parse().ok()), parts.get(2)) {
            (Some("held"), ..) => Ok(None),
            // Until the server has heard that this thread has given it back.
            (Some("mine"), ..) if self.hold.session().owes(&[self.hold.object().to_owned(), format!("{thread:x}")]) => {
                Ok(None)
            }
            (Some("mine"), ..) => Ok(Some(Locked::AlreadyHeld)),
            (Some("locked"), Some(fence), Some(Value::Int(dirty))) => Ok(Some(Locked::Ours(Turn {
                session: answer.session,
                server: self.hold.session().server(),
                token: token.to_owned(),
                thread,
                generation: fork::generation(),
                fence,
                owner_died: *dirty != 0,
                _thread: PhantomData,
            }))),
            _ => Err(distrust(&answer.value)),
        }
    }

    /// Gives a level back. False if it was lost: this process was not heard for so long that the lock counted as a dead owner's, or the
    /// server has lost its data. Then nobody else is disturbed.
    ///
    /// After an error the lock is given back when the server is there again, or else when this process's lease ends.
    pub(crate) fn release(&self, turn: &Turn) -> Result<bool> {
        let script =
            lua!(frees "unlocking", "line/line.lua", "object/parts.lua", "lock/owner.lua", "lock/give_back.lua");
        self.ask(turn, script)
    }

    /// Says that what a dead owner left is put right, so that the next one is not told. False if the lock was lost.
    pub(crate) fn repair(&self, turn: &mut Turn) -> Result<bool> {
        let script = lua!(frees "repairing", "object/parts.lua", "lock/repair.lua");
        let arguments = self.arguments(turn)?;
        // Not later: who is told that it has failed leaves it to the next owner, who is to be told.
        let answer = giving::ask(self.hold.session(), &turn.session, self.kind, script, &arguments)?;
        let is_done = self.is_done(turn, answer);
        turn.owner_died &= !is_done;
        Ok(is_done)
    }

    fn ask(&self, turn: &Turn, script: &'static Lua) -> Result<bool> {
        let arguments = self.arguments(turn)?;
        let answer = giving::give_back(self.hold.session(), &turn.session, self.kind, script, arguments)?;
        Ok(self.is_done(turn, answer))
    }

    fn arguments(&self, turn: &Turn) -> Result<Vec<String>> {
        if !turn.is_ours() {
            return Err(Error::ForkedCopy { object: self.kind });
        }
        let mut arguments = vec![self.hold.object().to_owned()];
        arguments.extend(turn.arguments());
        Ok(arguments)
    }

    fn is_done(&self, turn: &Turn, answer: Option<Value>) -> bool {
        answer == Some(Value::Int(1)) && !turn.has_moved(self.hold.session())
    }
}
