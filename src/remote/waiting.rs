//! Waiting for something at a server: trying, and sleeping until it is worth while to try again.

use std::time::Duration;

use super::client::Effect;
use super::lua::lua;
use super::session::Session;
use crate::error::{Kind, Result};
use crate::sys::clock::Deadline;

/// Whoever is not woken tries again after so long, and finds what nobody could tell it: that somebody has died.
const ROUND: Duration = Duration::from_secs(1);

/// Calls `attempt` until it has something. It is given the name under which its script lets it wait (`join_line` of line/line.lua) when it
/// finds nothing, or none where the time is up already. `None`: nothing, and nothing is waited for any more.
///
/// After an error nobody waits any more either: whoever is in the line and was woken for nothing delays others by a round.
pub(crate) fn wait<T>(
    session: &Session,
    kind: Kind,
    object: &str,
    deadline: Deadline,
    mut attempt: impl FnMut(Option<&str>) -> Result<Option<T>>,
) -> Result<Option<T>> {
    if deadline.has_passed() {
        return attempt(None);
    }
    let number = session.token();
    loop {
        let waiter = format!("{}/{number}", session.name()?);
        if let Some(found) = attempt(Some(&waiter))? {
            return Ok(Some(found));
        }
        if deadline.has_passed() {
            let leave = lua!(frees "waiting no longer", "line/line.lua", "line/leave.lua");
            session.run(kind, leave, Effect::Repeatable, |request| {
                request.arg(object).arg(&waiter);
            })?;
            return Ok(None);
        }
        sleep(session, kind, &waiter, deadline)?;
    }
}

/// Until it is woken, for a round at most.
pub(crate) fn sleep(session: &Session, kind: Kind, waiter: &str, deadline: Deadline) -> Result<()> {
    let time = deadline.remaining().map_or(ROUND, |left| left.min(ROUND)).max(Duration::from_millis(1));
    let mut request = redis::cmd("BLPOP");
    request.arg(format!("{}:k:{waiter}", session.address().prefix)).arg(time.as_secs_f64());
    session.ask_for(kind, "waiting", request, time).map(drop)
}
