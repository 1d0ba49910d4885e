//! Golden images: what stands in a segment, word by word. Whoever changes one raises `FORMAT` in `segment/header.rs`.

mod common;

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::AtomicU32;

use common::watchdog;
use crossproc::{
    Arena, Array, Barrier, BoundedSemaphore, Condvar, Event, Lock, Manager, PipeBuilder, Queue, RLock, RawArray,
    RawValue, Ring, RwLock, Semaphore, ShareableItem, ShareableList, SharedMemory, Value,
};

/// The words of a segment that are not zero, but for those that tell who made it and when.
fn words(memory: &impl AsFd) -> Vec<(usize, u64)> {
    let mut bytes = Vec::new();
    let path = format!("/proc/self/fd/{}", memory.as_fd().as_raw_fd());
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    // Creator and uid; time; the first peer's process id.
    bytes[40..56].fill(0);
    bytes[132..136].fill(0);
    let words = bytes.as_chunks::<8>().0.iter().map(|&word| u64::from_le_bytes(word));
    words.enumerate().map(|(index, word)| (index * 8, word)).filter(|&(_, word)| word != 0).collect()
}

/// Text as it stands in a word.
fn text(text: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    u64::from_le_bytes(bytes)
}

const OBJECT: usize = 128 + 256 * 8;

/// The header of every segment of one page with one peer, in which objects end at `used`.
fn header(used: usize) -> Vec<(usize, u64)> {
    header_of(4096, 4096, used)
}

/// The header of every segment with one peer of which `solid` bytes are backed with memory.
fn header_of(length: u64, solid: u64, used: usize) -> Vec<(usize, u64)> {
    vec![
        (0, text("crossprc")),
        (8, 4 | 256 << 32),          // format, peers
        (16, 0x2475_4704_67e2_1acf), // stamp
        (24, length),
        (32, used as u64),
        (56, solid),
        (128, 1 << 2 | 2), // place 0: generation 1, ACTIVE
    ]
}

/// The header of an arena, a lock or the like, which have no type; that of an arena has a length besides.
fn arena_or_lock(kind: u64, stamp: u64, bytes: u64) -> [(usize, u64); 6] {
    [
        (OBJECT, text("object  ")),
        (OBJECT + 8, kind | 1 << 32),
        (OBJECT + 16, stamp),
        (OBJECT + 24, bytes),
        (OBJECT + 48, 0x07e1_1f07_b4a6_665a),
        (OBJECT + 56, text("()")),
    ]
}

#[test]
fn a_value_is_laid_out_as_ever() {
    let value = Value::new(0x1122_3344_5566_7788_u64).unwrap();
    value.set(5);
    let mut golden = header(OBJECT + 256);
    golden.extend([
        (OBJECT, text("object  ")),
        (OBJECT + 8, 2 | 8 << 32),            // a Value; alignment 8
        (OBJECT + 16, 0x48f7_6a19_cd4e_630f), // stamp
        (OBJECT + 24, 256),                   // bytes
        (OBJECT + 32, 1),                     // length
        (OBJECT + 40, 8),                     // size of the type
        (OBJECT + 48, 0x4d35_d319_3e8d_66f2), // hash of its name
        (OBJECT + 56, text("u64")),
        (OBJECT + 128 + 64, 2),                     // sequence: two commits
        (OBJECT + 128 + 72, 5),                     // copy 0, active
        (OBJECT + 128 + 80, 0x1122_3344_5566_7788), // copy 1
    ]);
    assert_eq!(words(&value.memory_fd()), golden);
}

#[test]
fn an_array_is_laid_out_as_ever() {
    let array = Array::from_iter([1_u64, 2, 3]).unwrap();
    array.set(1, 7).unwrap();
    let mut golden = header(OBJECT + 256);
    golden.extend([
        (OBJECT, text("object  ")),
        (OBJECT + 8, 3 | 8 << 32),
        (OBJECT + 16, 0x03ab_ca19_a60e_ccdf),
        (OBJECT + 24, 256),
        (OBJECT + 32, 3),
        (OBJECT + 40, 8),
        (OBJECT + 48, 0x4d35_d319_3e8d_66f2),
        (OBJECT + 56, text("u64")),
        (OBJECT + 128 + 64, 1),
        (OBJECT + 128 + 72, 7),
        (OBJECT + 128 + 80, 3),
        (OBJECT + 128 + 88, 2), // the old value of what was set last
    ]);
    assert_eq!(words(&array.memory_fd()), golden);
}

