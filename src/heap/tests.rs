//! Transactions that end at any store: what is found then is as before, or as after.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use super::body::control;
use super::bytes::{Buffer, Content};
use super::object::{Object, Shape};
use super::{Heap, Transaction};
use crate::error::{Error, Result};
use crate::segment::place::Home;
use crate::sys::atomic::Ordering::Relaxed;

thread_local! {
    /// After so many stores this thread dies, as far as the heap can tell.
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    static IS_DEAD: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn count_down() {
    match LEFT.get() {
        Some(0) => {
            IS_DEAD.set(true);
            panic::resume_unwind(Box::new("killed"));
        }
        left => LEFT.set(left.map(|left| left - 1)),
    }
}

pub(super) fn is_dead() -> bool {
    IS_DEAD.get()
}

/// Runs `work`, which dies after so many stores; whether it got to its end.
fn killed_after(stores: u64, work: impl FnOnce() -> Result<()>) -> bool {
    LEFT.set(Some(stores));
    let ended = panic::catch_unwind(AssertUnwindSafe(work));
    LEFT.set(None);
    IS_DEAD.set(false);
    ended.inspect(|result| assert_eq!(*result, Ok(()))).is_ok()
}

fn heap() -> Arc<Heap> {
    Heap::make(Home::Own, 64 << 20).unwrap()
}

fn made(heap: &Heap, shape: Shape) -> Object {
    let me = heap.segment().me().unwrap();
    heap.transact(|transaction| {
        let object = transaction.make(shape, 7)?;
        transaction.hold(object, me)?;
        Ok(object)
    })
    .unwrap()
}

fn content(bytes: &[u8]) -> Content {
    Content { bytes: bytes.to_vec(), objects: Vec::new() }
}

fn get(heap: &Heap, table: Object, key: &[u8]) -> Option<Content> {
    let mut buffer = Buffer::new();
    heap.get(table, key, &mut buffer).unwrap().map(|seen| buffer.content(seen))
}

fn entries(heap: &Heap, table: Object) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = heap.read(|view| view.entries(table, true)).unwrap();
    entries.into_iter().map(|(key, value)| (key, value.bytes)).collect()
}

fn items(heap: &Heap, row: Object) -> Vec<Vec<u8>> {
    let items = heap.read(|view| view.items(row, 0..u64::MAX)).unwrap();
    items.into_iter().map(|item| item.bytes).collect()
}

/// Words in blocks that are free.
fn free_words(heap: &Heap) -> u64 {
    heap.transact(|transaction| {
        let mut words = 0;
        for order in 0..40 {
            let mut block = transaction.load(control::FREE + order)?;
            while block != 0 {
                words += 1 << order;
                block = transaction.load(block + 1)?;
            }
        }
        Ok(words)
    })
    .unwrap()
}

/// Numbers without a pattern.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

#[test]
fn a_table_is_what_a_map_is() {
    let (heap, mut random) = (heap(), Random(1));
    let table = made(&heap, Shape::Table);
    let mut expected = BTreeMap::new();
    for _ in 0..20_000 {
        let key = random.below(500).to_le_bytes()[..3].to_vec();
        if random.below(3) == 0 {
            let removed = heap.transact(|transaction| transaction.remove(table, &key)).unwrap();
            assert_eq!(removed.map(|content| content.bytes), expected.remove(&key));
        } else {
            let value = random.bytes(200);
            heap.transact(|transaction| transaction.insert(table, &key, &content(&value))).unwrap();
            expected.insert(key.clone(), value);
        }
        let found = get(&heap, table, &key).map(|content| content.bytes);
        assert_eq!(found.as_ref(), expected.get(&key));
    }
    let found: BTreeMap<_, _> = entries(&heap, table).into_iter().collect();
    assert_eq!(found, expected);
    assert_eq!(heap.count(table).unwrap(), expected.len());
}

