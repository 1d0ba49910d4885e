//! Semaphores at a server, whose permits come back from the dead.
//!
//! A permit belongs to a session, as long as that is heard; who finds none free looks whether the owners of some are, of a hundred at
//! a time.

use std::sync::Arc;

use redis::Value;

use super::client::Effect;
use super::giving;
use super::lua::{Lua, lua};
use super::object;
use super::session::{Hold, Session};
use super::waiting;
use crate::error::{Error, Kind, Result};
use crate::sys::clock::Deadline;
use crate::sys::fork;

/// A semaphore: of [`Kind::Semaphore`], or of [`Kind::BoundedSemaphore`], which differ in the most permits that there can be.
pub(crate) struct Semaphore {
    hold: Hold,
    kind: Kind,
}

/// The most permits that there can be: as in shared memory.
pub(crate) const MOST: usize = 1 << 30;

/// A permit of this process, until it is given to [`Semaphore::give_back`] or [`Semaphore::forget`]. It does not go back by itself.
pub(crate) struct Permit {
    session: Arc<str>,
    /// The process of the server that has granted it, if it tells.
    server: Option<String>,
    token: String,
    generation: u32,
}

impl Permit {
    /// False in a forked copy of the process that has acquired it.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl Semaphore {
    /// A new one, with so many free permits, and how many there can be.
    pub(crate) fn make(session: &Arc<Session>, kind: Kind, permits: usize, most: usize) -> Result<Self> {
        Ok(Semaphore { hold: object::make(session, kind, &Self::fields(kind, permits, most)?)?, kind })
    }

    /// Of a new one.
    pub(crate) fn fields(kind: Kind, permits: usize, most: usize) -> Result<[(&'static str, String); 3]> {
        if !(1..=MOST).contains(&most) {
            return Err(Error::Capacity { object: kind, capacity: most, most: MOST });
        }
        if permits > most {
            return Err(Error::TooManyPermits { object: kind, permits, room: most });
        }
        Ok([("free", permits.to_string()), ("max", most.to_string()), ("out", "0".to_owned())])
    }

    pub(crate) fn of(hold: Hold, kind: Kind) -> Self {
        Semaphore { hold, kind }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// A permit, waited for until the deadline; one that has passed is a try.
    pub(crate) fn acquire(&self, deadline: Deadline) -> Result<Option<Permit>> {
        let session = self.hold.session();
        let token = session.token();
        let acquired = waiting::wait(session, self.kind, self.hold.object(), deadline, |waiter| {
            let script = lua!(
                "acquiring a permit",
                "line/line.lua",
                "object/parts.lua",
                "semaphore/permits.lua",
                "semaphore/acquire.lua"
            );
            let answer = session.run_named(self.kind, script, Effect::Repeatable, |request| {
                request.arg(self.hold.object()).arg(&token).arg(waiter);
            })?;
            let permit = || Permit {
                session: answer.session,
                server: session.server(),
                token: token.clone(),
                generation: fork::generation(),
            };
            Ok((answer.value == Value::Int(1)).then(permit))
        });
        acquired.inspect_err(|failure| giving::undo(session, failure, Self::end(), self.arguments(&token, "not")))
    }

    /// Gives a permit back. False if it was lost: this process was not heard for so long that the permit counted as a dead owner's, or
    /// the server has lost its data. Then no permit becomes free.
    ///
    /// After an error it goes back when the server is there again, or else when this process's lease ends.
    pub(crate) fn give_back(&self, permit: &Permit) -> Result<bool> {
        self.end_as(permit, "free")
    }

    /// Has nobody own a permit, so that it goes back by [`release`](Self::release) only. False if it was lost. After an error it
    /// is [given back](Self::give_back) later, if it was not forgotten.
    pub(crate) fn forget(&self, permit: &Permit) -> Result<bool> {
        self.end_as(permit, "forgotten")
    }

    fn end() -> &'static Lua {
        lua!(frees "giving a permit back", "line/line.lua", "object/parts.lua", "semaphore/give_back.lua")
    }

    fn arguments(&self, token: &str, how: &str) -> Vec<String> {
        vec![self.hold.object().to_owned(), token.to_owned(), how.to_owned()]
    }

    fn end_as(&self, permit: &Permit, how: &str) -> Result<bool> {
        if !permit.is_ours() {
            return Err(Error::ForkedCopy { object: self.kind });
        }
        let (session, arguments) = (self.hold.session(), self.arguments(&permit.token, how));
        let answer = giving::ask(session, &permit.session, self.kind, Self::end(), &arguments).inspect_err(|_| {
            session.run_later(&permit.session, Self::end(), self.arguments(&permit.token, "free"));
        })?;
        // Another process of the server cannot tell a permit that it has never known from one that was given back.
        Ok(answer == Some(Value::Int(1)) && !session.has_moved(permit.server.as_ref()))
    }

    /// Makes so many permits free that nobody owns, or none if there is no room for all: [`TooManyPermits`](Error::TooManyPermits).
    pub(crate) fn release(&self, permits: usize) -> Result<()> {
        if permits == 0 {
            return Ok(());
        }
        let session = self.hold.session();
        let token = session.token();
        let script = lua!(frees "releasing permits", "line/line.lua", "object/parts.lua", "object/recent.lua", "semaphore/permits.lua", "semaphore/release.lua");
        let answer = session.run_named(self.kind, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(&token).arg(permits).arg(object::recent(session));
        })?;
        match redis::from_redis_value::<(bool, usize)>(answer.value.clone()) {
            Ok((true, _)) => Ok(()),
            Ok((false, room)) => Err(Error::TooManyPermits { object: self.kind, permits, room }),
            Err(_) => Err(session.distrust("releasing permits", &answer.value)),
        }
    }

    /// How many permits are free, those of the dead among them. Stale at once.
    pub(crate) fn value(&self) -> Result<usize> {
        Ok(self.numbers()?.0)
    }

    fn numbers(&self) -> Result<(usize, usize)> {
        let script = lua!(frees "counting permits", "line/line.lua", "object/parts.lua", "semaphore/permits.lua", "semaphore/numbers.lua");
        let session = self.hold.session();
        let answer = session.run(self.kind, script, Effect::Repeatable, |request| {
            request.arg(self.hold.object());
        })?;
        redis::from_redis_value(answer.clone()).map_err(|_| session.distrust("counting permits", &answer))
    }
}