#[test]
fn bytes_are_laid_out_as_ever() {
    let memory = SharedMemory::create(70).unwrap();
    memory.write_at(1, b"first").unwrap();
    memory.write_at(69, &[7]).unwrap();
    let mut golden = header(OBJECT + 384);
    golden.extend([
        (OBJECT, text("object  ")),
        (OBJECT + 8, 17 | 1 << 32),
        (OBJECT + 16, 0x090c_0807_b5a4_3a2d),
        (OBJECT + 24, 384),
        (OBJECT + 32, 70),
        (OBJECT + 40, 1),
        (OBJECT + 48, 0x08c4_8207_b567_53d8),
        (OBJECT + 56, text("u8")),
        (OBJECT + 128 + 64, text("\0first")),
        (OBJECT + 128 + 64 + 64, 7 << 40),
    ]);
    assert_eq!(words(&memory.memory_fd()), golden);
}

#[test]
fn a_list_is_laid_out_as_ever() {
    let items = ["a text".into(), b"bytes too".into(), (-1).into(), 0.5.into(), true.into(), ShareableItem::None];
    let list = ShareableList::new(items).unwrap();
    list.set(2, b"once").unwrap();
    const WORDS: usize = 6 * 2 + 5 * 2 * 2 + 2 * 3;
    let mut golden = header(OBJECT + 512);
    let [entries, copies] = [OBJECT + 128 + 64, OBJECT + 128 + 64 + 6 * 16];
    golden.extend([
        (OBJECT, text("object  ")),
        (OBJECT + 8, 18 | 8 << 32),
        (OBJECT + 16, 0x6723_4acf_ddbc_10ef),
        (OBJECT + 24, 512),
        (OBJECT + 32, WORDS as u64),
        (OBJECT + 40, 8),
        (OBJECT + 48, 0x4d35_d319_3e8d_66f2),
        (OBJECT + 56, text("u64")),
        (OBJECT + 128 + 8, 6), // items
        // For each, how many commits, and where its copies are.
        (entries, 1),
        (entries + 8, 2 << 32 | 12),
        (entries + 16, 1),
        (entries + 24, 3 << 32 | 16),
        (entries + 32, 2),
        (entries + 40, 2 << 32 | 22),
        (entries + 48, 1),
        (entries + 56, 2 << 32 | 26),
        (entries + 64, 1),
        (entries + 72, 2 << 32 | 30),
        (entries + 80, 1),
        (entries + 88, 2 << 32 | 34),
        // The second copy of each is the first that was written.
        (copies + 16, 6 << 8 | 4),
        (copies + 24, text("a text")),
        (copies + 56, 9 << 8 | 5),
        (copies + 64, text("bytes to")),
        (copies + 72, text("o")),
        (copies + 80, 4 << 8 | 5),
        (copies + 88, text("once")),
        (copies + 96, 8 << 8 | 1),
        (copies + 104, u64::MAX),
        (copies + 128, 8 << 8 | 2),
        (copies + 136, 0.5_f64.to_bits()),
        (copies + 160, 8 << 8 | 3),
        (copies + 168, 1),
    ]);
    assert_eq!(words(&list.memory_fd()), golden);
}

#[test]
fn a_held_lock_is_laid_out_as_ever() {
    let lock = Lock::new().unwrap();
    let _guard = lock.lock().unwrap();
    let mut found = words(&lock.memory_fd());
    let (offset, word) = found.pop().unwrap();
    assert_eq!((offset, word as u32), (OBJECT + 128, 1 << 10), "the owner is peer 0 of generation 1");
    assert!((1..1 << 30).contains(&(word >> 32)), "and a thread, neither WHOLE nor DIRTY");
    let mut golden = header(OBJECT + 256);
    golden.extend(arena_or_lock(6, 0xaf63_c54c_8601_c577, 256));
    assert_eq!(found, golden);
}