#[test]
fn a_row_is_what_a_vec_is() {
    let (heap, mut random) = (heap(), Random(2));
    let row = made(&heap, Shape::Row);
    let mut expected: Vec<Vec<u8>> = Vec::new();
    for round in 0..10_000 {
        let place = random.below(expected.len() as u64 + 1);
        let item = random.bytes(60);
        match random.below(8) {
            0..3 if (place as usize) < expected.len() => {
                let removed = heap.transact(|transaction| transaction.remove_item(row, place)).unwrap();
                assert_eq!(removed.bytes, expected.remove(place as usize));
            }
            3 if (place as usize) < expected.len() => {
                heap.transact(|transaction| transaction.set_item(row, place, &content(&item))).unwrap();
                expected[place as usize] = item;
            }
            4 if round % 50 == 0 => {
                let order: Vec<u64> = (0..expected.len() as u64).rev().collect();
                heap.transact(|transaction| transaction.reorder(row, &order)).unwrap();
                expected.reverse();
            }
            5 if random.below(400) == 0 => {
                heap.transact(|transaction| transaction.clear_row(row)).unwrap();
                expected.clear();
            }
            _ => {
                let more = vec![item; random.below(3) as usize];
                let contents: Vec<_> = more.iter().map(|item| content(item)).collect();
                heap.transact(|transaction| transaction.insert_items(row, place, &contents)).unwrap();
                expected.splice(place as usize..place as usize, more);
            }
        }
        assert_eq!(heap.read(|view| view.items_count(row)).unwrap(), expected.len() as u64);
    }
    assert_eq!(items(&heap, row), expected);
}

#[test]
fn what_is_dropped_is_free_again() {
    let heap = heap();
    let (table, row) = (made(&heap, Shape::Table), made(&heap, Shape::Row));
    let fill = |salt: u64| {
        for number in 0..2_000_u64 {
            let value = content(&vec![1; ((number * 31 + salt) % 300) as usize]);
            heap.transact(|transaction| transaction.insert(table, &number.to_le_bytes(), &value)).unwrap();
            heap.transact(|transaction| transaction.insert_items(row, 0, std::slice::from_ref(&value))).unwrap();
        }
        heap.transact(|transaction| transaction.clear_table(table)).unwrap();
        heap.transact(|transaction| transaction.clear_row(row)).unwrap();
        while heap.control(control::GARBAGE).load(Relaxed) != 0 {
            heap.transact(|_| Ok(())).unwrap();
        }
    };
    fill(0);
    let (size, free) = (heap.size(), free_words(&heap));
    for salt in 1..5 {
        fill(salt);
        assert_eq!(free_words(&heap), free + (heap.size() - size) / 8, "round {salt}");
    }
    assert!(heap.size() <= 2 * size, "{} bytes became {}", size, heap.size());
}

#[test]
fn an_object_lives_as_long_as_somebody_refers_to_it() {
    let heap = heap();
    let me = heap.segment().me().unwrap();
    let outer = made(&heap, Shape::Table);
    let hold = heap
        .transact(|transaction| {
            let inner = transaction.make(Shape::Table, 7)?;
            transaction.hold(inner, me)
        })
        .unwrap();
    let inner = hold.object;
    let value = Content { bytes: b"inner".to_vec(), objects: vec![inner] };
    heap.transact(|transaction| transaction.insert(outer, b"a", &value)).unwrap();
    heap.transact(|transaction| transaction.insert(outer, b"b", &value)).unwrap();
    heap.transact(|transaction| transaction.let_go(hold)).unwrap();
    heap.transact(|transaction| transaction.insert(inner, b"key", &content(b"value"))).unwrap();
    heap.transact(|transaction| transaction.remove(outer, b"a")).unwrap();
    assert_eq!(get(&heap, inner, b"key"), Some(content(b"value")));
    heap.transact(|transaction| transaction.insert(outer, b"b", &content(b""))).unwrap();
    assert_eq!(
        heap.get(inner, b"key", &mut Buffer::new()).map(drop),
        Err(Error::Gone { object: crate::error::Kind::Manager })
    );
    assert!(heap.transact(|transaction| transaction.insert(outer, b"c", &value)).is_err());
}

