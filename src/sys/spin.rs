//! Spinning before sleeping.

#![allow(unsafe_code)]

use std::hint;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The most pauses that one wait spins: a few microseconds, what a sleep and a wake-up cost. A guess around
/// glibc's 100.
const MOST: u32 = 100;

/// How long it has lately paid to spin for one object, learnt as glibc's adaptive mutex does: an estimate that follows
/// the pauses that the last waits took. Private to one handle.
pub(crate) struct Spin {
    estimate: AtomicU32,
    habit: Habit,
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Habit {
    /// A word that others want to change, too.
    Contended,
    /// A word that one other process will change.
    Answer,
}

impl Habit {
    /// The fewest pauses that a wait spins, however little it has paid lately.
    fn least(self) -> u32 {
        match self {
            Habit::Contended => 10,
            // What is spun in vain is a tenth of what the sleep then costs; and without it nobody would ever find
            // out that answers have become quick.
            Habit::Answer => MOST,
        }
    }

    /// The most pauses between two looks.
    fn longest_gap(self) -> u32 {
        match self {
            Habit::Contended => MOST,
            Habit::Answer => 4,
        }
    }
}

impl Spin {
    pub(crate) const fn new() -> Self {
        Spin { estimate: AtomicU32::new(0), habit: Habit::Contended }
    }

    /// For a wait for what one other process does next.
    pub(crate) const fn for_answers() -> Self {
        Spin { estimate: AtomicU32::new(0), habit: Habit::Answer }
    }

    /// For a wait for so many others, which are busy with nothing else. More of them than processors cannot all spin: it
    /// pays only for those who come late.
    pub(crate) fn for_parties(parties: u32) -> Self {
        if parties <= processors() { Spin::for_answers() } else { Spin::new() }
    }

    /// Calls `done` until it gives something, or spinning longer than usual no longer promises to pay.
    ///
    /// The pauses between looks double: each look takes the cache line away from the one that is to release it, who
    /// then waits for it in turn.
    ///
    /// On one processor nobody else can make progress meanwhile, so there is one look. With more runnable processes
    /// than processors waits time out more often than not, and the estimate falls until a wait hardly spins.
    pub(crate) fn until<R>(&self, mut done: impl FnMut() -> Option<R>) -> Option<R> {
        // Relaxed: a hint for nobody but ourselves; a lost update costs a few pauses.
        let estimate = self.estimate.load(Ordering::Relaxed);
        let most = if processors() == 1 { 0 } else { (2 * estimate + self.habit.least()).min(MOST) };
        let (mut pauses, mut gap) = (0, 1);
        let result = loop {
            let result = done();
            if result.is_some() || pauses == most {
                break result;
            }
            gap = gap.min(most - pauses);
            for _ in 0..gap {
                hint::spin_loop();
            }
            pauses += gap;
            gap = (gap * 2).min(self.habit.longest_gap());
        };
        // A spin that failed says that spinning does not pay now: it counts as none at all.
        let took = if result.is_some() { pauses } else { 0 };
        self.estimate.store(((estimate * 7 + took) / 8).min(MOST), Ordering::Relaxed);
        result
    }
}

impl Clone for Spin {
    fn clone(&self) -> Self {
        Spin { estimate: AtomicU32::new(self.estimate.load(Ordering::Relaxed)), habit: self.habit }
    }
}

/// Of the machine, not those that this process may use: bound to one of them, it still waits for others elsewhere.
pub(crate) fn processors() -> u32 {
    /// 0 until it is known. Not a `OnceLock`: a copy that is forked while another thread asks would wait for that thread,
    /// and asking takes microseconds.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    match COUNT.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: has no preconditions.
            let count = u32::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1).max(1);
            COUNT.store(count, Ordering::Relaxed);
            count
        }
        count => count,
    }
}

/// Whether it has lately paid to look once more before sleeping. After some failures in a row it no longer does, but for one time
/// in [`PROBE_EVERY`](Self::PROBE_EVERY). Private to one handle.
pub(crate) struct Credit {
    /// Failures that are still allowed.
    left: AtomicU32,
    /// Times since the last one that was worth it, without any credit.
    skipped: AtomicU32,
}

impl Credit {
    /// So many more failures than successes. A guess: enough for a few waits that nobody answers among many that somebody does.
    pub(crate) const MOST: u32 = 8;

    /// A guess: the 4 us of a vain spin are lost among 32 sleeps of 10 us.
    pub(crate) const PROBE_EVERY: u32 = 32;

    pub(crate) const fn new() -> Self {
        Credit { left: AtomicU32::new(Self::MOST), skipped: AtomicU32::new(0) }
    }

