//! Events at an address, through the traits of the crate `raw_sync`; its locks in memory of crossproc's.

mod common;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::locking::{self, Stage};
use common::watchdog;
use crossproc::{Arena, AttachError, Error, EventAt, Process, RawArray, RawValue};
use raw_sync::Timeout;
use raw_sync::events::{EventImpl, EventInit, EventState};
use raw_sync::locks::{LockInit, Mutex, RwLock};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

type Place = RawArray<AtomicU64>;

fn address(place: &Place, word: usize) -> *mut u8 {
    place[word..].as_ptr().cast_mut().cast()
}

fn make(resets_itself: bool) -> (Place, Box<dyn EventImpl>) {
    let place = Place::new(2).unwrap();
    // SAFETY: sixteen bytes that nobody else uses; the caller keeps the place, and so the mapping.
    let (event, used) = unsafe { EventAt::new(address(&place, 0), resets_itself) }.unwrap();
    assert_eq!(used, 16);
    (place, event)
}

fn find(place: &Place) -> Box<dyn EventImpl> {
    // SAFETY: as in `make`.
    let (event, used) = unsafe { EventAt::from_existing(address(place, 0)) }.unwrap();
    assert_eq!(used, 16);
    event
}

fn is_set(event: &dyn EventImpl) -> bool {
    event.wait(Timeout::Val(Duration::ZERO)).is_ok()
}

/// A process that waits, and whom the kernel has found asleep there. It counts when it is through.
fn asleep(place: &Place, through: &RawValue<AtomicU32>) -> Process<()> {
    let wait = |place: Place, through: RawValue<AtomicU32>, stage: Stage| {
        let event = find(&place);
        stage.advance();
        event.wait(Timeout::Infinite).unwrap();
        through.fetch_add(1, SeqCst);
    };
    locking::asleep!(wait, place, through)
}

fn counter() -> RawValue<AtomicU32> {
    RawValue::new(AtomicU32::new(0)).unwrap()
}

fn wait_for(through: &RawValue<AtomicU32>, count: u32) {
    while through.load(SeqCst) < count {
        std::thread::yield_now();
    }
}

#[test]
fn a_manual_event_stays_set_until_it_is_cleared() {
    let (place, event) = make(false);
    let same = find(&place);
    for _ in 0..3 {
        assert!(!is_set(&*event) && !is_set(&*same));
        event.set(EventState::Signaled).unwrap();
        assert!(is_set(&*same) && is_set(&*event) && is_set(&*same));
        event.wait(Timeout::Infinite).unwrap();
        same.set(EventState::Clear).unwrap();
    }
}

#[test]
fn an_event_that_resets_itself_is_set_for_one() {
    let (place, event) = make(true);
    let same = find(&place);
    for _ in 0..3 {
        assert!(!is_set(&*event) && !is_set(&*same));
        event.set(EventState::Signaled).unwrap();
        event.set(EventState::Signaled).unwrap(); // the same as once
        assert!(is_set(&*same) && !is_set(&*event));
        event.set(EventState::Signaled).unwrap();
        event.set(EventState::Clear).unwrap();
    }
}

#[test]
fn one_setting_of_a_manual_event_wakes_all() {
    let _watchdog = watchdog();
    let ((place, event), through) = (make(false), counter());
    let processes = [0; 3].map(|_| asleep(&place, &through));
    event.set(EventState::Signaled).unwrap();
    for process in processes {
        process.join().unwrap();
    }
    assert!(is_set(&*event));
}

#[test]
fn each_setting_of_one_that_resets_itself_ends_one_wait() {
    let _watchdog = watchdog();
    let ((place, event), through) = (make(true), counter());
    let processes = [0; 4].map(|_| asleep(&place, &through));
    for turn in 1..=4 {
        event.set(EventState::Signaled).unwrap();
        wait_for(&through, turn);
        assert!(!is_set(&*event));
        // Those who have not got it sleep again, or still.
        let waiting = processes.iter().filter(|process| process.exit().is_none());
        assert!(waiting.count() >= (4 - turn) as usize);
        assert_eq!(through.load(SeqCst), turn);
    }
    for process in processes {
        process.join().unwrap();
    }
}

#[test]
fn a_killed_waiter_swallows_no_wake_up() {
    let _watchdog = watchdog();
    for resets_itself in [false, true] {
        let ((place, event), through) = (make(resets_itself), counter());
        let [victim, other, third] = [0; 3].map(|_| asleep(&place, &through));
        victim.kill().unwrap();
        assert!(victim.join().is_err());
        for turn in 1..=2 {
            event.set(EventState::Signaled).unwrap();
            wait_for(&through, turn);
        }
        other.join().unwrap();
        third.join().unwrap();
    }
}

