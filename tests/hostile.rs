//! Bytes that are not what they should be: an error or a working object, never a panic, a crash or a hang.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use common::watchdog;
use crossproc::{
    Arena, Array, AttachError, Barrier, BarrierError, BoundedSemaphore, Condvar, Error, Event, Kind, Lock, LockError,
    Manager, Permit, PipeBuilder, Process, ProcessError, Queue, RLock, RawArray, RawValue, Receiver, Result, Ring,
    RwLock, Semaphore, Sender, ShareableList, SharedMemory, TryLockError, TryRecvError, TrySendError, Value,
};

crossproc::test_support!();

/// All bytes of a file.
fn image(memory: &impl AsFd) -> Vec<u8> {
    let path = format!("/proc/self/fd/{}", memory.as_fd().as_raw_fd());
    let mut bytes = Vec::new();
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// A new memory file with these bytes and seals.
fn file(bytes: &[u8], seals: i32) -> OwnedFd {
    // SAFETY: a C string that outlives the call.
    let descriptor = unsafe { libc::memfd_create(c"image".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    assert!(descriptor >= 0);
    // SAFETY: new, and nobody else's.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(bytes).unwrap();
    // SAFETY: F_ADD_SEALS takes an int.
    assert_eq!(unsafe { libc::fcntl(descriptor, libc::F_ADD_SEALS, seals) }, 0);
    file.into()
}

const MOMENT: Duration = Duration::from_millis(1);

/// Attaches to every variant of `image` that differs in one byte, and uses what can be attached to.
fn every_flip<H>(image: &[u8], attach: impl Fn(OwnedFd) -> Result<H>, work: impl Fn(H)) {
    flips(image, 0..image.len(), attach, work);
}

/// As [`every_flip`], for the bytes at these offsets.
fn flips<H>(
    image: &[u8],
    offsets: impl Iterator<Item = usize>,
    attach: impl Fn(OwnedFd) -> Result<H>,
    work: impl Fn(H),
) {
    let (mut attached, mut refused) = (0, 0);
    for offset in offsets {
        for flip in [0xff, 0x01, 0x80] {
            let mut bytes = image.to_vec();
            bytes[offset] ^= flip;
            match attach(file(&bytes, SEALS)) {
                Ok(handle) => {
                    work(handle);
                    attached += 1;
                }
                Err(Error::Attach(_) | Error::TooManyPeers { .. }) => refused += 1,
                Err(other) => panic!("byte {offset} flipped by {flip:#x}: {other}"),
            }
        }
    }
    assert!(refused > 3 * 64, "headers are checked: only {refused} refused");
    assert!(attached > 3 * 64, "an unused byte does no harm: only {attached} attached");
}

fn use_value(value: Value<u64>) {
    let _ = value.get();
    assert_eq!(value.update_timeout(|_| 77, MOMENT).unwrap_or(77), 77);
    let _ = value.try_lock().or_else(TryLockError::repair).map(|mut guard| *guard = 78);
    let _ = value.get();
}

fn use_array(array: Array<u16>) {
    for index in 0..array.len().min(8) {
        let _ = array.get_timeout(index, MOMENT);
        let _ = array.set_timeout(index, 9, MOMENT);
    }
    let _ = array.lock_timeout(MOMENT).or_else(TryLockError::repair).map(|mut guard| guard.fill(3));
}

fn use_lock(lock: Lock) {
    let _ = lock.lock_timeout(MOMENT).or_else(TryLockError::repair);
    assert!(lock.try_lock().or_else(TryLockError::repair).is_ok(), "an owner that nobody is, is dead");
}

fn use_condvar(changed: Condvar) {
    let lock = Lock::new().unwrap();
    changed.notify(2);
    changed.notify_all();
    // A waiter may be taken for notified, but is not kept for longer than it wants.
    let (guard, _) = changed.wait_timeout(lock.lock().unwrap(), Duration::ZERO).unwrap();
    let _ = changed.wait_while_timeout(guard, |_| true, MOMENT / 10).unwrap();
    changed.notify_all();
}

fn use_event(event: Event) {
    let _ = event.wait_timeout(MOMENT);
    event.set();
    assert!(event.is_set() && event.wait_timeout(MOMENT));
    event.clear();
    assert!(!event.is_set() && !event.wait_timeout(MOMENT));
}

fn use_barrier(barrier: Barrier) {
    let _ = (barrier.try_wait(), barrier.n_waiting(), format!("{barrier:?}"));
    let _ = (barrier.wait_timeout(MOMENT), barrier.try_wait_with(|| ()));
    barrier.reset();
    assert!(matches!(barrier.clone().wait_with_timeout(MOMENT, || ()), Err(BarrierError::Broken(_))));
    barrier.reset();
    barrier.abort();
    assert!(barrier.is_broken() && matches!(barrier.wait(), Err(BarrierError::Broken(_))));
}

fn use_rlock(lock: RLock) {
    let _ = lock.lock_timeout(MOMENT).or_else(TryLockError::repair);
    let outer = lock.try_lock().or_else(TryLockError::repair).expect("an owner that nobody is, is dead");
    let _ = lock.try_lock();
    drop(outer);
    assert!(lock.try_lock().is_ok());
}

fn use_rwlock(lock: RwLock<u64>) {
    let _ = lock.read_timeout(MOMENT).map(|guard| *guard);
    let _ = lock.write_timeout(MOMENT).or_else(TryLockError::repair).map(|mut guard| *guard = 5);
    assert!(lock.try_write().or_else(TryLockError::repair).is_ok(), "an owner that nobody is, is dead");
    assert!(lock.try_read().is_ok());
    assert!(lock.try_write().is_ok());
}

fn use_arena(arena: Arena) {
    let remaining = arena.remaining();
    match Value::new_in(&arena, 5_u8) {
        Ok(value) => assert_eq!(value.get(), 5),
        Err(Error::NoSpace { available, .. }) => assert!(available <= remaining as u64),
        Err(other) => panic!("{other}"),
    }
}

fn use_manager(manager: Manager) {
    if let Ok(dict) = manager.at("dict").dict::<u8, Vec<u8>>() {
        let _ = (dict.get(1), dict.items(), dict.insert(1, vec![1; 10]), dict.insert(2, vec![2; 1000]), dict.remove(1));
        let _ = (dict.len(), dict.clear());
    }
    if let Ok(list) = manager.at("list").list::<String>() {
        let _ =
            (list.push("new"), list.set(0, "set"), list.to_vec(), list.insert(0, "first"), list.pop(), list.remove(0));
        let _ = (list.sort(), list.len(), list.clear());
    }
    let _ = (manager.names(), manager.remove("dict"), manager.list([1]), manager.value(2).map(|value| value.get()));
}

#[test]
fn every_flipped_byte_of_a_managers_words_is_an_error_or_does_no_harm() {
    let _watchdog = watchdog();
    let manager = Manager::with_capacity(1 << 17).unwrap();
    manager.at("dict").dict::<u8, Vec<u8>>().unwrap().extend([(1, vec![7; 20]), (2, vec![8; 200])]).unwrap();
    manager.at("list").list().unwrap().extend(["a text".to_string(), "b".to_string()]).unwrap();
    let image = image(&manager.fd().unwrap());
    const OBJECT: usize = 128 + 256 * 8;
    // Control words, and behind the notes the first blocks.
    let blocks = (OBJECT + 128 + 1024 + (1 << 20)).next_multiple_of(4096);
    let offsets = (0..160).chain(OBJECT..OBJECT + 128 + 8 * 56).chain((blocks..blocks + 8 * 400).step_by(5));
    flips(&image, offsets, Manager::from_fd, use_manager);
}

#[test]
fn a_value_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    every_flip(&image(&Value::new(1_u64).unwrap().memory_fd()), Value::from_fd, use_value);
}

#[test]
fn an_array_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    every_flip(&image(&Array::from_iter(0..8_u16).unwrap().memory_fd()), Array::from_fd, use_array);
}

#[test]
fn a_lock_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    every_flip(&image(&Lock::new().unwrap().memory_fd()), Lock::from_fd, use_lock);
}

