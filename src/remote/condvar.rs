//! Condition variables at a server.
//!
//! Who waits joins the line in the step in which its lock becomes free, so that no notification comes between. A notification is kept with
//! the object until the one that has it has its lock again: the list that wakes it is only a hint, and when it dies, another one that
//! waits gets the notification, as soon as its session counts as dead.

use std::sync::Arc;

use redis::Value;

use super::client::{Effect, Failed};
use super::giving;
use super::lock::{Lock, Locked, Turn};
use super::lua::{Lua, lua};
use super::object;
use super::session::{Hold, Session};
use super::waiting;
use crate::error::{Error, Kind, Result};
use crate::sys::clock::Deadline;
use crate::sys::fork;

pub(crate) struct Condvar {
    hold: Hold,
}

/// Somebody in the line, until it is given to [`Condvar::leave`].
pub(crate) struct Place {
    session: Arc<str>,
    number: String,
    generation: u32,
}

/// A lock that was given back for a while and is ours again.
pub(crate) struct Relocked {
    pub(crate) turn: Turn,
    /// False: the time was up.
    pub(crate) is_notified: bool,
}

impl Place {
    fn waiter(&self) -> String {
        format!("{}/{}", self.session, self.number)
    }
}

impl Condvar {
    pub(crate) fn make(session: &Arc<Session>) -> Result<Self> {
        Ok(Condvar { hold: object::make(session, Kind::Condvar, &[])? })
    }

    pub(crate) fn of(hold: Hold) -> Self {
        Condvar { hold }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Gives a lock of the same server back, an `RLock` altogether, waits until notified or the deadline has passed, and takes it again,
    /// however long that takes. After an error the lock is given back. A wake-up without a notification comes only to a session that
    /// counted as dead meanwhile.
    ///
    /// [`OwnerDied`](Error::OwnerDied) of the lock's kind if the lock was lost before.
    pub(crate) fn wait(&self, lock: &Lock, turn: Turn, deadline: Deadline) -> Result<Relocked> {
        if !Arc::ptr_eq(self.hold.session(), lock.hold().session()) {
            let _ = lock.release(&turn);
            return Err(Error::Unsupported { what: "a Condvar with a lock of another server".into() });
        }
        let place = self.enter_from(lock, &turn).inspect_err(|_| {
            let _ = lock.release(&turn);
        })?;
        let waited = self.wait_in(&place, deadline);
        let locked = match waited {
            Ok(_) => lock.relock(&turn),
            Err(ref failure) => Err(failure.clone()),
        };
        let left = self.leave(place, locked.is_err());
        match (locked, waited) {
            (Ok(Locked::Ours(turn)), Ok(is_notified)) => {
                drop(left); // if it has failed, somebody goes on trying
                Ok(Relocked { turn, is_notified })
            }
            (Ok(Locked::Held), _) => Err(Error::Held { object: lock.kind() }),
            (Ok(_), _) => Err(Error::AlreadyHeld { object: lock.kind() }),
            (Err(failure), _) => {
                let _ = lock.release(&turn); // its levels, which wait for it
                Err(failure)
            }
        }
    }

    fn enter_from(&self, lock: &Lock, turn: &Turn) -> Result<Place> {
        if !turn.is_ours() {
            return Err(Error::ForkedCopy { object: lock.kind() });
        }
        let session = self.hold.session();
        let number = session.token();
        let lost = Error::OwnerDied { object: lock.kind() };
        let entered = session.run_as(turn.session(), Self::entrance(), Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(&number).arg(lock.hold().object()).arg(&turn.arguments());
        });
        match entered {
            Ok(Value::Int(1)) => {
                let place = Place { session: Arc::clone(turn.session()), number, generation: fork::generation() };
                // An older state may know the lock as ours: what we have done with it since then it does not know.
                if turn.has_moved(session) {
                    drop(self.leave(place, true)); // if it has failed, somebody goes on trying
                    return Err(lost);
                }
                Ok(place)
            }
            Ok(_) | Err(Failed::Lost) => Err(lost),
            Err(failed) => Err(self.not_entered(Session::failure(failed, Kind::Condvar), &number)),
        }
    }

