//! Who has got messages and not yet said that they are done, and who could still put or get: an account for each peer.
//!
//! Promise: nobody is told that all putters (or getters) are gone while somebody alive has such a handle, also while it
//! travels from one process to another; nobody is told that all is done while somebody alive has a message that is not,
//! or has put another one before it was done with its own. What a dead peer had counts for nothing.
//!
//! | account of     | next, by                                                  | if its owner dies      |
//! |----------------|-----------------------------------------------------------|------------------------|
//! | nobody         | OF(id): the first peer in this slot                       | -                      |
//! | OF(id)         | its numbers: its owner; OF(a later id): that peer, once `id` is dead | it counts for nothing |
//!
//! N1. Whoever passes a handle on enters it for the new owner before it leaves for the old one, and counts an arrival in
//!     between. So somebody who has looked at all accounts, and finds that nobody has arrived meanwhile, has not missed
//!     a handle that went from an account it had not yet seen to one it had.
//! N2. A message is counted as got before its slot is released, and as done after whatever it led to was put. So it is
//!     always in the ring or in an account; and if no account has changed while the ring was looked through, what was put
//!     by those who were done was looked at.
//! N3. An account's numbers only grow while it has the same owner, and owners only grow. So accounts whose sum is the same
//!     as before are the same as before: an owner counts for more than its numbers ever do.
//! N4. The account of an identity under which a message travels is written by whoever has the message: one at a time.
//!
//! Orderings: whoever leaves, or is done, does so with Release, and is looked for with Acquire: all that it had done before is
//! then to be seen, its arrivals and entries included (N1), and its messages (N2). What a message's getter counted is
//! published by the Release of the slot, which whoever looks through the ring must load with Acquire. The rest is Relaxed:
//! an old number of a living peer only has somebody look again, and a dead peer's are visible since the kernel's lock on its
//! identity fell and was asked for.

use serde::{Deserialize, Serialize};

use crate::fault::crash_point;
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::fork::Exclusion;
use crate::sys::liveness::Liveness;
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
pub(crate) struct Account {
    owner: AtomicU32,
    putters: AtomicU32,
    getters: AtomicU32,
    unused: AtomicU32,
    gots: AtomicU64,
    dones: AtomicU64,
    line: [AtomicU64; 4],
}

#[cfg(not(all(test, loom)))]
const _: () = assert!(size_of::<Account>() == 64);

#[cfg(all(test, loom, not(shuttle)))]
impl Account {
    /// One whose owner has got and done so many messages; 0: nobody's.
    pub(super) fn of(owner: u32, gots: u64, dones: u64) -> Self {
        let number = AtomicU32::new;
        Account {
            owner: number(owner),
            putters: number(0),
            getters: number(0),
            unused: number(0),
            gots: AtomicU64::new(gots),
            dones: AtomicU64::new(dones),
            line: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// What a handle can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Both,
    Putter,
    Getter,
}

/// Who is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Putters,
    Getters,
}

impl Account {
    #[inline]
    pub(crate) fn is_of(&self, id: PeerId) -> bool {
        self.owner.load(Relaxed) == id.get()
    }

    /// Makes it the account of `id`, which is ours, with nothing in it; one thread of the process at a time.
    #[cold]
    pub(crate) fn open_for(&self, id: PeerId, _forks_excluded: &Exclusion) {
        if self.is_of(id) {
            return;
        }
        self.putters.store(0, Relaxed);
        self.getters.store(0, Relaxed);
        self.gots.store(0, Relaxed);
        crash_point!("account.opening");
        self.dones.store(0, Relaxed);
        // Release: pairs with the Acquire in `sum`, so that our name stands over our own numbers (N3).
        self.owner.store(id.get(), Release);
        crash_point!("account.opened");
    }

    /// The numbers that a handle counts in.
    fn sides(&self, role: Role) -> impl Iterator<Item = &AtomicU32> {
        let putters = (role != Role::Getter).then_some(&self.putters);
        let getters = (role != Role::Putter).then_some(&self.getters);
        putters.into_iter().chain(getters)
    }

    fn handles(&self, side: Side) -> &AtomicU32 {
        match side {
            Side::Putters => &self.putters,
            Side::Getters => &self.getters,
        }
    }

