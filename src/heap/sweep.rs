//! What is left of objects that nobody needs, and of holders that have gone or died.

use super::body::{Heap, control, corrupted};
use super::object::{Hold, Shape, holder};
use super::view::View;
use super::{Transaction, row, table};
use crate::error::Result;
use crate::segment::Segment;
use crate::sys::atomic::Ordering::Relaxed;

/// After no fewer new objects somebody looks for holders that have died. A guess.
const INTERVAL: u64 = 64;

/// How many holds are let go at once. A guess.
const SOME: usize = 64;

impl Transaction<'_> {
    /// Takes the next piece off the first object that is garbage.
    pub(super) fn take_apart(&mut self) -> Result<()> {
        let object = self.object_at(self.load(control::GARBAGE)?)?;
        let shape = self.shape_of(object)?;
        let is_empty = if shape == Shape::Table as u64 {
            table::take_apart(self, object)?
        } else if shape == Shape::Row as u64 {
            row::take_apart(self, object)?
        } else {
            return Err(corrupted(object.at, shape));
        };
        if is_empty { self.bury(object.at) } else { Ok(()) }
    }
}

impl Heap {
    /// Lets go what this process has held. A forked copy of it gives up nothing.
    pub(crate) fn give_up(&self, hold: Hold) {
        if hold.is_ours() {
            // What cannot be let go ends with the process.
            let _ = self.transact_once(|transaction| transaction.let_go(hold));
        }
    }

    /// Lets go what dead processes and lost messages held, if it is time to look: when as many objects have been made as there were holds
    /// of the living the last time, so that each costs a look at a few.
    pub(crate) fn sweep_now_and_then(&self) -> Result<()> {
        let made = self.control(control::OBJECTS).load(Relaxed);
        if made < self.control(control::NEXT_SWEEP).load(Relaxed) { Ok(()) } else { self.sweep() }
    }

    /// Lets go what dead processes and lost messages held.
    pub(crate) fn sweep(&self) -> Result<()> {
        let mut holds = self.read(|view| view.holds(self.segment()))?;
        let all = holds.len();
        let mut peers: Vec<_> = holds.iter().map(|hold| hold.peer()).collect();
        peers.sort_unstable();
        peers.dedup();
        peers.retain(|peer| self.segment().liveness().is_dead(*peer));
        holds.retain(|hold| peers.contains(&hold.peer()));
        let living = (all - holds.len()) as u64;
        for some in holds.chunks(SOME) {
            self.transact_once(|transaction| some.iter().try_for_each(|hold| transaction.let_go(*hold)))?;
        }
        self.transact_once(|transaction| {
            let made = transaction.load(control::OBJECTS)?;
            transaction.store(control::NEXT_SWEEP, made.saturating_add(INTERVAL.max(living)))
        })
    }
}

impl View<'_> {
    /// Who holds what.
    fn holds(&self, segment: &Segment) -> Result<Vec<Hold>> {
        self.begin_search();
        let mut holds = Vec::new();
        let mut at = self.load(control::FIRST)?;
        while at != 0 {
            self.step(2)?;
            let object = self.object_at(at)?;
            let mut place = self.first_holder(at)?;
            while place != 0 {
                self.step(2)?;
                let peer = self.load(place.wrapping_add(holder::PEER))?;
                if let Some(peer) = u32::try_from(peer).ok().and_then(|peer| segment.identity_of(peer)) {
                    holds.push(Hold::new(object, peer, place));
                }
                place = self.load(place.wrapping_add(holder::NEXT))?;
            }
            at = self.next_of(at)?;
        }
        Ok(holds)
    }
}