#[test]
fn a_condvar_is_laid_out_as_ever() {
    let _watchdog = watchdog();
    let (lock, changed) = (Lock::new().unwrap(), Condvar::new().unwrap());
    let read = std::thread::scope(|scope| {
        let waiters = [(); 2].map(|()| scope.spawn(|| drop(changed.wait(lock.lock().unwrap()).unwrap())));
        while words(&changed.memory_fd()).last().is_none_or(|&(offset, _)| offset < OBJECT + 128 + 136) {
            std::thread::yield_now();
        }
        let guard = lock.lock().unwrap();
        assert!(changed.notify_one());
        let read = words(&changed.memory_fd());
        drop(guard);
        assert!(changed.notify_one());
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        read
    });
    let bytes = 128 + 128 + 8 * 1_024;
    let mut golden = header_of(12_288, 12_288, OBJECT + bytes);
    let body = OBJECT + 128;
    golden.extend([
        (OBJECT, text("object  ")),
        (OBJECT + 8, 14 | 1 << 32),
        (OBJECT + 16, 0x9d26_0807_59f8_bded),
        (OBJECT + 24, bytes as u64),
        (OBJECT + 48, 0x07e1_1f07_b4a6_665a),
        (OBJECT + 56, text("()")),
        (body, 2),                     // arrivals
        (body + 16, 2),                // used
        (body + 128, OWNER | 1 << 31), // the first is notified
        (body + 136, OWNER | 1 << 32), // the second waits
    ]);
    assert_eq!(read, golden);
}

#[test]
fn a_recursive_lock_is_laid_out_as_ever() {
    let lock = RLock::new().unwrap();
    let _guards = [lock.lock().unwrap(), lock.lock().unwrap()];
    let mut found = words(&lock.memory_fd());
    assert_eq!(found.pop(), Some((OBJECT + 128 + 8, 2)), "the depth");
    let (offset, word) = found.pop().unwrap();
    assert_eq!((offset, word as u32), (OBJECT + 128, 1 << 10), "the owner is peer 0 of generation 1");
    let mut golden = header(OBJECT + 256);
    golden.extend(arena_or_lock(10, 0xaf63_cd4c_8601_d30f, 256));
    assert_eq!(found, golden);
}

#[test]
fn a_readers_writer_lock_is_laid_out_as_ever() {
    let lock = RwLock::new(7_u64).unwrap();
    let _guards = [lock.read().unwrap(), lock.read().unwrap()];
    const BYTES: usize = 128 + 64 + 256 * 8 + 64;
    let mut golden = header_of(8192, 8192, OBJECT + BYTES);
    golden.extend([
        (OBJECT, text("object  ")),
        (OBJECT + 8, 11 | 8 << 32),
        (OBJECT + 16, 0x03fd_4219_a653_efef),
        (OBJECT + 24, BYTES as u64),
        (OBJECT + 32, 1),
        (OBJECT + 40, 8),
        (OBJECT + 48, 0x4d35_d319_3e8d_66f2),
        (OBJECT + 56, text("u64")),
        (OBJECT + 192, OWNER << 32 | 2), // readers of place 0
        (OBJECT + 192 + 256 * 8, 7),
    ]);
    assert_eq!(words(&lock.memory_fd()), golden);
}

#[test]
fn a_semaphore_is_laid_out_as_ever() {
    let semaphore = Semaphore::builder().permits(2).max(5).build().unwrap();
    let _permit = semaphore.acquire().unwrap();
    semaphore.acquire().unwrap().forget();
    semaphore.release(2).unwrap();
    semaphore.acquire().unwrap().forget();
    let bounded = BoundedSemaphore::new(5).unwrap();
    let header = |kind: u64| {
        let mut golden = header(OBJECT + 256);
        golden.extend([
            (OBJECT, text("object  ")),
            (OBJECT + 8, kind | 1 << 32),
            (OBJECT + 16, 0x0869_2807_b51a_0f3d), // stamp
            (OBJECT + 24, 256),
            (OBJECT + 32, 5), // permits that there can be
            (OBJECT + 48, 0x07e1_1f07_b4a6_665a),
            (OBJECT + 56, text("()")),
        ]);
        golden
    };
    let mut golden = header(12);
    golden.extend([
        (OBJECT + 128 + 8, 3 | 2 << 32), // three words used; two became ABSENT again
        (OBJECT + 128 + 64, 1 << 10 | 0xffff_ffff << 32), // peer 0 of generation 1; ABSENT
        (OBJECT + 128 + 72, 0xffff_ffff << 32), // free, ABSENT
        (OBJECT + 128 + 80, 0xffff_ffff),
    ]);
    assert_eq!(words(&semaphore.memory_fd()), golden);
    let mut golden = header(13);
    golden.push((OBJECT + 128 + 8, 5));
    assert_eq!(words(&bounded.memory_fd()), golden);
}