#[test]
fn what_fails_or_panics_changes_nothing() {
    let heap = heap();
    let table = made(&heap, Shape::Table);
    heap.transact(|transaction| transaction.insert(table, b"key", &content(b"value"))).unwrap();
    let work = |transaction: &mut Transaction<'_>| {
        transaction.insert(table, b"key", &content(&[1; 100]))?;
        transaction.insert(table, b"another", &content(b""))?;
        transaction.remove(table, b"key")
    };
    let failed = heap.transact(|transaction| work(transaction).and_then(|_| Err::<(), _>(super::object::gone())));
    assert!(failed.is_err());
    let before = vec![(b"key".to_vec(), b"value".to_vec())];
    assert_eq!(entries(&heap, table), before);
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        heap.transact(|transaction| {
            work(transaction).unwrap();
            panic::resume_unwind(Box::new(())) as Result<()>
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(entries(&heap, table), before);
}

/// Runs `change` again and again, killed after one store more each time, until it gets to its end.
fn everywhere<S: PartialEq + std::fmt::Debug>(
    mut change: impl FnMut(&Heap, Object, Object) -> Result<()>,
    look: impl Fn(&Heap, Object, Object) -> S,
) {
    let start = || {
        let heap = heap();
        let (table, row) = (made(&heap, Shape::Table), made(&heap, Shape::Row));
        for number in 0..80_u8 {
            let value = content(&vec![number; 8 + usize::from(number) % 70]);
            heap.transact(|transaction| transaction.insert(table, &[number], &value)).unwrap();
            heap.transact(|transaction| {
                transaction.insert_items(row, u64::from(number) / 2, std::slice::from_ref(&value))
            })
            .unwrap();
        }
        (heap, table, row)
    };
    let (heap, table, row) = start();
    let before = look(&heap, table, row);
    change(&heap, table, row).unwrap();
    let after = look(&heap, table, row);
    let free = free_words(&heap);
    for stores in 0.. {
        let (heap, table, row) = start();
        let is_done = killed_after(stores, || change(&heap, table, row));
        let found = look(&heap, table, row);
        assert!(found == before || found == after, "killed after {stores} stores: {found:?}");
        if found == before && !is_done {
            change(&heap, table, row).unwrap();
        }
        while heap.control(control::GARBAGE).load(Relaxed) != 0 {
            heap.transact(|_| Ok(())).unwrap();
        }
        assert_eq!(look(&heap, table, row), after, "killed after {stores} stores, and done again");
        assert!(
            free_words(&heap) >= free,
            "killed after {stores} stores: {} of {free} words are free",
            free_words(&heap)
        );
        if is_done {
            assert!(stores > 5, "only {stores} stores: nothing was killed");
            return;
        }
    }
}

fn all(heap: &Heap, table: Object, row: Object) -> (Vec<(Vec<u8>, Vec<u8>)>, Vec<Vec<u8>>) {
    (entries(heap, table), items(heap, row))
}

#[test]
fn a_killed_insert_is_done_or_not() {
    everywhere(
        |heap, table, _| heap.transact(|transaction| transaction.insert(table, b"new", &content(&[1; 50]))).map(drop),
        all,
    );
}

#[test]
fn a_killed_replacement_is_done_or_not() {
    for length in [8, 300] {
        everywhere(
            |heap, table, _| {
                heap.transact(|transaction| transaction.insert(table, &[7], &content(&vec![9; length]))).map(drop)
            },
            all,
        );
    }
}

#[test]
fn a_killed_removal_is_done_or_not() {
    everywhere(
        |heap, table, _| heap.transact(|transaction| transaction.remove(table, &[7])).map(drop),
        |heap, table, row| all(heap, table, row),
    );
}

#[test]
fn what_is_killed_among_several_changes_is_all_or_nothing() {
    everywhere(
        |heap, table, row| {
            heap.transact(|transaction| {
                let Some(value) = transaction.look_up(table, &[7])? else { return Ok(()) };
                transaction.insert_items(row, 3, std::slice::from_ref(&value))?;
                transaction.remove(table, &[7])?;
                transaction.remove_item(row, 0)?;
                transaction.reorder(row, &(0..80).rev().collect::<Vec<_>>())
            })
        },
        all,
    );
}

#[test]
fn who_is_killed_clearing_has_cleared_or_not() {
    everywhere(
        |heap, table, row| {
            heap.transact(|transaction| {
                transaction.clear_table(table)?;
                transaction.clear_row(row)
            })
        },
        all,
    );
}

/// T4: whoever is killed while it puts back what a killed one was at leaves the same to do.
#[test]
fn who_is_killed_recovering_leaves_the_same_to_do() {
    let change = |heap: &Heap, table: Object, row: Object| {
        heap.transact(|transaction| {
            transaction.insert(table, &[3], &content(&[9; 100]))?;
            transaction.remove(table, &[1])?;
            transaction.insert_items(row, 1, &[content(b"new")])
        })
    };
    let start = || {
        let heap = heap();
        let (table, row) = (made(&heap, Shape::Table), made(&heap, Shape::Row));
        for number in 0..4_u8 {
            heap.transact(|transaction| transaction.insert(table, &[number], &content(&[number; 9]))).unwrap();
            heap.transact(|transaction| transaction.insert_items(row, 0, &[content(&[number])])).unwrap();
        }
        (heap, table, row)
    };
    let (heap, table, row) = start();
    let before = (all(&heap, table, row), free_words(&heap));
    change(&heap, table, row).unwrap();
    let after = all(&heap, table, row);
    let mut deaths = 0;
    for stores in 0.. {
        for again in 0.. {
            let (heap, table, row) = start();
            if killed_after(stores, || change(&heap, table, row)) {
                assert!(deaths > 1_000, "only {deaths} deaths while recovering");
                return;
            }
            let has_recovered = killed_after(again, || heap.transact(|_| Ok(())));
            deaths += u64::from(!has_recovered);
            // The next one dies, too.
            killed_after(again / 2, || heap.transact(|_| Ok(())));
            let found = (all(&heap, table, row), free_words(&heap));
            assert!(found == before || found.0 == after, "killed after {stores} stores, and after {again}: {found:?}");
            if has_recovered {
                break;
            }
        }
    }
}

#[test]
fn whatever_is_scribbled_over_a_heap_is_an_error_at_worst() {
    for seed in 0..200 {
        let (heap, mut random) = (heap(), Random(seed));
        let (table, row) = (made(&heap, Shape::Table), made(&heap, Shape::Row));
        for number in 0..30_u8 {
            let value = content(&vec![number; 8]);
            heap.transact(|transaction| transaction.insert(table, &[number], &value)).unwrap();
            heap.transact(|transaction| transaction.insert_items(row, 0, std::slice::from_ref(&value))).unwrap();
        }
        for _ in 0..20 {
            let at = 1 + random.below(super::body::CONTROL as u64 + heap.size() / 8);
            let Ok(word) = heap.word(at) else { continue };
            let old = word.load(Relaxed);
            let value = [random.below(u64::MAX), random.below(2_000), old ^ 1 << random.below(64), 0, u64::MAX];
            word.store(value[random.below(5) as usize], Relaxed);
            let key = [random.below(40) as u8];
            let _ = heap.transact(|transaction| transaction.insert(table, &key, &content(&[1; 90])));
            let _ = heap.transact(|transaction| transaction.remove(table, &key));
            let _ = heap.transact(|transaction| transaction.insert_items(row, 1, &[content(&[2; 9])]));
            let _ = heap.transact(|transaction| transaction.remove_item(row, 2));
            let _ = heap.read(|view| view.entries(table, true));
            let _ = heap.read(|view| view.items(row, 0..u64::MAX));
            let _ = heap.sweep();
        }
    }
}

#[test]
fn what_goes_round_is_an_error_and_takes_no_memory() {
    let heap = heap();
    let (table, row) = (made(&heap, Shape::Table), made(&heap, Shape::Row));
    for number in 0..10_u8 {
        heap.transact(|transaction| transaction.insert(table, &[number], &content(&[number; 300]))).unwrap();
        heap.transact(|transaction| transaction.insert_items(row, 0, &[content(&[number; 300])])).unwrap();
    }
    // The first entry behind the last one; many more items than there are.
    let first = heap.word(table.own(4)).unwrap().load(Relaxed);
    let last = heap.word(table.own(5)).unwrap().load(Relaxed);
    heap.word(last + 2).unwrap().store(first, Relaxed);
    heap.word(row.own(2)).unwrap().store(u64::MAX / 2, Relaxed);
    assert!(heap.read(|view| view.entries(table, true)).is_err());
    assert!(heap.read(|view| view.items(row, 0..u64::MAX)).is_err());
    // What nobody has made a block of is not touched.
    let end = super::body::CONTROL as u64 + heap.size() / 8;
    assert!(heap.word(end - 1).is_ok() && heap.word(end).is_err() && heap.words(end - 1, 2).is_err());
}