    /// Joins the line, for somebody who gives something else back before it [waits](Self::wait_in).
    pub(crate) fn enter(&self) -> Result<Place> {
        let session = self.hold.session();
        let number = session.token();
        let entered = session.run_named(Kind::Condvar, Self::entrance(), Effect::Repeatable, |request| {
            request.arg(self.hold.object()).arg(&number);
        });
        match entered {
            Ok(answer) => Ok(Place { session: answer.session, number, generation: fork::generation() }),
            Err(failure) => Err(self.not_entered(failure, &number)),
        }
    }

    /// A full server, too: a lock becomes free.
    fn entrance() -> &'static Lua {
        lua!(frees "waiting to be notified", "line/line.lua", "object/parts.lua", "lock/owner.lua", "condvar/condvar.lua", "condvar/wait.lua")
    }

    fn not_entered(&self, failure: Error, number: &str) -> Error {
        giving::undo(self.hold.session(), &failure, Self::exit(), self.arguments(number, true));
        failure
    }

    fn exit() -> &'static Lua {
        lua!(frees "waiting no longer", "line/line.lua", "object/parts.lua", "condvar/condvar.lua", "condvar/leave.lua")
    }

    fn arguments(&self, number: &str, gives_up: bool) -> Vec<String> {
        vec![self.hold.object().to_owned(), number.to_owned(), u8::from(gives_up).to_string()]
    }

    /// Waits in the line until notified; false if the deadline has passed before.
    pub(crate) fn wait_in(&self, place: &Place, deadline: Deadline) -> Result<bool> {
        if place.generation != fork::generation() {
            return Err(Error::ForkedCopy { object: Kind::Condvar });
        }
        let (session, waiter) = (self.hold.session(), place.waiter());
        let ask = |script| {
            session.run(Kind::Condvar, script, Effect::Repeatable, |request| {
                request.arg(self.hold.object()).arg(&waiter);
            })
        };
        let look = lua!(frees "waiting to be notified", "line/line.lua", "object/parts.lua", "condvar/condvar.lua", "condvar/look.lua");
        let late = lua!(frees "waiting no longer", "line/line.lua", "object/parts.lua", "condvar/condvar.lua", "condvar/late.lua");
        loop {
            if deadline.has_passed() {
                return Ok(ask(late)? == Value::Int(1));
            }
            waiting::sleep(session, Kind::Condvar, &waiter, deadline)?;
            if ask(look)? == Value::Int(0) {
                return Ok(true);
            }
        }
    }

    /// Leaves the line: with the lock in hand, or giving up, so that another one gets the notification.
    pub(crate) fn leave(&self, place: Place, gives_up: bool) -> Result<()> {
        if place.generation != fork::generation() {
            return Ok(()); // it is the parent's
        }
        let arguments = self.arguments(&place.number, gives_up);
        giving::give_back(self.hold.session(), &place.session, Kind::Condvar, Self::exit(), arguments).map(drop)
    }

    /// Notifies so many of those who have waited longest, and none who comes later than this; how many.
    pub(crate) fn notify(&self, count: usize) -> Result<usize> {
        let session = self.hold.session();
        let script = lua!(frees "notifying", "line/line.lua", "object/parts.lua", "object/recent.lua", "condvar/condvar.lua", "condvar/notify.lua");
        let (mut notified, mut last) = (0, None);
        while notified < count {
            let token = session.token();
            // Lua's numbers are exact up to 2^53.
            let left = (count - notified).min(1 << 40);
            let answer = session.run_named(Kind::Condvar, script, Effect::Repeatable, |request| {
                request.arg(self.hold.object()).arg(&token).arg(left).arg(object::recent(session)).arg(&last);
            })?;
            let (some, is_more, until) = redis::from_redis_value::<(usize, bool, String)>(answer.value.clone())
                .map_err(|_| session.distrust("notifying", &answer.value))?;
            notified += some;
            if !is_more {
                break;
            }
            last = Some(until);
        }
        Ok(notified)
    }
}
