//! What processes wait for at a server: making it, and waking them all.

use std::sync::Arc;

use super::client::Effect;
use super::lua::lua;
use super::session::{Hold, Session};
use crate::error::{Kind, Result};

/// How the server calls objects of a kind.
pub(crate) fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Lock => "lock",
        Kind::RLock => "rlock",
        Kind::Semaphore => "semaphore",
        Kind::BoundedSemaphore => "bounded semaphore",
        Kind::Condvar => "condvar",
        Kind::Event => "event",
        Kind::Barrier => "barrier",
        Kind::Queue => "queue",
        _ => "other",
    }
}

/// The kind that the server calls so; containers are a manager's.
pub(crate) fn kind_of(name: &str) -> Kind {
    let kinds = [
        Kind::Lock,
        Kind::RLock,
        Kind::Semaphore,
        Kind::BoundedSemaphore,
        Kind::Condvar,
        Kind::Event,
        Kind::Barrier,
        Kind::Queue,
    ];
    kinds.into_iter().find(|kind| name_of(*kind) == name).unwrap_or(Kind::Manager)
}

/// A new object with these fields, held.
pub(super) fn make(session: &Arc<Session>, kind: Kind, fields: &[(&str, String)]) -> Result<Hold> {
    let (token, object) = (session.token(), Session::new_object());
    let script = lua!("making an object", "object/make.lua");
    let made = session.run_holding(kind, script, Effect::Repeatable, &token, |request| {
        request.arg(&object).arg(name_of(kind)).arg("");
        for (field, value) in fields {
            request.arg(*field).arg(value);
        }
    })?;
    Ok(session.held(&made.session, token, object))
}

/// Wakes those who are left when a script has woken some: it does a bounded part of it.
pub(super) fn wake_all(hold: &Hold, kind: Kind) -> Result<()> {
    let script = lua!(frees "waking all", "line/line.lua", "line/wake.lua");
    let is_more = |answer| redis::from_redis_value::<bool>(answer).unwrap_or(false);
    while is_more(hold.session().run(kind, script, Effect::Repeatable, |request| {
        request.arg(hold.object());
    })?) {}
    Ok(())
}

/// For so many milliseconds an answer must be known, so that a request that is repeated is not carried out again: for longer than a
/// client repeats it. The sessions' time may leap by the rest.
pub(super) fn recent(session: &Session) -> u64 {
    let address = session.address();
    (2 * address.patience + address.lease).as_millis() as u64
}
