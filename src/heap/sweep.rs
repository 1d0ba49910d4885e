//! What is left of objects that nobody needs, and of holders that died.

use super::body::{Heap, control};
use super::object::{Shape, holder};
use super::{At, Transaction, row, table};
use crate::error::Result;
use crate::sys::atomic::Ordering::Relaxed;

/// After so many new objects somebody looks for holders that have died. A guess.
const INTERVAL: u64 = 64;

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
            return Err(self.heap().corrupted(object.at, shape));
        };
        if is_empty { self.bury(object.at) } else { Ok(()) }
    }
}

impl Heap {
    /// Lets go what dead processes and lost messages held, if it is time to look.
    pub(crate) fn sweep_now_and_then(&self) -> Result<()> {
        if self.control(control::OBJECTS).load(Relaxed).is_multiple_of(INTERVAL) { self.sweep() } else { Ok(()) }
    }

    /// Lets go what dead processes and lost messages held.
    pub(crate) fn sweep(&self) -> Result<()> {
        let liveness = self.segment().liveness();
        let holders = self.read(|view| {
            view.begin_search();
            let mut holders: Vec<(u32, At)> = Vec::new();
            let mut object = view.load(control::FIRST)?;
            while object != 0 {
                view.step(1)?;
                let mut place = view.first_holder(object)?;
                while place != 0 {
                    view.step(1)?;
                    holders.push((view.load(place.wrapping_add(holder::PEER))? as u32, place));
                    place = view.load(place.wrapping_add(holder::NEXT))?;
                }
                object = view.next_of(object)?;
            }
            Ok(holders)
        })?;
        let mut peers: Vec<u32> = holders.iter().map(|(peer, _)| *peer).collect();
        peers.sort_unstable();
        peers.dedup();
        peers.retain(|peer| self.segment().identity_of(*peer).is_some() && liveness.is_dead(*peer));
        for (peer, place) in holders.into_iter().filter(|(peer, _)| peers.contains(peer)) {
            self.transact(|transaction| {
                // Another may have been faster; what is there now is somebody else's.
                let is_there =
                    transaction.is_holder(place)? && transaction.load(place + holder::PEER)? == u64::from(peer);
                if is_there { transaction.let_go(place) } else { Ok(()) }
            })?;
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Whether a holder is there: its object has it in its list.
    fn is_holder(&self, place: At) -> Result<bool> {
        let Ok(object) = self.load(place.wrapping_add(holder::OBJECT)) else { return Ok(false) };
        self.begin_search();
        let mut object_at = self.load(control::FIRST)?;
        while object_at != 0 && object_at != object {
            self.step(1)?;
            object_at = self.next_of(object_at)?;
        }
        if object_at == 0 {
            return Ok(false);
        }
        let mut found = self.first_holder(object)?;
        while found != 0 && found != place {
            self.step(1)?;
            found = self.load(found.wrapping_add(holder::NEXT))?;
        }
        Ok(found == place)
    }
}
