//! Going on at another process of the server, which may remember an older state: locks that were released since, handles that were dropped.
//!
//! What this process has is held anew, by a session of another name, and what the one before it had by that state is given up: it is
//! ended. But not before all that was asked in its name is settled here: somebody may have been granted something in it after the restart,
//! and may not have told of it yet. Until then it stays, at most for a lease, as nobody renews it.

use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::life::{Life, end_session, lock};
use super::work::Work;

/// The session that this process has gone on from.
pub(super) struct Former {
    name: Arc<str>,
    pending: Arc<()>,
}

/// So often it is looked whether a former session can be ended. A guess: most requests take less.
pub(super) const LOOK: Duration = Duration::from_millis(10);

impl Former {
    /// Whether nobody waits for an answer to it any more, or has one.
    fn is_settled(&mut self) -> bool {
        Arc::get_mut(&mut self.pending).is_some()
    }

    /// If it had much, others do the rest with their renewals.
    pub(super) fn end(&self, client: &Client) {
        end_session(client, &self.name);
    }
}

impl Life {
    /// Goes on as another session; the one that is to be ended. `None`: that is still to be done.
    pub(super) fn begin_anew(&self, client: &Client) -> Option<Former> {
        let (name, pending) = lock(&self.state).asking();
        self.rejoin(client, &name).ok()?;
        Some(Former { name, pending })
    }

    /// Ends former sessions, once what was granted in them is held by this one. In `failed` is what could not be taken over yet.
    pub(super) fn end_former(&self, client: &Client, former: &mut Vec<Former>, failed: &mut Work) {
        let mut settled: Vec<Former> = former.extract_if(.., Former::is_settled).collect();
        if settled.is_empty() {
            return;
        }
        // Whoever was granted something has told of it by now.
        let missed = std::mem::take(&mut lock(&self.state).work.missed);
        self.catch_up(client, &mut Work { missed, ..Work::default() }, failed);
        if failed.missed.is_empty() {
            settled.iter().for_each(|former| former.end(client));
        } else {
            former.append(&mut settled);
        }
    }
}
