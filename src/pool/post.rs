//! A pool's chunks on their way to a server and back: two threads, of which one sends and the other one fetches.
//!
//! An outcome is in the inbox at the server until it is in the books here. A chunk that the server has said to have, and that is neither
//! there nor has an outcome, was lost with what the server had in memory, or with this process's session, when that was not heard for as
//! long as its lease: it goes there again, if it may be tried again.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::core::Core;
use super::far::Batch;
use super::hub::{Hub, Phase};
use crate::error::{Error, Result, TaskError};
use crate::remote::address::Address;
use crate::remote::session::Session;
use crate::remote::tasks::{Fetched, Inbox, Tasks};
use crate::sys::program;

/// After so many requests in a row that have failed, of which each is tried for as long as the server's address says, it is given up. A
/// guess.
const MOST_FAILURES: u32 = 8;

/// How long it waits after a failure. A guess.
const PAUSE: Duration = Duration::from_millis(200);

/// How long at most nobody looks whether what is at the server is still there, or whether the pool has ended.
const ROUND: Duration = Duration::from_secs(1);

pub(super) struct Post {
    session: Arc<Session>,
    build: String,
    seat: Mutex<Arc<Seat>>,
}

/// Where chunks go and outcomes come from, until the server loses it.
struct Seat {
    tasks: Tasks,
    inbox: Inbox,
    /// Who sends has found that it is no more.
    is_gone: AtomicBool,
}

impl Seat {
    fn take(session: &Arc<Session>, build: &str) -> Result<Arc<Self>> {
        let (tasks, inbox) = (Tasks::open(session, build)?, Inbox::make(session)?);
        Ok(Arc::new(Seat { tasks, inbox, is_gone: AtomicBool::new(false) }))
    }
}

/// A batch, and under which token it is put into which inbox.
struct Sending {
    batch: Batch,
    token: String,
    seat: Arc<Seat>,
}

/// Whether there is nothing to do any more.
fn is_over(hub: &Hub) -> bool {
    match hub.phase {
        Phase::Open => false,
        Phase::Closed => hub.is_idle(),
        Phase::Ended(_) => true,
    }
}

/// Why a pool ends whose requests have failed since `begun`, the last one like this.
fn broken(mut last: Error, failures: u32, begun: Instant) -> TaskError {
    if let Error::Unreachable { reason, .. } | Error::Unanswered { reason, .. } = &mut last {
        *reason += &format!(" (for {:.1} s)", begun.elapsed().as_secs_f64());
    }
    TaskError::BrokenPool { failures, source: Box::new(last) }
}

impl Post {
    /// At a server, which has been reached.
    pub(super) fn at(address: &Address) -> Result<Self> {
        let (session, build) = (Session::at(address)?, program::build_name()?);
        let seat = Mutex::new(Seat::take(&session, &build)?);
        Ok(Post { session, build, seat })
    }

    fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends what there is to be sent, and withdraws what is not wanted any more, until the pool's end.
    pub(super) fn send(&self, core: &Core) {
        let (mut sending, mut failures, mut begun) = (None, 0, Instant::now());
        while let Some(recalled) = self.await_work(core, &mut sending) {
            if failures == 0 {
                begun = Instant::now();
            }
            let mut failed = None;
            if !recalled.is_empty()
                && let Err(error) = self.seat().tasks.withdraw(&recalled)
            {
                core.with_hub(|hub| hub.far().map(|far| far.recall(recalled)));
                failed = Some(error);
            }
            if let Some(current) = sending.take_if(|_| failed.is_none()) {
                match current.seat.tasks.push(&current.seat.inbox, &current.token, &current.batch.chunks) {
                    Ok(entries) => {
                        core.with_hub(|hub| hub.far().map(|far| far.note_sent(&current.batch, entries)));
                    }
                    // Who fetches sees to it.
                    Err(Error::Gone { .. }) => {
                        current.seat.is_gone.store(true, Relaxed);
                        core.with_hub(|hub| hub.far().map(|far| far.put_back(current.batch)));
                        thread::sleep(PAUSE);
                    }
                    Err(error) => {
                        sending = Some(current);
                        failed = Some(error);
                    }
                }
            }
            let Some(error) = failed else {
                failures = 0;
                continue;
            };
            failures += 1;
            let has_ended = matches!(core.hub().phase, Phase::Ended(_));
            if has_ended && failures > 1 {
                break; // the session's end does the rest
            }
            if failures >= MOST_FAILURES
                && let Some(refused) = sending.take()
            {
                // Is it this batch that does not get through, or everything?
                match self.seat().tasks.withdraw(&[]) {
                    Err(away @ (Error::Unreachable { .. } | Error::Unanswered { .. })) => {
                        core.end(&broken(away, failures, begun));
                    }
                    _ => core.with_hub(|hub| hub.refuse_batch(&refused.batch, &core.board, &TaskError::encode(&error))),
                }
                core.stir();
                failures = 0;
            }
            if !has_ended {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Waits until there is a batch to send, or something to withdraw, which is returned; `None`: neither will come.
    fn await_work(&self, core: &Core, sending: &mut Option<Sending>) -> Option<Vec<String>> {
        let mut hub = core.hub();
        loop {
            let has_ended = matches!(hub.phase, Phase::Ended(_));
            let is_over = is_over(&hub);
            let far = hub.far()?;
            if sending.is_none() && !has_ended {
                *sending =
                    far.next_batch().map(|batch| Sending { batch, token: self.session.token(), seat: self.seat() });
            }
            let recalled = far.take_recalled();
            // What may have been put is settled before the end.
            if sending.is_some() || !recalled.is_empty() {
                return Some(recalled);
            }
            if is_over {
                return None;
            }
            hub = core.posted.wait_timeout(hub, ROUND).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes a new seat; what was at the one before is lost. What is just being sent there is found to be missing later.
    fn move_on(&self, core: &Core) -> Result<Arc<Seat>> {
        let new = Seat::take(&self.session, &self.build)?;
        core.with_hub(|hub| hub.lose_entries(None, &core.board));
        core.stir();
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        Ok(new)
    }

    /// Fetches outcomes until the pool's end.
    pub(super) fn fetch(&self, core: &Core) {
        let (mut seat, mut taken, mut failures, mut begun) = (self.seat(), 0, 0, Instant::now());
        while Self::await_outcomes(core) {
            if failures == 0 {
                begun = Instant::now();
            }
            let mut checked = Instant::now();
            let to_check = || {
                if checked.elapsed() < ROUND {
                    return Vec::new();
                }
                checked = Instant::now();
                core.hub().far().map(|far| far.some_entries()).unwrap_or_default()
            };
            // Relaxed: nothing but the flag counts.
            let has_left = || is_over(&core.hub()) || seat.is_gone.load(Relaxed);
            let mut fetched = seat.inbox.fetch(&seat.tasks, taken, has_left, to_check);
            let has_none = fetched.as_ref().is_ok_and(|fetched| fetched.outcomes.is_empty());
            if matches!(fetched, Err(Error::Gone { .. })) || has_none && seat.is_gone.load(Relaxed) {
                fetched = self.move_on(core).map(|new| {
                    (seat, taken) = (new, 0);
                    Fetched::default()
                });
            }
            match fetched {
                Ok(fetched) => {
                    failures = 0;
                    taken += fetched.outcomes.len() as u64;
                    core.with_hub(|hub| {
                        fetched.outcomes.iter().for_each(|report| hub.note_report(report, &core.board));
                        if !fetched.missing.is_empty() {
                            hub.lose_entries(Some(&fetched.missing), &core.board);
                        }
                        hub.feed(&core.board, &core.orders);
                    });
                    core.stir();
                }
                Err(error) => {
                    failures += 1;
                    if failures >= MOST_FAILURES {
                        core.end(&broken(error, failures, begun));
                    }
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Waits while nothing is at the server; whether something is, or will be.
    fn await_outcomes(core: &Core) -> bool {
        let mut hub = core.hub();
        loop {
            if is_over(&hub) {
                return false;
            }
            if hub.far().is_some_and(|far| !far.is_empty()) {
                return true;
            }
            hub = core.posted.wait_timeout(hub, ROUND).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