macro_rules! use_semaphore {
    ($type:ty) => {
        |semaphore: $type| {
            assert!(semaphore.value() <= semaphore.capacity());
            let permits = [semaphore.try_acquire(), semaphore.acquire_timeout(MOMENT), semaphore.try_acquire()];
            let _ = (semaphore.release(1), semaphore.release(2), semaphore.release(usize::MAX));
            for permit in permits {
                let _ = permit.map(Permit::forget);
            }
            assert!(semaphore.release(semaphore.capacity() + 1).is_err());
            assert!(semaphore.value() <= semaphore.capacity());
        }
    };
}

#[test]
fn a_semaphore_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    let semaphore = Semaphore::builder().permits(2).max(5).build().unwrap();
    let _permit = semaphore.acquire().unwrap();
    semaphore.release(1).unwrap();
    every_flip(&image(&semaphore.memory_fd()), Semaphore::from_fd, use_semaphore!(Semaphore));
    let bounded = BoundedSemaphore::new(3).unwrap();
    bounded.acquire().unwrap().forget();
    every_flip(&image(&bounded.memory_fd()), BoundedSemaphore::from_fd, use_semaphore!(BoundedSemaphore));
}

/// An owner that nobody is, is dead, whatever the number.
#[test]
fn a_permit_of_nobody_comes_back() {
    for owner in [1, 1 << 10, 7 << 10 | 3, 1 << 31, u32::MAX - 1] {
        let mut image = image(&BoundedSemaphore::new(1).unwrap().memory_fd());
        let word = first_object() + 128 + 64;
        image[word..word + 4].copy_from_slice(&u32::to_le_bytes(owner));
        let semaphore = BoundedSemaphore::from_fd(file(&image, SEALS)).unwrap();
        assert!(semaphore.try_acquire().is_ok(), "{owner:#x}");
    }
}