#[test]
fn a_timeout_is_never_early() {
    let _watchdog = watchdog();
    for resets_itself in [false, true] {
        let (_place, event) = make(resets_itself);
        for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, Duration::from_nanos(999_999_999)] {
            let start = Instant::now();
            let late = event.wait(Timeout::Val(wait)).unwrap_err();
            assert!(start.elapsed() >= wait);
            match late.downcast_ref() {
                Some(Error::Os { source, .. }) => assert_eq!(source.code(), libc::ETIMEDOUT),
                other => panic!("{other:?}"),
            }
        }
        event.set(EventState::Signaled).unwrap();
        assert!(event.wait(Timeout::Val(Duration::MAX)).is_ok());
    }
}

/// The address need not be aligned; no byte but those that are said to be used changes.
#[test]
fn any_address_will_do() {
    for offset in 0..9 {
        let place = Place::new(5).unwrap();
        let bytes = || place.iter().flat_map(|word| word.load(SeqCst).to_ne_bytes()).collect::<Vec<_>>();
        place.iter().for_each(|word| word.store(u64::MAX, SeqCst));
        // SAFETY: within the place.
        let mem = unsafe { address(&place, 0).add(offset) };
        // SAFETY: at least 16 + 7 bytes that nobody else uses.
        let (event, used) = unsafe { EventAt::new(mem, true) }.unwrap();
        assert_eq!(used, EventAt::size_of(Some(mem)));
        assert!(used <= 23 && EventAt::size_of(None) == 16);
        assert!((mem.addr() + used).is_multiple_of(8), "the words are aligned");
        event.set(EventState::Signaled).unwrap();
        // SAFETY: an event has just been made there.
        let (same, used_again) = unsafe { EventAt::from_existing(mem) }.unwrap();
        assert_eq!(used_again, used);
        assert!(is_set(&*same) && !is_set(&*event));
        let bytes = bytes();
        assert!(bytes[..offset].iter().chain(&bytes[offset + used..]).all(|&byte| byte == 0xff), "{offset}");
    }
}

#[test]
fn where_no_event_was_made_none_is_found() {
    let place = Place::new(2).unwrap();
    for found in [0, 1, u64::MAX] {
        place[1].store(found, SeqCst);
        // SAFETY: sixteen bytes of shared memory.
        let Err(refused) = (unsafe { EventAt::from_existing(address(&place, 0)) }) else { panic!("{found:#x}") };
        let expected = u64::from_le_bytes(*b"event   ");
        let no_object = AttachError::NoObject { offset: 8, found, expected };
        assert_eq!(refused.downcast_ref(), Some(&Error::Attach(no_object)));
    }
}

/// Whatever a peer writes there, a wait ends when its time is up.
#[test]
fn hostile_bytes_do_no_harm() {
    let _watchdog = watchdog();
    for resets_itself in [false, true] {
        let (place, event) = make(resets_itself);
        for word in [0, 1, 2, 3, 1 << 63, u64::MAX - 1, u64::MAX] {
            for mode in [0, u64::MAX] {
                place[0].store(word, SeqCst);
                place[1].store(mode, SeqCst);
                let _ = event.wait(Timeout::Val(Duration::from_millis(1)));
                event.set(EventState::Signaled).unwrap();
                event.set(EventState::Clear).unwrap();
            }
        }
    }
}

const NUMBER: usize = 15;

/// Adds in two steps, so that a lost exclusion is a lost addition.
fn add<L: LockInit>(place: Place) {
    // SAFETY: the parent has made a lock there; `place` keeps it and the number mapped.
    let (lock, _) = unsafe { L::from_existing(address(&place, 0), address(&place, NUMBER)) }.unwrap();
    for _ in 0..1_000 {
        let guard = lock.lock().unwrap();
        let number = guard.cast::<u64>();
        // SAFETY: eight aligned bytes, which nobody else touches as long as the lock is held.
        let before = unsafe { number.read_volatile() };
        // SAFETY: as above.
        unsafe { number.write_volatile(before + 1) };
    }
}

/// An array of atomics is the place for what lies at an address, in an arena or alone.
fn locks_lie_in_an_array<L: LockInit + 'static>() {
    let arena = Arena::new(1 << 14).unwrap();
    let place = Place::new_in(&arena, NUMBER + 1).unwrap();
    // SAFETY: more than a lock needs, in shared memory that nobody else uses.
    let (_lock, used) = unsafe { L::new(address(&place, 0), address(&place, 0)) }.unwrap();
    assert!(used <= 8 * NUMBER);
    let processes = [0; 3].map(|_| Process::spawn(add::<L>, (&place,)).unwrap());
    for process in processes {
        process.join().unwrap();
    }
    assert_eq!(place[NUMBER].load(SeqCst), 3_000);
}

#[test]
fn a_mutex_of_raw_sync_lies_in_an_array() {
    let _watchdog = watchdog();
    locks_lie_in_an_array::<Mutex>();
}

#[test]
fn a_read_write_lock_of_raw_sync_lies_in_an_array() {
    let _watchdog = watchdog();
    locks_lie_in_an_array::<RwLock>();
}
