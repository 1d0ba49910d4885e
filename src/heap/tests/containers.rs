//! Tables, rows, objects and blocks, one process.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use super::*;

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
    let failed = heap.transact(|transaction| work(transaction).and_then(|_| Err::<(), _>(crate::heap::object::gone())));
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