#[test]
fn a_condvar_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    let changed = Condvar::new().unwrap();
    let lock = Lock::new().unwrap();
    // Somebody has waited, so that not all is zero; some of the words that nobody has used yet are enough.
    drop(changed.wait_timeout(lock.lock().unwrap(), Duration::ZERO).unwrap());
    flips(&image(&changed.memory_fd()), 0..2_560, Condvar::from_fd, use_condvar);
}

#[test]
fn an_event_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    event.set();
    every_flip(&image(&event.memory_fd()), Event::from_fd, use_event);
}

/// Its places are as many as peers and all alike: every byte of the rest, of the first places and of the last ones.
#[test]
fn a_barrier_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(4).unwrap();
    let again = barrier.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| again.wait());
        while barrier.n_waiting() == 0 {
            std::thread::yield_now();
        }
        let places = first_object() + 128 + 64;
        let offsets = (0..128 + 64).chain(first_object()..places + 64).chain(places + 256 * 8 - 64..places + 256 * 8);
        flips(&image(&barrier.memory_fd()), offsets, Barrier::from_fd, use_barrier);
        barrier.abort();
    });
}

#[test]
fn a_recursive_lock_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    every_flip(&image(&RLock::new().unwrap().memory_fd()), RLock::from_fd, use_rlock);
}

#[test]
fn a_readers_writer_lock_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    let image = image(&RwLock::new(1_u64).unwrap().memory_fd());
    // Headers, words, the first readers' words, and the value.
    let object = first_object();
    let value = object + 192 + 256 * 8;
    flips(&image, (0..object + 320).chain(value..value + 16), RwLock::from_fd, use_rwlock);
}

#[test]
fn an_arena_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    every_flip(&image(&Arena::new(1024).unwrap().memory_fd()), Arena::from_fd, use_arena);
}

fn use_memory(memory: SharedMemory) {
    let _ = memory.write_at_timeout(memory.len() - 1, &[7], MOMENT);
    let _ = memory.read_at(0, &mut [0; 5]);
    let _ = memory.lock_timeout(MOMENT).or_else(TryLockError::repair).map(|mut guard| guard.fill(3));
    assert_eq!(memory.to_vec().len(), memory.len());
}

fn use_list(list: ShareableList) {
    let _ = (list.to_vec(), list.count(9), list.index("text"));
    for index in 0..list.len().min(5) {
        let _ = list.set_timeout(index, "other", MOMENT);
        let _ = list.update_timeout(index, |_| 9.into(), MOMENT);
        let _ = list.get(index);
    }
}

#[test]
fn bytes_with_any_byte_flipped_are_an_error_or_work() {
    let _watchdog = watchdog();
    let memory = SharedMemory::create(100).unwrap();
    memory.write_at(0, &[9; 100]).unwrap();
    every_flip(&image(&memory.memory_fd()), SharedMemory::from_fd, use_memory);
}

#[test]
fn a_list_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    let list = ShareableList::new(["text".into(), b"bytes".into(), 1.into(), true.into()]).unwrap();
    list.set(0, "longer").unwrap();
    every_flip(&image(&list.memory_fd()), ShareableList::from_fd, use_list);
}

