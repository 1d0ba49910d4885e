//! How a worker waits for its next order while orders come in quick succession.
//!
//! Who calls `apply` one time after the other has the next order ready about as soon as a worker could fall asleep. If it does, it has
//! to be woken, by a system call and a switch of threads, and the caller, who meanwhile finds that answers take that long, sleeps, too:
//! then each waits for the other's waking up, mostly on the same processor, as that is where the kernel wakes those who never run at
//! the same time. So a worker that has done a task looks for the next one for a moment that is longer than its caller's waking up.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use crate::sys::spin::{self, Credit};

/// How long a worker looks before it sleeps. Measured, with two workers on two processors: calls one after the other reach 45 to 180
/// K/s without it, as the kernel places them, 400 to 550 with 20 us, 260 with 50 us; and beside a process that keeps one of the
/// processors busy, where looking is often in vain, 50 to 65 without it, 30 to 225 with 20 us, and half as many with 50 us.
const SPELL: Duration = Duration::from_micros(20);

/// How long it looks before it lets others run who wait for this processor, once: a worker that is woken while its caller is busy often
/// drives the caller itself from there, and looks for what that one would put. Measured, with two workers on two processors: a map in chunks
/// of one makes 1.9 M/s with it, 1.2 without; calls one after the other beside a busy process 230 K/s, and 60. At once instead
/// of after 2 us, it leaves the processor to busy processes for what would have come in a moment: that map beside one then makes 0.4 M/s
/// instead of 0.7.
const MOMENT: Duration = Duration::from_micros(2);

/// Pauses of the processor between two looks: each look takes the cache line away from who is about to write it. A guess.
const PAUSES: u32 = 4;

/// Whether it has lately paid to look.
pub(super) struct Lookout {
    credit: Credit,
    /// Whether the machine has one processor: then nobody else can make progress meanwhile.
    is_alone: bool,
}

impl Lookout {
    pub(super) fn new() -> Self {
        Lookout { credit: Credit::new(), is_alone: spin::processors() == 1 }
    }

    /// Looks as long as that promises to pay; `None`: there is nothing yet, and it is time to sleep. What the first look finds says
    /// nothing about the others.
    pub(super) fn until<R>(&mut self, mut look: impl FnMut() -> Option<R>) -> Option<R> {
        if let Some(found) = look() {
            return Some(found);
        }
        if self.is_alone || !self.credit.is_worth_it() {
            return None;
        }
        let (mut began, mut has_yielded) = (Instant::now(), false);
        let found = loop {
            (0..PAUSES).for_each(|_| hint::spin_loop());
            let found = look();
            if found.is_some() || began.elapsed() >= SPELL {
                break found;
            }
            if !has_yielded && began.elapsed() >= MOMENT {
                thread::yield_now();
                // What others ran meanwhile is not its time: it looks for a whole spell from here.
                (began, has_yielded) = (Instant::now(), true);
            }
        };
        if found.is_some() {
            self.credit.paid();
        } else {
            self.credit.failed();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it looks; it finds something after `most` times.
    fn looks(lookout: &mut Lookout, most: u32) -> u32 {
        let mut looks = 0;
        let found = lookout.until(|| {
            looks += 1;
            (looks > most).then_some(())
        });
        assert_eq!(found.is_some(), looks > most);
        looks
    }

    fn on_two_processors() -> Lookout {
        Lookout { is_alone: false, ..Lookout::new() }
    }

    #[test]
    fn what_never_pays_is_hardly_ever_done() {
        let mut lookout = on_two_processors();
        let long = (0..10 * Credit::PROBE_EVERY + Credit::MOST).filter(|_| looks(&mut lookout, u32::MAX) > 1).count();
        assert_eq!(long as u32, Credit::MOST + 10);
    }

    #[test]
    fn what_pays_again_is_done_again() {
        let mut lookout = on_two_processors();
        for _ in 0..Credit::MOST {
            looks(&mut lookout, u32::MAX);
        }
        let until_a_probe = (0..).take_while(|_| looks(&mut lookout, 1) == 1).count();
        assert_eq!(until_a_probe as u32, Credit::PROBE_EVERY - 1);
        assert!((0..10 * Credit::PROBE_EVERY).all(|_| looks(&mut lookout, 1) == 2));
    }

    #[test]
    fn on_one_processor_nobody_looks_twice() {
        let mut lookout = Lookout { is_alone: true, ..Lookout::new() };
        assert!((0..2 * Credit::PROBE_EVERY).all(|_| looks(&mut lookout, u32::MAX) == 1));
    }
}
