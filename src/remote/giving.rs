//! Giving back what a process has at a server, also while the server is not to be reached.
//!
//! A guard is dropped once, and its process goes on. If the server is away just then, the session's thread goes on trying, as long as the
//! session is the one that has it: when that ends, whoever comes next takes it.

use std::sync::Arc;

use redis::Value;

use super::client::{Effect, Failed};
use super::lua::Lua;
use super::session::Session;
use crate::error::{Error, Kind, Result};

/// Asks in the name of the session that has something; `None` if that has ended. After an error nobody goes on asking.
pub(super) fn ask(
    session: &Arc<Session>,
    name: &Arc<str>,
    kind: Kind,
    script: &'static Lua,
    arguments: &[String],
) -> Result<Option<Value>> {
    let asked = session.run_as(name, script, Effect::Repeatable, |request| {
        request.arg(arguments);
    });
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(Failed::Lost | Failed::Gone) => Ok(None),
        Err(failed @ Failed::Other(_)) => Err(Session::failure(failed, kind)),
    }
}

/// The same; after an error the session's thread goes on asking, since it is away, or busy, loading, without a disk.
pub(super) fn give_back(
    session: &Arc<Session>,
    name: &Arc<str>,
    kind: Kind,
    script: &'static Lua,
    arguments: Vec<String>,
) -> Result<Option<Value>> {
    ask(session, name, kind, script, &arguments).inspect_err(|_| session.run_later(name, script, arguments))
}

/// What was asked for and not answered: if it was carried out, or still will be, it is undone.
pub(super) fn undo(session: &Arc<Session>, failure: &Error, script: &'static Lua, arguments: Vec<String>) {
    if let Error::Unanswered { .. } = failure
        // The last one that was asked in: if another has begun meanwhile, what the last one has goes without our asking.
        && let Ok(name) = session.name()
    {
        session.run_later(&name, script, arguments);
    }
}