#[test]
fn atomics_and_arenas_are_laid_out_as_ever() {
    let arena = Arena::new(1024).unwrap();
    let value = RawValue::new_in(&arena, AtomicU32::new(9)).unwrap();
    let array = RawArray::<AtomicU32>::new_in(&arena, 2).unwrap();
    array[1].store(4, std::sync::atomic::Ordering::Relaxed);
    let [first, second] = [OBJECT + 128, OBJECT + 128 + 256];
    let mut golden = header(second + 256);
    golden.extend(arena_or_lock(1, 0xaf63_bd4c_8601_b7df, 128));
    golden.insert(golden.len() - 2, (OBJECT + 32, 1_024)); // the bytes that were asked for
    for (object, kind, length, content) in [(first, 4, 1, (0, 9)), (second, 5, 2, (0, 4 << 32))] {
        golden.extend([
            (object, text("object  ")),
            (object + 8, kind | 4 << 32),
            (object + 16, 0xaf63_bd4c_8601_b7df),
            (object + 24, 256),
            (object + 32, length),
            (object + 40, 4),
            (object + 48, 0x7df2_5860_7e91_da52),
            (object + 56, text("AtomicU3")),
            (object + 64, text("2")),
            (object + 128 + content.0, content.1),
        ]);
    }
    assert_eq!(words(&value.memory_fd()), golden);
}

#[test]
fn a_channel_is_laid_out_as_ever() {
    let arena = Arena::new(512).unwrap();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(64).arena(&arena).channel::<u64>().unwrap();
    sender.send_bytes(b"received").unwrap();
    receiver.recv_bytes().unwrap();
    sender.send_bytes(b"abc").unwrap();
    let mut golden = header(OBJECT + 128 + 448 + 64);
    golden.extend(arena_or_lock(1, 0xaf63_bd4c_8601_b7df, 128));
    golden.insert(golden.len() - 2, (OBJECT + 32, 512)); // the bytes that were asked for
    let object = OBJECT + 128;
    let (body, ring) = (object + 128, object + 128 + 256);
    golden.extend([
        (object, text("object  ")),
        (object + 8, 9 | 8 << 32),
        (object + 16, 0x02a7_7eef_e3c1_f0d7), // stamp
        (object + 24, 512),
        (object + 32, 64), // capacity
        (object + 40, 8),
        (object + 48, 0x4d35_d319_3e8d_66f2),
        (object + 56, text("u64")),
        (body, 16),            // head
        (body + 152, 1 << 10), // sender: peer 0 of generation 1
        (body + 160, 1 << 10), // receiver
        (ring, 1 << 48 | 8),   // a whole message
        (ring + 8, text("received")),
        (ring + 16, 1 << 48 | 3),
        (ring + 24, text("abc")),
    ]);
    assert_eq!(words(&arena.memory_fd()), golden);
}

/// Words of slots: what is in them, in which lap, and who is at work on it (`ring/slot.rs`).
const WRITING: u64 = 1 << 32;
const READY: u64 = 2 << 32;
const HELD: u64 = 1 << 31;
const READING: u64 = 3 << 32;
const LAP: u64 = 1 << 34;

/// Place 0, generation 1.
const OWNER: u64 = 1 << 10;

