//! Giving back what a process has at a server, also while the server is not to be reached.
//!
//! A guard is dropped once, and its process goes on. If the server is away just then, a thread goes on trying, as long as the session is
//! the one that has it: when that ends, whoever comes next takes it.

use std::sync::Arc;
use std::thread;

use redis::Value;

use super::client::{Effect, Failed};
use super::lua::Lua;
use super::session::Session;
use crate::error::{Error, Kind, Result};

/// Asks in the name of the session that has something; `None` if that has ended. After an error somebody goes on asking.
pub(super) fn give_back(
    session: &Arc<Session>,
    name: &Arc<str>,
    kind: Kind,
    script: &'static Lua,
    arguments: Vec<String>,
) -> Result<Option<Value>> {
    match ask(session, name, script, &arguments) {
        Ok(answer) => Ok(Some(answer)),
        Err(Failed::Lost | Failed::Gone) => Ok(None),
        Err(failed) => {
            if is_away(&failed) {
                later(session, Arc::clone(name), script, arguments);
            }
            Err(Session::failure(failed, kind))
        }
    }
}

/// What was asked for and not answered: if it was carried out, or still will be, it is undone.
pub(super) fn undo(session: &Arc<Session>, failure: &Error, script: &'static Lua, arguments: Vec<String>) {
    if let Error::Unanswered { .. } = failure
        // The last one that was asked in: if another has begun meanwhile, what the last one has goes without our asking.
        && let Ok(name) = session.name()
    {
        later(session, name, script, arguments);
    }
}

fn ask(session: &Session, name: &str, script: &Lua, arguments: &[String]) -> Result<Value, Failed> {
    session.run_as(name, script, Effect::Repeatable, |request| {
        request.arg(arguments);
    })
}

/// Or busy, loading, without a disk: it may be asked again.
fn is_away(failed: &Failed) -> bool {
    matches!(failed, Failed::Other(_))
}

/// If no thread can be started, the session has it until it ends.
pub(super) fn later(session: &Arc<Session>, name: Arc<str>, script: &'static Lua, arguments: Vec<String>) {
    let session = Arc::downgrade(session);
    let _ = thread::Builder::new().name("crossproc-giving".into()).stack_size(256 << 10).spawn(move || {
        // Each attempt waits for the server for as long as the address says.
        while let Some(session) = session.upgrade()
            && session.is_called(&name)
            && ask(&session, &name, script, &arguments).is_err_and(|failed| is_away(&failed))
        {
            thread::sleep(session.address().lease / 8);
        }
    });
}
