//! Moving over from `raw_sync`: the same traits, one import changed, and the memory crossproc's. What is not moved yet, a
//! mutex here, lies beside it. Prints 1 to 3, each by a child that is told to, and that the time was up.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crossproc::EventAt as Event; // was raw_sync::events::Event
use crossproc::{Process, RawArray, Result};
use raw_sync::Timeout;
use raw_sync::events::{EventInit, EventState};
use raw_sync::locks::{LockInit, Mutex};

/// Goes to children in their arguments: no name, no file that a killed process leaves.
type Place = RawArray<AtomicU64>;

/// Words of the place: an event, a mutex, and the number that it guards.
const EVENT: usize = 0;
const MUTEX: usize = 2;
const NUMBER: usize = 15;
const WORDS: usize = 16;

fn address(place: &Place, word: usize) -> *mut u8 {
    place[word..].as_ptr().cast_mut().cast()
}

fn count(place: Place) {
    // SAFETY: the parent has made both there, and `place` keeps them mapped.
    let (event, _) = unsafe { Event::from_existing(address(&place, EVENT)) }.unwrap();
    // SAFETY: as above.
    let (mutex, _) = unsafe { Mutex::from_existing(address(&place, MUTEX), address(&place, NUMBER)) }.unwrap();
    event.wait(Timeout::Infinite).unwrap();
    let guard = mutex.lock().unwrap();
    let number = guard.cast::<u64>();
    // SAFETY: eight aligned bytes, which nobody else touches as long as the mutex is held.
    unsafe { *number += 1 };
    // SAFETY: as above.
    println!("{}", unsafe { *number });
}

fn main() -> Result<()> {
    crossproc::init();
    let place = Place::new(WORDS)?;
    let resets_itself = true;
    // SAFETY: two words of shared memory that nobody else uses, and that `place` keeps mapped.
    let (event, _) = unsafe { Event::new(address(&place, EVENT), resets_itself) }.unwrap();
    // SAFETY: as above, and the mutex has room for thirteen words.
    let (_mutex, used) = unsafe { Mutex::new(address(&place, MUTEX), address(&place, NUMBER)) }.unwrap();
    assert!(used <= 8 * (NUMBER - MUTEX));

    for _ in 0..3 {
        let child = Process::spawn(count, (&place,))?;
        event.set(EventState::Signaled).unwrap(); // before the child waits or after
        child.join()?;
    }
    let late = event.wait(Timeout::Val(Duration::from_millis(10))).unwrap_err();
    println!("{late}");
    Ok(())
}