#[test]
fn a_ring_is_laid_out_as_ever() {
    let ring = Ring::new(4).unwrap();
    ring.put_many(&[[1_u64, 2], [3, 4]]).unwrap();
    ring.put([5, 6]).unwrap();
    ring.get().unwrap();
    let _taken = ring.take().unwrap();
    let _slot = ring.reserve().unwrap();
    let mut golden = header(OBJECT + 128 + 256 + 4 * 64);
    let [control, slots] = [OBJECT + 128, OBJECT + 128 + 256];
    golden.extend([
        (OBJECT, text("object  ")),
        (OBJECT + 8, 7 | 8 << 32),
        (OBJECT + 16, 0x09f1_4517_e8a1_1c47),
        (OBJECT + 24, 128 + 256 + 4 * 64),
        (OBJECT + 32, 4),
        (OBJECT + 40, 16),
        (OBJECT + 48, 0x0ac3_ae87_fff1_5a8d),
        (OBJECT + 56, text("[u64; 2]")),
        (control + 128, 1), // tail, as the put into slot 0 said
        (control + 192, 1), // head, as the get from it did
        (slots, LAP),
        (slots + 8, 1),
        (slots + 16, 2),
        (slots + 64, READING | HELD | OWNER),
        (slots + 72, 3),
        (slots + 80, 4),
        (slots + 128, READY),
        (slots + 136, 5),
        (slots + 144, 6),
        (slots + 192, WRITING | OWNER),
    ]);
    assert_eq!(words(&ring.memory_fd()), golden);
}

#[test]
fn a_queue_is_laid_out_as_ever() {
    let queue = Queue::<Vec<u8>>::builder().capacity(4).max_message(10_000).build().unwrap();
    queue.put(vec![1; 7]).unwrap();
    queue.put(vec![2; 200]).unwrap();
    queue.put(vec![3; 100]).unwrap();
    queue.get().unwrap();
    queue.task_done().unwrap();
    let _task = queue.get_task().unwrap();
    queue.close();
    const BYTES: usize = 128 + 384 + 256 * 64 + 4 * 128;
    const EXTENTS: u64 = 20_480;
    let mut golden = header_of(EXTENTS + 4 * 3 * 4096, EXTENTS, OBJECT + BYTES);
    let [body, accounts] = [OBJECT + 128, OBJECT + 128 + 384];
    let slots = accounts + 256 * 64;
    let extent = EXTENTS as usize + 3 * 4096;
    golden.extend([
        (OBJECT, text("object  ")),
        (OBJECT + 8, 8 | 8 << 32),
        (OBJECT + 16, 0x655c_3b7a_28b2_d607),
        (OBJECT + 24, BYTES as u64),
        (OBJECT + 32, 4),
        (OBJECT + 40, 24),
        (OBJECT + 48, 0xfddd_a3e6_0189_40d8),
        (OBJECT + 56, text("Vec<u8>")),
        (body + 8, 1), // closed
        (body + 128, 1),
        (body + 192, 1),
        (body + 264, 10_000),
        (body + 272, EXTENTS),
        (accounts, OWNER),
        (accounts + 16, 1), // got
        (accounts + 24, 1), // done
        (slots, LAP),
        (slots + 8, 8),
        (slots + 16, 0x0101_0101_0101_0107),
        (slots + 128, READING | HELD | OWNER),
        (slots + 136, 202),
        (slots + 256, READY),
        (slots + 264, 101),
        (slots + 272, 0x0303_0303_0303_0364),
    ]);
    golden.extend((1..12).map(|word| (slots + 272 + word * 8, 0x0303_0303_0303_0303)));
    golden.extend([(slots + 272 + 96, 0x0003_0303_0303)]);
    golden.extend([(extent, 0x0202_0202_0202_01c8)]);
    golden.extend((1..25).map(|word| (extent + word * 8, 0x0202_0202_0202_0202)));
    golden.extend([(extent + 200, 0x0202)]);
    assert_eq!(words(&queue.memory_fd()), golden);
}

#[test]
fn an_event_is_laid_out_as_ever() {
    let event = Event::new().unwrap();
    event.set();
    event.clear();
    event.set();
    let mut golden = header(OBJECT + 256);
    golden.extend(arena_or_lock(15, 0xaf63_c54c_8601_c577, 256));
    golden.push((OBJECT + 128, 1 << 2 | 1)); // cleared once, set
    assert_eq!(words(&event.memory_fd()), golden);
}