/// What no flip of a single byte makes of a list: each is an error that says where, and the other items are there.
#[test]
fn an_item_that_stands_for_nothing_is_an_error() {
    let list = ShareableList::new(["text".into(), 1.into()]).unwrap();
    let image = image(&list.memory_fd());
    let (count, place) = (first_object() + 128 + 8, first_object() + 128 + 64 + 8);
    let head = place + 8 + 16 + 16; // of the copy that was written first: the second
    let put = |offset: usize, number: u64| {
        let mut image = image.clone();
        image[offset..offset + 8].copy_from_slice(&number.to_le_bytes());
        ShareableList::from_fd(file(&image, SEALS))
    };
    for wrong in [u64::MAX, u64::MAX << 32, 4, 1 << 32 | 11, 2 << 32 | 9, 4 << 32 | 0xffff_ffff] {
        let list = put(place, wrong).unwrap();
        let corrupted = Error::Corrupted { object: Kind::ShareableList, position: 0, found: wrong };
        assert_eq!((list.get(0), list.set(0, 1)), (Err(corrupted.clone()), Err(corrupted)));
        assert_eq!(list.get(1), Ok(1.into()));
    }
    for wrong in [6, 4 | 9 << 8, 1 | 7 << 8, 5 | u64::MAX << 8] {
        let list = put(head, wrong).unwrap();
        let corrupted = Error::Corrupted { object: Kind::ShareableList, position: 0, found: wrong };
        assert_eq!((list.get(0), list.to_vec()), (Err(corrupted.clone()), Err(corrupted.clone())));
        assert_eq!(list.update(0, |item| item), Err(corrupted));
        assert_eq!((list.index(1), list.get(1)), (Some(1), Ok(1.into())));
        assert_eq!((list.set(0, 5), list.get(0)), (Ok(()), Ok(5.into())), "it can be mended");
    }
    let list = put(head + 8, 0xff).unwrap();
    assert!(matches!(list.get(0), Err(Error::Decode { .. })), "a text that is not UTF-8");
    for wrong in [7, 1 << 32, u64::MAX] {
        assert!(matches!(attach_error(put(count, wrong)), AttachError::WrongLength { found, .. } if found == wrong));
    }
}

#[test]
fn bytes_of_an_impossible_length_are_refused() {
    let image = image(&SharedMemory::create(100).unwrap().memory_fd());
    for wrong in [0, 64, 193, 1 << 40, isize::MAX as u64, u64::MAX] {
        let mut image = image.clone();
        image[first_object() + 32..first_object() + 40].copy_from_slice(&wrong.to_le_bytes());
        let found = attach_error(SharedMemory::from_fd(file(&image, SEALS)));
        assert!(matches!(found, AttachError::WrongLength { found, .. } if found == wrong), "{wrong}: {found}");
    }
}

/// Everything that can be done with a ring, none of it for ever. What it finds is nobody's promise.
fn use_ring(ring: Ring<[u64; 3]>) {
    let _ = (ring.len(), ring.is_empty(), ring.is_full(), ring.is_closed(), ring.redelivered());
    assert_eq!(ring.capacity(), 3);
    for n in 0..5 {
        let _ = ring.try_put([n; 3]);
        let _ = ring.try_take().map(|taken| {
            if n % 2 == 0 {
                taken.give_back();
            }
        });
        let _ = ring.try_reserve().map(|mut slot| {
            slot.fill(n);
            if n % 2 == 0 {
                slot.commit();
            }
        });
        let _ = ring.try_get();
    }
    let _ = ring.put_timeout([9; 3], MOMENT);
    let _ = (ring.get_timeout(MOMENT), ring.try_put_many(&[[1; 3]; 4]), ring.len());
    let again = ring.clone();
    ring.close();
    let _ = (again.try_put([1; 3]), again.get_timeout(MOMENT), again.try_get());
}

fn use_queue(queue: Queue<Vec<u8>>) {
    let _ = (queue.len(), queue.is_empty(), queue.is_full(), queue.is_closed(), queue.redelivered());
    assert_eq!(queue.capacity(), 3);
    for n in 0..5 {
        let _ = queue.try_put(vec![n; if n % 2 == 0 { 10 } else { 300 }]);
        let _ = queue.try_get_task().map(|task| {
            if n % 2 == 0 {
                task.give_back();
            }
        });
        let _ = (queue.try_get(), queue.task_done());
    }
    let _ = queue.put_timeout(vec![9; 500], MOMENT);
    let _ = (queue.get_timeout(MOMENT), queue.join_timeout(MOMENT), queue.len());
    let again = queue.clone();
    queue.close();
    let _ = (again.try_put(vec![]), again.get_timeout(MOMENT), again.try_get(), again.join_timeout(Duration::ZERO));
}

