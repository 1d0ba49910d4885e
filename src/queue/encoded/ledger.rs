//! Who has got messages and not yet said that they are done, and who could still put or get.

use crate::error::Error;
use crate::segment::Segment;
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::fork;

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
    fn open(&self) -> u64 {
        self.gots.load(Relaxed).wrapping_sub(self.dones.load(Relaxed))
    }
}

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
            Self::open_account(account, me.get());
        }
        Ok(account)
    }

    #[cold]
    fn open_account(account: &Account, me: u32) {
        // One thread of this process at a time.
        let _forks = fork::exclude();
        if account.owner.load(Relaxed) == me {
            return;
        }
        account.putters.store(0, Relaxed);
        account.getters.store(0, Relaxed);
        account.gots.store(0, Relaxed);
        account.dones.store(0, Relaxed);
        // Release: pairs with the Acquire in `is_quiet` and `has_any`, so that our name stands over our own numbers.
        account.owner.store(me, Release);
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
            if account.open() != 0 && !self.segment.liveness().is_dead(owner) {
                quiet = false;
            }
        }
        (quiet, total)
    }
}
