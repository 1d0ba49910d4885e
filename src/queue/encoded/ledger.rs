//! The accounts of a queue, and which of them is whose.

pub(super) use crate::ring::ledger::{Account, Role, Side};

use crate::error::Error;
use crate::ring::ledger;
use crate::segment::Segment;
use crate::sys::atomic::AtomicU64;
use crate::sys::fork;
use crate::word::PeerId;

/// The accounts of all peers of a segment, by their slots.
#[derive(Clone, Copy)]
pub(super) struct Ledger<'a> {
    pub(super) segment: &'a Segment,
    pub(super) accounts: &'a [Account],
}

impl<'a> Ledger<'a> {
    #[inline]
    fn at(self, id: PeerId) -> &'a Account {
        &self.accounts[id.slot() % self.accounts.len()]
    }

    /// The account of an identity of ours: this process's, or that of a message which it packs.
    #[inline]
    fn of(self, id: PeerId) -> &'a Account {
        let account = self.at(id);
        if !account.is_of(id) {
            account.open_for(id, &fork::exclude());
        }
        account
    }

    #[inline]
    fn mine(self) -> Result<&'a Account, Error> {
        Ok(self.of(self.segment.me()?))
    }

    /// One handle more for `flight` (`None`: this process) to put or get with.
    pub(super) fn enter(self, role: Role, flight: Option<PeerId>, arrivals: &AtomicU64) -> Result<(), Error> {
        let account = match flight {
            Some(flight) => self.of(flight),
            None => self.mine()?,
        };
        account.enter(role, arrivals);
        Ok(())
    }

    /// One handle of this process less; whether it was the last with which it could put, or get.
    pub(super) fn leave(self, role: Role) -> bool {
        self.mine().is_ok_and(|account| account.leave(role))
    }

    /// One handle less of those that travel under `flight`; false if there is none.
    pub(super) fn withdraw(self, role: Role, flight: PeerId) -> bool {
        let account = self.at(flight);
        account.is_of(flight) && account.withdraw(role)
    }

    /// Whether anybody alive has a handle that can put, or get.
    pub(super) fn has_any(self, side: Side, arrivals: &AtomicU64) -> bool {
        ledger::has_any(self.accounts, arrivals, side, self.segment.liveness())
    }

    /// How many handles those alive have that can put, or get.
    pub(super) fn count(self, side: Side) -> u64 {
        ledger::count(self.accounts, side, self.segment.liveness())
    }

    /// One message has been got; before its slot is released.
    #[inline]
    pub(super) fn got(self) -> Result<(), Error> {
        self.mine()?.got();
        Ok(())
    }

    /// One message more is done; false if there is none that this process has got.
    pub(super) fn done(self) -> Result<bool, Error> {
        Ok(self.mine()?.done())
    }

    /// Whether everything that was put is done; `is_busy`: whether a message is ready or being read.
    pub(super) fn is_all_done(self, is_busy: impl FnOnce() -> bool) -> bool {
        ledger::is_all_done(self.accounts, self.segment.liveness(), is_busy)
    }
}
