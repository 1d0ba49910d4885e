//! Numbers for threads.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many bits a thread's number has.
pub(crate) const BITS: u32 = 30;

thread_local! {
    static TOKEN: Cell<u32> = const { Cell::new(0) };
}

/// A number of this thread: never 0, below 2^30, and another one than that of any other thread of this process, until
/// 2^30 threads have been numbered.
///
/// They begin anywhere, so that a segment made by somebody else cannot claim in advance that a thread of ours owns a lock.
///
/// Not the kernel's thread id: two pid namespaces have equal ones, and asking for it is a system call. The numbers
/// begin again after 2^30 threads; two threads that share one can at worst be told that they already hold a lock which
/// the other one holds.
#[inline]
pub(crate) fn token() -> u32 {
    match TOKEN.get() {
        0 => assign(),
        token => token,
    }
}

#[cold]
fn assign() -> u32 {
    /// How many threads have been numbered, counted from anywhere; 0 before the first. Not a `LazyLock`: a copy that is
    /// forked while a thread is at it would wait for that thread.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: the number is all there is.
    if COUNT.load(Relaxed) == 0 {
        let first = RandomState::new().hash_one(()) >> 1 | 1; // never 0, and far from coming round
        let _ = COUNT.compare_exchange(0, first, Relaxed, Relaxed);
    }
    let token = (COUNT.fetch_add(1, Relaxed) % ((1 << BITS) - 1)) as u32 + 1;
    TOKEN.set(token);
    token
}
