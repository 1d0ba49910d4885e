//! Who has got messages and not yet said that they are done, and who could still put or get.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fault::crash_point;
use crate::segment::Segment;
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::fork;
use crate::word::PeerId;

/// What one peer has to do with a queue. Only its owner writes it; a foreign identity in it is that of a dead
/// predecessor.
///
/// | offset | size | field     | meaning                                              |
/// |--------|------|-----------|------------------------------------------------------|
/// | 0      | 4    | owner     | identity of the peer; 0: nobody yet                  |
/// | 4      | 4    | putters   | its handles that can put                             |
/// | 8      | 4    | getters   | its handles that can get                             |
/// | 12     | 4    |           | 0                                                    |
/// | 16     | 8    | gots      | messages that it has got, but for those of tasks     |
/// | 24     | 8    | dones     | how many of them it has said to be done              |
/// | 32     | 32   | line      | 0: a cache line of its own                           |
#[repr(C, align(64))]
pub(super) struct Account {
    owner: AtomicU32,
    putters: AtomicU32,
    getters: AtomicU32,
    unused: AtomicU32,
    gots: AtomicU64,
    dones: AtomicU64,
    line: [AtomicU64; 4],
}

const _: () = assert!(size_of::<Account>() == 64);

impl Account {
    /// Messages got and not yet done.
    fn debt(&self) -> u64 {
        self.gots.load(Relaxed).wrapping_sub(self.dones.load(Relaxed))
    }

    #[cold]
    fn open_for(&self, me: u32) {
        // One thread of this process at a time.
        let _forks = fork::exclude();
        if self.owner.load(Relaxed) == me {
            return;
        }
        self.putters.store(0, Relaxed);
        self.getters.store(0, Relaxed);
        self.gots.store(0, Relaxed);
        crash_point!("account.opening");
        self.dones.store(0, Relaxed);
        // Release: pairs with the Acquire in `is_quiet` and `has_any`, so that our name stands over our own numbers.
        self.owner.store(me, Release);
        crash_point!("account.opened");
    }
}

/// What a handle can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Both,
    Putter,
    Getter,
}

impl Role {
    /// The numbers of an account that a handle counts in.
    fn sides(self, account: &Account) -> impl Iterator<Item = &AtomicU32> {
        let putters = (self != Role::Getter).then_some(&account.putters);
        let getters = (self != Role::Putter).then_some(&account.getters);
        putters.into_iter().chain(getters)
    }
}

/// Who is asked for.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Putters,
    Getters,
}

/// How often all accounts are looked at again because a handle has arrived meanwhile: then there is somebody. A guess.
const LOOKS: u32 = 8;

/// The accounts of all peers of a segment, by their slots.
#[derive(Clone, Copy)]
pub(super) struct Ledger<'a> {
    pub(super) segment: &'a Segment,
    pub(super) accounts: &'a [Account],
}

impl<'a> Ledger<'a> {
    /// This process's account.
    #[inline]
    pub(super) fn mine(self) -> Result<&'a Account, Error> {
        let me = self.segment.me()?;
        let account = &self.accounts[me.slot() % self.accounts.len()];
        if account.owner.load(Relaxed) != me.get() {
            account.open_for(me.get());
        }
        Ok(account)
    }

    /// The account of an identity that a message travels under; its sender's to write until the message is away.
    fn of_flight(self, flight: PeerId) -> &'a Account {
        let account = &self.accounts[flight.slot() % self.accounts.len()];
        if account.owner.load(Relaxed) != flight.get() {
            account.open_for(flight.get());
        }
        account
    }

    /// One handle more for `flight` (`None`: this process) to put or get with.
    ///
    /// N1. Whoever passes a handle on enters it for the new owner before it leaves for the old one, and counts an arrival in
    ///     between. So somebody who has looked at all accounts, and finds that nobody has arrived meanwhile, has not missed
    ///     a handle that went from an account it had not yet seen to one it had.
    pub(super) fn enter(self, role: Role, flight: Option<PeerId>, arrivals: &AtomicU64) -> Result<(), Error> {
        let account = match flight {
            Some(flight) => self.of_flight(flight),
            None => self.mine()?,
        };
        role.sides(account).for_each(|handles| _ = handles.fetch_add(1, Relaxed));
        crash_point!("account.entered");
        arrivals.fetch_add(1, Release); // pairs with the Acquire in `has_any`; publishes the number above (N1)
        Ok(())
    }

    /// One handle of this process less; whether it was the last with which it could put, or get.
    pub(super) fn leave(self, role: Role) -> bool {
        let Ok(account) = self.mine() else { return false };
        // Release: pairs with the Acquire in `has_any`: who finds us gone sees all that we have put.
        role.sides(account).fold(false, |last, handles| last | (handles.fetch_sub(1, Release) == 1))
    }

    /// One handle less of those that travel under `flight`; false if there is none.
    pub(super) fn withdraw(self, role: Role, flight: PeerId) -> bool {
        let account = &self.accounts[flight.slot() % self.accounts.len()];
        let withdraw = |handles: &AtomicU32| handles.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok();
        account.owner.load(Relaxed) == flight.get() && role.sides(account).all(withdraw)
    }

    /// Whether anybody alive has a handle that can put, or get.
    pub(super) fn has_any(self, side: Side, arrivals: &AtomicU64) -> bool {
        for _ in 0..LOOKS {
            let before = arrivals.load(Acquire); // pairs with the Release in `enter`
            let is_there = |account: &Account| {
                let owner = account.owner.load(Acquire);
                let handles = match side {
                    Side::Putters => &account.putters,
                    Side::Getters => &account.getters,
                };
                owner != 0 && handles.load(Acquire) > 0 && !self.segment.liveness().is_dead(owner)
            };
            if self.accounts.iter().any(is_there) {
                return true;
            }
            if arrivals.load(Relaxed) == before {
                return false; // (N1)
            }
        }
        true
    }

    /// One message has been got; before its slot is released, so that it is always in one of the two places.
    #[inline]
    pub(super) fn got(self) -> Result<(), Error> {
        self.mine()?.gots.fetch_add(1, Relaxed); // published by the Release of the slot
        Ok(())
    }

    /// One message more is done; false if there is none that this process has got.
    pub(super) fn done(self) -> Result<bool, Error> {
        let account = self.mine()?;
        let within = |dones: u64| (dones != account.gots.load(Relaxed)).then(|| dones.wrapping_add(1));
        // Release: pairs with the Acquire in `is_quiet`: what was put before this is seen by whoever sees this.
        Ok(account.dones.fetch_update(Release, Relaxed, within).is_ok())
    }

    /// Whether nobody alive has a message that is not done, and what would change if somebody had meanwhile.
    pub(super) fn is_quiet(self) -> (bool, u64) {
        let mut total = 0_u64;
        let mut quiet = true;
        for account in self.accounts {
            let owner = account.owner.load(Acquire);
            if owner == 0 {
                continue;
            }
            total = total.wrapping_add(account.dones.load(Acquire)).wrapping_add(account.gots.load(Acquire));
            if account.debt() != 0 && !self.segment.liveness().is_dead(owner) {
                quiet = false;
            }
        }
        (quiet, total)
    }
}
