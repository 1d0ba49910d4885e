//! Full managers, and sizes from nothing to a lot.

use crossproc::managed::{Dict, List};
use crossproc::{Error, Manager, Process};

use crate::common::locking::Stage;
use crate::common::watchdog;

fn is_no_space<R>(result: &Result<R, Error>) -> bool {
    matches!(result, Err(Error::NoSpace { .. }))
}

#[test]
fn a_full_manager_changes_nothing_and_goes_on_after_removals() {
    let _watchdog = watchdog();
    let manager = Manager::with_capacity(1 << 20).unwrap();
    let (dict, list) = (manager.dict::<u32, Vec<u8>>().unwrap(), manager.list::<Vec<u8>>([]).unwrap());
    for round in 0..3 {
        let value = vec![round; 3_000];
        let mut keys = 0;
        let full = loop {
            match dict.insert(keys, &value) {
                Ok(_) => keys += 1,
                full => break full,
            }
        };
        assert!(is_no_space(&full) && keys > 100, "{keys} keys, and then {full:?}");
        assert!(is_no_space(&list.push(vec![9; 8_000])) && list.is_empty().unwrap());
        assert!(is_no_space(&dict.with(|dict| dict.remove(0).and_then(|_| dict.insert(0, vec![1; 1 << 20])))));
        assert!(is_no_space(&dict.update(0, |_| vec![1; 1 << 20])));
        let items = dict.items().unwrap();
        assert!(items.len() == keys as usize && items.iter().all(|(_, found)| *found == value));
        dict.remove(keys / 2).unwrap();
        dict.insert(keys, &value).unwrap();
        dict.clear().unwrap();
        list.push(vec![9; 8_000]).unwrap();
        list.clear().unwrap();
    }
}

/// A handle that goes to another process takes a little room, too.
#[test]
fn others_can_use_a_full_manager() {
    let _watchdog = watchdog();
    let manager = Manager::with_capacity(1 << 18).unwrap();
    let list = manager.list::<u64>([]).unwrap();
    let drain = |list: List<u64>, full: Stage| {
        full.wait_for(1);
        let sum: u64 = list.iter().map(Result::unwrap).sum();
        while list.pop().unwrap().is_some() {}
        sum
    };
    let full = Stage::new();
    let process = Process::spawn(drain, (&list, &full)).unwrap();
    while list.push(1).is_ok() {}
    let items = list.len().unwrap();
    let count = Process::spawn(|list: List<u64>| list.len().unwrap(), (&list,)).unwrap().join();
    assert_eq!(count, Ok(items), "what is full can still be handed on");
    full.advance();
    assert_eq!(process.join(), Ok(items as u64));
    list.push(2).unwrap();
    assert_eq!(list.to_vec().unwrap(), [2]);
}

#[test]
fn a_manager_uses_what_it_may_have() {
    for capacity in [8 << 10, 60 << 10, 100 << 10, (1 << 20) - 8] {
        let manager = Manager::with_capacity(capacity).unwrap();
        let list = manager.list::<u8>([]).unwrap_or_else(|error| panic!("{capacity}: {error}"));
        while list.push(1).is_ok() {}
        let bytes = 40 * list.len().unwrap() as u64;
        assert!(bytes > capacity / 4, "{bytes} of {capacity} bytes were used");
    }
}

#[test]
fn too_much_in_one_step_is_refused_and_nothing_changes() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let (dict, list) = (manager.dict::<u32, u32>().unwrap(), manager.list([7]).unwrap());
    dict.insert(1, 1).unwrap();
    for many in [10_000, 100_000] {
        let refused = dict.with(|dict| (0..many).try_for_each(|n| dict.insert(n, n).map(drop)));
        let Err(Error::TooManyChanges { asked, fit }) = refused else { panic!("{refused:?}") };
        assert!(fit > 1_000 && fit < asked && asked <= many as usize, "{asked} changes, {fit} fit");
        assert_eq!(dict.items().unwrap(), [(1, 1)]);
        if many == 10_000 {
            let fit = fit as u32 * 9 / 10;
            let fits = dict.with(|dict| (0..fit).try_for_each(|n| dict.insert(n, n).map(drop)));
            assert_eq!((fits, dict.len()), (Ok(()), Ok(fit as usize)));
            assert_eq!(dict.with(|dict| (0..fit).try_for_each(|n| dict.remove(n).map(drop))), Ok(()));
            assert_eq!(dict.insert(1, 1), Ok(None));
        }
    }
    dict.extend((0..100_000).map(|n| (n, n))).unwrap();
    list.extend(0..100_000).unwrap();
    assert_eq!((dict.len(), list.len()), (Ok(100_000), Ok(100_001)));
    assert_eq!((dict.get(77_777), list.get(77_778)), (Ok(Some(77_777)), Ok(77_777)));
    dict.clear().unwrap();
    list.clear().unwrap();
    assert_eq!((dict.len(), list.len()), (Ok(0), Ok(0)));
}

