//! Words that nobody who keeps to the protocol writes.

use super::*;

#[test]
fn whatever_is_scribbled_over_a_heap_is_an_error_at_worst() {
    for seed in 0..200 {
        let (heap, mut random) = (heap(), Random(seed));
        let (table, row) = (made(&heap, Shape::Table), made(&heap, Shape::Row));
        for number in 0..30_u8 {
            let value = content(&[number; 8]);
            heap.transact(|transaction| transaction.insert(table, &[number], &value)).unwrap();
            heap.transact(|transaction| transaction.insert_items(row, 0, std::slice::from_ref(&value))).unwrap();
        }
        for _ in 0..20 {
            let at = 1 + random.below(crate::heap::body::CONTROL as u64 + heap.size() / 8);
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
    let end = crate::heap::body::CONTROL as u64 + heap.size() / 8;
    assert!(heap.word(end - 1).is_ok() && heap.word(end).is_err() && heap.words(end - 1, 2).is_err());
}