#[test]
fn a_ring_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    let ring = Ring::new(3).unwrap();
    ring.put_many(&[[1_u64, 2, 3], [4, 5, 6], [7, 8, 9]]).unwrap();
    assert_eq!(ring.get().unwrap(), [1, 2, 3]);
    let _taken = ring.take().unwrap();
    let _slot = ring.reserve().unwrap();
    every_flip(&image(&ring.memory_fd()), Ring::from_fd, use_ring);
}

/// Its accounts are as many as peers and all alike: every byte of the rest, of the first accounts and of the last one.
#[test]
fn a_queue_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    let queue = Queue::<Vec<u8>>::builder().capacity(3).max_message(1_000).build().unwrap();
    queue.put(vec![1; 9]).unwrap();
    queue.put(vec![2; 200]).unwrap();
    queue.put(vec![3; 90]).unwrap();
    assert_eq!(queue.get().unwrap().len(), 9);
    let _task = queue.get_task().unwrap();
    let accounts = first_object() + 128 + 384;
    let slots = accounts + 256 * 64;
    let offsets = (0..128 + 64).chain(first_object()..accounts + 2 * 64).chain(slots - 64..slots + 3 * 128 + 64);
    let image = image(&queue.memory_fd());
    let extents = image.len() - 3 * 4096;
    flips(&image, offsets.chain((extents..image.len()).step_by(61)), Queue::from_fd, use_queue);
}

/// Numbers that no flip of a single byte makes.
#[test]
fn an_impossible_capacity_or_limit_is_refused() {
    let put = |mut image: Vec<u8>, offset: usize, number: u64| {
        image[offset..offset + 8].copy_from_slice(&number.to_le_bytes());
        file(&image, SEALS)
    };
    let (ring, queue) =
        (image(&Ring::<u64>::new(3).unwrap().memory_fd()), image(&Queue::<u64>::new(3).unwrap().memory_fd()));
    let (length, limit, extents) = (first_object() + 32, first_object() + 128 + 264, first_object() + 128 + 272);
    for wrong in [0, 2, 5, 1 << 30, (1 << 30) + 1, 1 << 31, 1 << 32, (1 << 32) + 3, 1 << 58, u64::MAX] {
        for found in [
            attach_error(Ring::<u64>::from_fd(put(ring.clone(), length, wrong))),
            attach_error(Queue::<u64>::from_fd(put(queue.clone(), length, wrong))),
        ] {
            assert!(matches!(found, AttachError::WrongLength { found, .. } if found == wrong), "{wrong}: {found}");
        }
    }
    let semaphore = image(&BoundedSemaphore::new(3).unwrap().memory_fd());
    for wrong in [0, 17, 1 << 30, (1 << 30) + 1, 1 << 32, (1 << 32) + 3, 1 << 62, u64::MAX] {
        let found = attach_error(BoundedSemaphore::from_fd(put(semaphore.clone(), length, wrong)));
        assert!(matches!(found, AttachError::WrongLength { found, .. } if found == wrong), "{wrong}: {found}");
    }
    for wrong in [(1 << 20) + 1, 1 << 40, 1 << 63, u64::MAX - 4_095, u64::MAX] {
        for (offset, wrong) in [(limit, wrong), (extents, wrong)] {
            let found = attach_error(Queue::<u64>::from_fd(put(queue.clone(), offset, wrong)));
            assert!(matches!(found, AttachError::OutOfBounds { .. }), "{wrong}: {found}");
        }
    }
}

#[test]
fn raw_atomics_with_any_byte_flipped_are_an_error_or_work() {
    let _watchdog = watchdog();
    let value = RawValue::new(AtomicU32::new(7)).unwrap();
    every_flip(&image(&value.memory_fd()), RawValue::<AtomicU32>::from_fd, |value| {
        value.store(value.load(Relaxed), Relaxed);
    });
    let array = RawArray::<AtomicU32>::new(8).unwrap();
    every_flip(&image(&array.memory_fd()), RawArray::<AtomicU32>::from_fd, |array| {
        array.iter().for_each(|item| item.store(1, Relaxed));
    });
}