#[test]
fn a_barrier_is_laid_out_as_ever() {
    const BYTES: u64 = (128_u64 + 64 + 256 * 8).next_multiple_of(128);
    let barrier = Barrier::builder().parties(2).timeout(std::time::Duration::from_nanos(5)).build().unwrap();
    let _again = barrier.clone();
    barrier.abort();
    barrier.reset();
    barrier.abort();
    let mut golden = header_of(8192, 8192, OBJECT + BYTES as usize);
    golden.extend(arena_or_lock(16, 0x0390_aa19_a5f7_cec7, BYTES));
    golden.insert(golden.len() - 2, (OBJECT + 32, 2)); // parties
    golden.extend([
        (OBJECT + 128, 1 << 48 | 2 << 32 | 1 << 3 | 2 << 1), // one was broken; aborted; generation 1; BROKEN
        (OBJECT + 136, 6),                                   // 5 ns
        (OBJECT + 128 + 64, OWNER << 32 | 2),                // two handles of peer 0
    ]);
    assert_eq!(words(&barrier.memory_fd()), golden);
}

/// With a list in it. Behind the control words there are notes of old values, which mean nothing between transactions.
#[test]
fn a_manager_is_laid_out_as_ever() {
    let manager = Manager::with_capacity(1 << 16).unwrap();
    let list = manager.list([0x1122_u64]).unwrap();
    list.push(7).unwrap();
    const CONTROL: usize = OBJECT + 128;
    const NOTES: Range<usize> = CONTROL + 1024..CONTROL + 1024 + (1 << 20);
    const BLOCKS: usize = NOTES.end.next_multiple_of(4096);
    let used = |order| text("\0\0\0\0used") | order;
    let free = |order| text("\0\0\0\0free") | order;
    const RESERVE: u64 = 1 << 17;
    let mut golden = header_of(BLOCKS as u64 + (1 << 16) + RESERVE, BLOCKS as u64, NOTES.end);
    golden.extend(arena_or_lock(19, 0x5889_bedb_30a9_60ea, 128 + 1024 + (1 << 20)));
    golden.extend([
        (OBJECT + 32, ((1 << 16) + RESERVE) / 8), // length: words of blocks
        (CONTROL + 8, 8),                         // sequence: four transactions
        (CONTROL + 3 * 8, 1 << 13),               // end: 64 KiB
        (CONTROL + 4 * 8, 1),                     // objects
        (CONTROL + 5 * 8, 129),                   // the first: behind the head of the first block
        (CONTROL + 9 * 8, 64),                    // with so many, somebody looks for the dead again
    ]);
    // The first free block of each order.
    let frees = [(3, 168), (4, 176), (6, 192), (7, 256), (8, 384), (9, 640), (10, 1152), (11, 2176), (12, 4224)];
    for (order, at) in frees {
        golden.push((CONTROL + (16 + order as usize) * 8, at));
        golden.push((BLOCKS + (at as usize - 128) * 8, free(order)));
    }
    golden.extend([
        (BLOCKS, used(4)),
        (BLOCKS + 8, 2),                      // a row
        (BLOCKS + 16, 1),                     // number
        (BLOCKS + 24, 0xaecc_d103_131c_cec6), // hash of its type
        (BLOCKS + 40, 145),                   // holder
        (BLOCKS + 64, 153),                   // places
        (BLOCKS + 80, 2),                     // items
        (BLOCKS + 128, used(3)),
        (BLOCKS + 136, 129),     // what is held
        (BLOCKS + 144, 1 << 10), // by whom: place 0, generation 1
        (BLOCKS + 192, used(3)),
        (BLOCKS + 200, 161), // the first item
        (BLOCKS + 208, 165), // the second
        (BLOCKS + 256, used(2)),
        (BLOCKS + 264, 2), // its length
        (BLOCKS + 280, 0x22a2),
        (BLOCKS + 288, used(2)),
        (BLOCKS + 296, 1),
        (BLOCKS + 312, 7),
    ]);
    golden.sort_unstable();
    let mut found = words(&manager.fd().unwrap());
    // What keys are hashed with is random.
    found.retain(|(at, _)| !NOTES.contains(at) && *at != CONTROL + 8 * 8);
    assert_eq!(found, golden);
}