    /// One handle more to put or get with.
    pub(crate) fn enter(&self, role: Role, arrivals: &AtomicU64) {
        self.sides(role).for_each(|handles| _ = handles.fetch_add(1, Relaxed));
        crash_point!("account.entered");
        arrivals.fetch_add(1, Release); // pairs with the Acquire in `has_any`; publishes the number above (N1)
    }

    /// One handle less; whether it was the last with which its owner could put, or get.
    pub(crate) fn leave(&self, role: Role) -> bool {
        // Release: pairs with the Acquire in `has_any`: who finds us gone sees all that we have put.
        let minus_one = |handles: &AtomicU32| handles.fetch_add(1_u32.wrapping_neg(), Release);
        self.sides(role).fold(false, |last, handles| last | (minus_one(handles) == 1))
    }

    /// One handle less of those that travel under this account's identity; false if there is none.
    pub(crate) fn withdraw(&self, role: Role) -> bool {
        self.sides(role).all(|handles| {
            let left = handles.load(Relaxed).checked_sub(1);
            // Release: pairs with the Acquire in `has_any`: who finds it gone sees that it has arrived (N1). Stored without
            // comparing: nobody else writes it (N4).
            left.is_some_and(|left| {
                handles.store(left, Release);
                true
            })
        })
    }

    /// One message has been got; before its slot is released (N2).
    #[inline]
    pub(crate) fn got(&self) {
        self.gots.fetch_add(1, Relaxed); // published by the Release of the slot
    }

    /// One message more is done; false if there is none that its owner has got.
    pub(crate) fn done(&self) -> bool {
        let mut dones = self.dones.load(Relaxed);
        while dones != self.gots.load(Relaxed) {
            // Release: pairs with the Acquire in `sum`: what was put before this is seen by whoever sees this (N2).
            match self.dones.compare_exchange(dones, dones.wrapping_add(1), Release, Relaxed) {
                Ok(_) => return true,
                Err(changed) => dones = changed,
            }
        }
        false
    }
}

/// How often all accounts are looked at again because a handle has arrived meanwhile: then there is somebody. A guess.
const LOOKS: u32 = 8;

/// Whether anybody alive has a handle that can put, or get.
pub(crate) fn has_any(accounts: &[Account], arrivals: &AtomicU64, side: Side, liveness: &Liveness) -> bool {
    for _ in 0..LOOKS {
        let before = arrivals.load(Acquire); // pairs with the Release in `enter`
        // Acquire: pairs with the Release in `leave` and `withdraw`.
        let is_there = |account: &Account| {
            account.handles(side).load(Acquire) > 0 && is_alive(account.owner.load(Relaxed), liveness)
        };
        if accounts.iter().any(is_there) {
            return true;
        }
        if arrivals.load(Relaxed) == before {
            return false; // (N1)
        }
    }
    true
}

/// How many handles those alive have that can put, or get. Stale at once.
pub(crate) fn count(accounts: &[Account], side: Side, liveness: &Liveness) -> u64 {
    let alive = accounts.iter().filter(|account| is_alive(account.owner.load(Relaxed), liveness));
    alive.map(|account| u64::from(account.handles(side).load(Relaxed))).sum()
}

/// Whether everything that was put is done; `is_busy`: whether a message is ready or being read, behind an Acquire of each
/// slot.
pub(crate) fn is_all_done(accounts: &[Account], liveness: &Liveness, is_busy: impl FnOnce() -> bool) -> bool {
    let before = sum(accounts, liveness);
    before.is_some() && !is_busy() && sum(accounts, liveness) == before // (N2)
}

/// The accounts as one number that is another one whenever they are others (N3); `None` while somebody alive has a message
/// that is not done.
fn sum(accounts: &[Account], liveness: &Liveness) -> Option<u64> {
    let mut sum = 0_u64;
    for account in accounts {
        let owner = account.owner.load(Acquire); // pairs with the Release in `open_for`
        let dones = account.dones.load(Acquire); // pairs with the Release in `done`
        let gots = account.gots.load(Relaxed);
        if dones != gots && is_alive(owner, liveness) {
            return None;
        }
        sum = sum.wrapping_add(u64::from(owner) << 32).wrapping_add(dones).wrapping_add(gots);
    }
    Some(sum)
}

fn is_alive(owner: u32, liveness: &Liveness) -> bool {
    owner != 0 && !liveness.is_dead(owner)
}