/// Where a channel in an otherwise empty arena begins.
fn channel_object() -> usize {
    first_object() + 128
}

/// A channel of 64 bytes with two messages in it, and one byte of it flipped.
fn flipped_channel(offset: usize, flip: u8) -> (Arena, Sender<u32>, Receiver<u32>) {
    let arena = Arena::new(1024).unwrap();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(64).arena(&arena).channel().unwrap();
    sender.send_bytes(&[1; 10]).unwrap();
    receiver.recv_bytes().unwrap();
    sender.send_bytes(&[2; 3]).unwrap();
    let map =
        memmap2::MmapOptions::new().map_raw(&File::from(arena.memory_fd().try_clone_to_owned().unwrap())).unwrap();
    // SAFETY: within the mapping.
    let byte = unsafe { map.as_mut_ptr().add(channel_object() + offset) };
    // SAFETY: as above; nobody uses the channel meanwhile.
    let found = unsafe { byte.read_volatile() };
    // SAFETY: as above.
    unsafe { byte.write_volatile(found ^ flip) };
    (arena, sender, receiver)
}

fn use_sender(sender: &mut Sender<u32>) {
    for bytes in [&[0; 7][..], &[0; 24], &[0; 200]] {
        match sender.send_bytes_timeout(bytes, MOMENT) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::BrokenPipe(())) => {}
            Err(TrySendError::Failed { error: Error::Corrupted { .. }, .. }) => {}
            Err(other) => panic!("{other}"),
        }
        let _ = sender.try_send(7);
    }
}

fn use_receiver(receiver: &mut Receiver<u32>) {
    for _ in 0..3 {
        match receiver.recv_bytes_timeout(MOMENT) {
            Ok(_) | Err(TryRecvError::Empty | TryRecvError::EndOfFile) => {}
            Err(TryRecvError::Failed(Error::Corrupted { .. })) => {}
            Err(other) => panic!("{other}"),
        }
        let _ = receiver.try_recv();
        let _ = receiver.try_recv_ref().map(|message| message.len());
        let _ = receiver.try_recv_bytes_into(&mut [0; 4]);
        let _ = receiver.poll(Duration::ZERO);
    }
}

#[test]
fn a_channel_with_any_byte_flipped_is_an_error_or_works() {
    let _watchdog = watchdog();
    for offset in 128..128 + 256 + 64 {
        for flip in [0xff, 0x01, 0x80] {
            let (_arena, mut sender, mut receiver) = flipped_channel(offset, flip);
            use_receiver(&mut receiver);
            use_sender(&mut sender);
            use_receiver(&mut receiver);
            drop(sender);
            let _ = receiver.try_recv();
        }
    }
}

#[test]
fn an_end_of_a_channel_with_a_flipped_header_arrives_whole_or_not_at_all() {
    let _watchdog = watchdog();
    let (mut arrived, mut refused) = (0, 0);
    for offset in 0..128 {
        let (_arena, sender, mut receiver) = flipped_channel(offset, 0x81);
        match Process::spawn(|mut sender: Sender<u32>| use_sender(&mut sender), (sender,)).unwrap().join() {
            Ok(()) => arrived += 1,
            Err(ProcessError::Failed { source, .. }) => {
                assert!(matches!(*source, Error::Attach(_)), "byte {offset}: {source:?}");
                refused += 1;
            }
            Err(other) => panic!("byte {offset}: {other}"),
        }
        let _ = receiver.recv_bytes_timeout(MOMENT);
    }
    assert!(refused >= 50 && arrived >= 50, "{refused} refused, {arrived} arrived");
}