    /// Whether to try this time.
    pub(crate) fn is_worth_it(&self) -> bool {
        // Relaxed, throughout: hints for nobody but ourselves.
        if self.left.load(Ordering::Relaxed) > 0 {
            return true;
        }
        let skipped = (self.skipped.load(Ordering::Relaxed) + 1) % Self::PROBE_EVERY;
        self.skipped.store(skipped, Ordering::Relaxed);
        skipped == 0
    }

    pub(crate) fn paid(&self) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store((left + 1).min(Self::MOST), Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
    }
}

/// How long it has lately paid to spin for the next message, or the next free slot, of a stream. Private to one handle.
///
/// Two things are learnt. Whether spinning pays at all: with more runnable processes than processors, or with the other
/// side asleep, it fails, and a wait that is not worth its [`Credit`] is cut short. And whether the
/// other side is so close ahead that each message moves its cache line to and fro several times: then it pays to stay back
/// for a moment, and to find many messages at once.
pub(crate) struct Pace {
    credit: Credit,
    /// Pauses before the first look.
    distance: AtomicU32,
    /// Where the last wait began.
    last: AtomicU64,
}

/// How many pauses a wait spins that is cut short.
const CUT_SHORT: u32 = 1;

/// The most pauses to stay back: some microseconds, in which hundreds of messages of a fast stream come together, and leave
/// the nearest cache of the other side. Measured, with pauses of 25 ns: streams of 8 and 64 bytes through 16,384 slots made 45
/// and 25 M/s with 64, and 93 and 100 with 256.
const MOST_DISTANCE: u32 = 256;

/// So many messages between two waits say that staying back pays.
const WORTH_A_DISTANCE: u32 = 8;

/// How many bytes the other side copies in a pause, a guess: 5 GB/s.
const BYTES_A_PAUSE: u64 = 128;

/// The most pauses to wait for what the other side copies, a guess: 26 us, a piece of 128 KiB.
const MOST_COPYING: u64 = 1024;

/// No message is to wait for more pauses than this for each that comes meanwhile: a slower stream gains less than its messages
/// would lose. A guess.
const PAUSES_A_MESSAGE: u32 = 8;

impl Pace {
    pub(crate) const fn new() -> Self {
        Pace { credit: Credit::new(), distance: AtomicU32::new(0), last: AtomicU64::new(0) }
    }

    /// Calls `done` until it gives something, or spinning no longer promises to pay. `position`: a number that grows
    /// with each message.
    pub(crate) fn until<R>(&self, position: u64, done: impl FnMut() -> Option<R>) -> Option<R> {
        self.until_copied(position, 0, done)
    }

    /// The same for what is there when the other side has copied so many bytes.
    pub(crate) fn until_copied<R>(&self, position: u64, bytes: u64, mut done: impl FnMut() -> Option<R>) -> Option<R> {
        // Relaxed, throughout: hints for nobody but ourselves.
        if processors() == 1 {
            return done();
        }
        let moved = position.wrapping_sub(self.last.swap(position, Ordering::Relaxed));
        let mut distance = self.distance.load(Ordering::Relaxed);
        if distance > 0 {
            let is_worth_it = moved >= u64::from(WORTH_A_DISTANCE.max(distance / PAUSES_A_MESSAGE));
            distance = if is_worth_it { (2 * distance).min(MOST_DISTANCE) } else { distance / 2 };
            self.distance.store(distance, Ordering::Relaxed);
        }
        let copying = (bytes / BYTES_A_PAUSE).min(MOST_COPYING) as u32;
        let budget = if self.credit.is_worth_it() { MOST + copying } else { CUT_SHORT };
        if budget == CUT_SHORT {
            distance = 0; // nobody is getting ahead meanwhile
        }
        // What it stays back comes on top: else there would be one look, and then a sleep.
        let most = distance + budget;
        let mut pauses = 0;
        let mut gap = distance.max(1);
        let result = loop {
            for _ in 0..gap {
                hint::spin_loop();
            }
            pauses += gap;
            let result = done();
            if result.is_some() || pauses >= most {
                break result;
            }
            gap = if pauses < 4 { 1 } else { 2 };
        };
        if result.is_some() {
            if distance == 0 && pauses == 1 {
                self.distance.store(4, Ordering::Relaxed); // faster than any answer could be: a stream
            }
            self.credit.paid();
        } else {
            self.credit.failed();
        }
        result
    }
}

impl Clone for Pace {
    fn clone(&self) -> Self {
        Pace::new()
    }
}