/// One of many steps, in a manager that has fewer words than that.
#[test]
fn a_long_transaction_of_a_small_manager_comes_to_its_end() {
    let _watchdog = watchdog();
    let manager = Manager::with_capacity(1 << 17).unwrap();
    let dict = manager.dict::<u32, u32>().unwrap();
    dict.insert(1, 1).unwrap();
    let sum = dict.with(|dict| {
        let mut sum = 0;
        for _ in 0..100_000 {
            sum += dict.get(1)?.unwrap();
        }
        Ok(sum)
    });
    assert_eq!(sum, Ok(100_000));
}

#[test]
fn values_and_keys_of_any_length() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let dict: Dict<String, Vec<u8>> = manager.dict().unwrap();
    for length in [0, 1, 7, 8, 9, 127, 128, 129, 65_535, 10 << 20] {
        let key = length.to_string();
        for byte in [1, 2] {
            dict.insert(&key, vec![byte; length]).unwrap();
        }
        assert!(dict.get(&key).unwrap() == Some(vec![2; length]), "{length} bytes");
    }
    let read = |dict: Dict<String, Vec<u8>>| dict.values().unwrap().iter().map(Vec::len).sum::<usize>();
    assert!(Process::spawn(read, (&dict,)).unwrap().join().unwrap() > 10 << 20);
    dict.clear().unwrap();
    for length in [0, 1, 8, 100 << 10] {
        dict.insert("k".repeat(length), vec![]).unwrap();
        dict.insert("k".repeat(length) + "!", vec![1; length]).unwrap();
    }
    assert_eq!(dict.get("k".repeat(100 << 10) + "!").unwrap().map(|value| value.len()), Some(100 << 10));
    assert!(!dict.contains_key("k".repeat((100 << 10) - 1)).unwrap());
    assert_eq!(dict.keys().unwrap().iter().map(String::len).max(), Some((100 << 10) + 1));
    assert_eq!(dict.remove("k".repeat(100 << 10)), Ok(Some(vec![])));
}

#[test]
fn values_of_no_size() {
    let manager = Manager::start().unwrap();
    let (dict, list, set) = (
        manager.dict::<(), ()>().unwrap(),
        manager.list::<()>([(), ()]).unwrap(),
        manager.set::<()>([(), ()]).unwrap(),
    );
    assert_eq!((dict.insert((), ()), dict.insert((), ())), (Ok(None), Ok(Some(()))));
    assert_eq!((dict.get(()), dict.len()), (Ok(Some(())), Ok(1)));
    list.extend([(); 1_000]).unwrap();
    assert_eq!((list.len(), list.count(()), list.pop()), (Ok(1_002), Ok(1_002), Ok(Some(()))));
    list.sort().unwrap();
    assert_eq!((set.len(), set.remove(()), set.remove(())), (Ok(1), Ok(true), Ok(false)));
    assert_eq!((dict.remove(()), dict.remove(())), (Ok(Some(())), Ok(None)));
}

#[test]
fn a_hundred_thousand_entries() {
    let _watchdog = watchdog();
    let dict: Dict<u32, String> = Manager::start().unwrap().dict().unwrap();
    let count = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    for number in 0..count {
        dict.insert(number, number.to_string()).unwrap();
    }
    assert!((0..count).step_by(977).all(|number| dict.get(number) == Ok(Some(number.to_string()))));
    assert!(dict.keys().unwrap().into_iter().eq(0..count));
    for number in (0..count).filter(|number| number % 3 != 0) {
        assert_eq!(dict.remove(number), Ok(Some(number.to_string())));
    }
    assert!(dict.keys().unwrap().into_iter().eq((0..count).step_by(3)));
    dict.clear().unwrap();
    assert_eq!(dict.items(), Ok(vec![]));
}