fn attach_error<H: std::fmt::Debug>(attached: Result<H>) -> AttachError {
    match attached {
        Err(Error::Attach(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_could_shrink_is_refused() {
    let bytes = image(&Value::new(1_u64).unwrap().memory_fd());
    for missing in [libc::F_SEAL_SHRINK, libc::F_SEAL_GROW, libc::F_SEAL_SEAL] {
        let found = attach_error(Value::<u64>::from_fd(file(&bytes, SEALS & !missing)));
        assert!(matches!(found, AttachError::NotSealed { .. }), "{found}");
    }
    let ordinary: OwnedFd = File::open("/proc/self/exe").unwrap().into();
    assert!(matches!(attach_error(Value::<u64>::from_fd(ordinary)), AttachError::NotSealed { found: 0, .. }));
}

#[test]
fn a_truncated_or_empty_file_is_refused() {
    let bytes = image(&Value::new(1_u64).unwrap().memory_fd());
    for length in [0, 1, 127, 128, 300, bytes.len() - 1] {
        let found = attach_error(Value::<u64>::from_fd(file(&bytes[..length], SEALS)));
        assert!(matches!(found, AttachError::WrongSize { found, .. } if found == length as u64), "{length}: {found}");
    }
}

#[test]
fn each_mismatch_names_both_sides() {
    let value = Value::new(1_u64).unwrap();
    let fd = || value.memory_fd().try_clone_to_owned().unwrap();
    for (error, text) in [
        (
            attach_error(Value::<f64>::from_fd(fd())),
            "type u64 (8 bytes, alignment 8), expected f64 (8 bytes, alignment 8)",
        ),
        (attach_error(Array::<u64>::from_fd(fd())), "a Value, expected an Array"),
        (attach_error(Lock::from_fd(fd())), "a Value, expected a Lock"),
        (
            attach_error(Value::<u64>::from_fd(file(&[0; 4096], SEALS))),
            "magic 0x0000000000000000, expected 0x63727073736f7263",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
    let mut bytes = image(&value.memory_fd());
    bytes[8] = 9;
    let found = attach_error(Value::<u64>::from_fd(file(&bytes, SEALS)));
    assert_eq!(found.to_string(), "format 9, this build reads 4");
}

#[test]
fn an_owner_that_never_was_does_not_keep_the_lock() {
    let mut bytes = image(&Lock::new().unwrap().memory_fd());
    let word = first_object() + 128;
    bytes[word..word + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let lock = Lock::from_fd(file(&bytes, SEALS)).unwrap();
    assert!(matches!(lock.lock(), Err(crossproc::LockError::OwnerDied(_))));
}

/// Words of which a peer that does not follow the protocol says that this very process owns them, so often.
#[test]
fn counts_that_cannot_be_are_errors() {
    let _watchdog = watchdog();
    fn store(memory: &impl AsFd, offset: usize, word: u64) {
        let path = format!("/proc/self/fd/{}", memory.as_fd().as_raw_fd());
        let file = File::options().write(true).open(path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &word.to_le_bytes(), offset as u64).unwrap();
    }
    let body = first_object() + 128;
    let rlock = RLock::new().unwrap();
    for depth in [0, u64::MAX] {
        let guard = rlock.lock().unwrap();
        store(&rlock.memory_fd(), body + 8, depth);
        match rlock.lock() {
            Err(LockError::Failed(Error::Corrupted { found, .. })) => assert_eq!(found, depth),
            other => panic!("{other:?}"),
        }
        store(&rlock.memory_fd(), body + 8, 0);
        drop(guard);
        assert!(rlock.try_lock().is_ok());
    }
    let rwlock = RwLock::new(1).unwrap();
    let count = 1 << 42 | 0xffff_ffff; // place 0, generation 1
    store(&rwlock.memory_fd(), body + 64, count);
    match rwlock.read() {
        Err(LockError::Failed(Error::Corrupted { object: Kind::RwLock, position: 0, found })) => {
            assert_eq!(found, count);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(rwlock.write_timeout(MOMENT), Err(TryLockError::Held)));
}

/// Header and 256 places for peers.
fn first_object() -> usize {
    128 + 256 * 8
}

/// A peer may hold every identity's byte: others are refused, and neither hang nor keep the program from forking.
#[test]
fn a_peer_that_locks_all_identities_is_an_error() {
    let _watchdog = watchdog();
    let descriptor = file(&image(&Value::new(1_u64).unwrap().memory_fd()), SEALS);
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let again = File::options().read(true).write(true).open(path).unwrap();
    let whole = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open, and the lock outlives the call.
    assert_eq!(unsafe { libc::fcntl(again.as_raw_fd(), libc::F_OFD_SETLK, &raw const whole) }, 0);
    let refused = Value::<u64>::from_fd(descriptor);
    assert!(matches!(refused, Err(Error::Os { source, .. }) if source.code() == libc::EBUSY), "{refused:?}");
}

/// A peer may hold a lease, for which an open would wait.
#[test]
fn a_leased_file_is_an_error() {
    let _watchdog = watchdog();
    let descriptor = file(&image(&Value::new(1_u64).unwrap().memory_fd()), SEALS);
    let leased =
        File::options().read(true).write(true).open(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).unwrap();
    drop(descriptor);
    // The holder of a lease is told of the open by a signal, and here we are the holder.
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    // SAFETY: F_SETLEASE takes an int.
    assert_eq!(unsafe { libc::fcntl(leased.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) }, 0);
    match Value::<u64>::from_fd(leased.into()) {
        Err(Error::Os { source, .. }) => assert_eq!(source.code(), libc::EWOULDBLOCK),
        other => panic!("{other:?}"),
    }
}

/// A huge file that is no segment, or none of this layout, costs nothing.
#[test]
fn a_sparse_file_that_is_no_segment_is_refused_before_it_is_filled() {
    let size = 1_u64 << 30;
    let mut first = image(&Value::new(1_u64).unwrap().memory_fd())[..64].to_vec();
    for field in [24, 56] {
        first[field..field + 8].copy_from_slice(&size.to_ne_bytes());
    }
    // Its magic, format, layout and length, and none of them.
    for wrong in [0..1, 8..9, 16..17, 24..25, 0..64] {
        let mut bytes = first.clone();
        bytes[wrong.clone()].fill(0x55);
        let sparse = File::from(file(&bytes, 0));
        sparse.set_len(size).unwrap();
        // SAFETY: F_ADD_SEALS takes an int.
        assert_eq!(unsafe { libc::fcntl(sparse.as_raw_fd(), libc::F_ADD_SEALS, SEALS) }, 0);
        let kept = sparse.try_clone().unwrap();
        drop(attach_error(Value::<u64>::from_fd(sparse.into())));
        let blocks = kept.metadata().map(|metadata| std::os::unix::fs::MetadataExt::blocks(&metadata)).unwrap();
        assert!(blocks * 512 <= 1 << 16, "{blocks} blocks, {wrong:?}");
    }
}

/// Has a peer change the first word of an object for ever while `work` is done.
fn while_its_word_never_rests(memory: &impl AsFd, mut work: impl FnMut()) {
    let map = memmap2::MmapOptions::new().map_raw(&File::from(memory.as_fd().try_clone_to_owned().unwrap())).unwrap();
    // SAFETY: the word lies within the mapping, aligned, and is used as an atomic by all.
    let word = unsafe { map.as_mut_ptr().add(first_object() + 128) }.cast::<u64>();
    // SAFETY: as above; the mapping outlives the scope below.
    let word = unsafe { std::sync::atomic::AtomicU64::from_ptr(word) };
    let stop = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0_u64.. {
                word.store(n << 32 | 0x7fff_ffff & n, Relaxed);
                if stop.load(Relaxed) == 1 {
                    break;
                }
            }
        });
        for _ in 0..200 {
            work();
        }
        stop.store(1, Relaxed);
    });
}

/// A word that changes for ever keeps no `try_lock` and no timeout.
#[test]
fn a_lock_word_that_never_rests_ends_no_later_than_it_should() {
    let _watchdog = watchdog();
    let lock = Lock::new().unwrap();
    while_its_word_never_rests(&lock.memory_fd(), || {
        let _ = lock.try_lock().or_else(TryLockError::repair);
        let _ = lock.lock_timeout(MOMENT).or_else(TryLockError::repair);
    });
}

#[test]
fn an_event_and_a_barrier_that_never_rest_keep_nobody() {
    let _watchdog = watchdog();
    let (event, barrier) = (Event::new().unwrap(), Barrier::new(3).unwrap());
    while_its_word_never_rests(&event.memory_fd(), || {
        let _ = event.wait_timeout(MOMENT);
        event.set();
        event.clear();
    });
    while_its_word_never_rests(&barrier.memory_fd(), || {
        let _ = (barrier.try_wait(), barrier.wait_timeout(MOMENT), barrier.wait_with_timeout(MOMENT, || ()));
        barrier.abort();
        barrier.reset();
    });
}

#[test]
fn names_from_shared_memory_are_printed_without_control_characters() {
    let mut bytes = image(&Value::new(1_u64).unwrap().memory_fd());
    let name = first_object() + 56;
    bytes[name..name + 8].copy_from_slice(b"\x1b[2Jevil");
    bytes[first_object() + 48] ^= 1; // another type by its hash
    let text = attach_error(Value::<u64>::from_fd(file(&bytes, SEALS))).to_string();
    assert!(text.contains("evil") && !text.contains('\x1b'), "{text:?}");
}
