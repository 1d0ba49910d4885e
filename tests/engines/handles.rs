//! Handles on their ways, and in other containers.

use crossproc::managed::{Dict, List};
use crossproc::{Manager, Pool, Process};

use crate::on_each_engine;

on_each_engine!(
    what_is_got_from_a_dict_is_live,
    containers_nest_three_deep,
    a_handle_stays_live_when_its_entry_is_gone,
    a_handle_outlives_its_parents,
    a_container_outlives_the_child_that_made_it,
    handles_go_to_pools_and_back,
    a_handle_is_exchanged_for_another,
    values_with_handles_are_replaced_and_cleared,
);

fn what_is_got_from_a_dict_is_live(manager: &Manager) {
    let (pets, cats) = (manager.dict::<String, Dict<String, u32>>().unwrap(), manager.dict().unwrap());
    pets.insert("cats", &cats).unwrap();
    let got = pets.get("cats").unwrap().unwrap();
    got.fetch_add("Tom", 1).unwrap();
    assert_eq!(cats.get("Tom").unwrap(), Some(1));
    let all = pets.items().unwrap();
    all[0].1.fetch_add("Tom", 1).unwrap();
    assert_eq!(cats.get("Tom").unwrap(), Some(2));
}

fn containers_nest_three_deep(manager: &Manager) {
    let top = manager.list::<Dict<u8, List<u8>>>([]).unwrap();
    {
        let (middle, bottom) = (manager.dict().unwrap(), manager.list([1]).unwrap());
        middle.insert(1, &bottom).unwrap();
        top.push(&middle).unwrap();
    }
    top.get(0).unwrap().get(1).unwrap().unwrap().push(2).unwrap();
    assert_eq!(top.pop().unwrap().unwrap().remove(1).unwrap().unwrap().to_vec().unwrap(), [1, 2]);
}

fn a_handle_stays_live_when_its_entry_is_gone(manager: &Manager) {
    let dict = manager.dict::<u8, List<u8>>().unwrap();
    dict.insert(1, manager.list([1]).unwrap()).unwrap();
    let list = dict.get(1).unwrap().unwrap();
    dict.remove(1).unwrap();
    list.push(2).unwrap();
    assert_eq!(list.to_vec().unwrap(), [1, 2]);
}

fn a_handle_outlives_its_parents(manager: &Manager) {
    fn work(list: List<u32>) -> List<u32> {
        list.push(7).unwrap();
        list
    }
    let list = manager.list([]).unwrap();
    let process = Process::spawn(work, (&list,)).unwrap();
    drop(list);
    assert_eq!(process.join().unwrap().to_vec().unwrap(), [7]);
}

fn a_container_outlives_the_child_that_made_it(manager: &Manager) {
    fn work(all: Dict<String, List<u32>>, manager: List<List<u32>>) {
        all.insert("first", manager.get(0).unwrap()).unwrap();
        manager.clear().unwrap();
    }
    let (all, lists) = (manager.dict().unwrap(), manager.list([manager.list([4]).unwrap()]).unwrap());
    Process::spawn(work, (&all, &lists)).unwrap().join().unwrap();
    assert_eq!(all.get("first").unwrap().unwrap().to_vec().unwrap(), [4]);
}

fn handles_go_to_pools_and_back(manager: &Manager) {
    fn work(list: List<u32>, n: u32) -> List<u32> {
        list.push(n).unwrap();
        list
    }
    let pool = Pool::new(2).unwrap();
    let list = manager.list([]).unwrap();
    let lists = pool.starmap(work, (0..20).map(|n| (list.clone(), n))).unwrap();
    list.sort().unwrap();
    assert!(lists.iter().all(|list| list.to_vec().unwrap().into_iter().eq(0..20)));
}

fn a_handle_is_exchanged_for_another(manager: &Manager) {
    let dict = manager.dict::<u8, List<u8>>().unwrap();
    let (one, two) = (manager.list([1]).unwrap(), manager.list([2]).unwrap());
    dict.insert(0, &one).unwrap();
    let found = dict.compare_exchange(0, Some(&two), None).unwrap().unwrap_err().unwrap();
    found.push(10).unwrap();
    assert_eq!(dict.compare_exchange(0, Some(&one), Some(&two)).unwrap().map_err(drop), Ok(()));
    assert_eq!(dict.get(0).unwrap().unwrap().to_vec().unwrap(), [2]);
    assert_eq!(one.to_vec().unwrap(), [1, 10]);
    let list = dict.with(|dict| {
        let list = dict.get(0)?.unwrap();
        dict.remove(0)?;
        Ok(list)
    });
    assert_eq!(list.unwrap().to_vec().unwrap(), [2]);
}

fn values_with_handles_are_replaced_and_cleared(manager: &Manager) {
    let dict = manager.dict::<u8, Vec<List<u8>>>().unwrap();
    for turn in 0..3 {
        let lists = (0..turn + 1).map(|n| manager.list([n]).unwrap()).collect::<Vec<_>>();
        dict.insert(0, &lists).unwrap();
    }
    assert_eq!(dict.get(0).unwrap().unwrap().len(), 3);
    dict.clear().unwrap();
    assert!(dict.get(0).unwrap().is_none());
}
