//! What a heap keeps, by itself: what tests of it share, and death at any store, as far as the heap can tell.

mod containers;
mod deaths;
mod hostile;

use std::cell::Cell;
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
