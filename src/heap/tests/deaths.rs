//! Transactions that end at any store: what is found then is as before, or as after.

use super::*;

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

type All = (Vec<(Vec<u8>, Vec<u8>)>, Vec<Vec<u8>>);

fn all(heap: &Heap, table: Object, row: Object) -> All {
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
    everywhere(|heap, table, _| heap.transact(|transaction| transaction.remove(table, &[7])).map(drop), all);
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
