//! A handle that comes to a container in which it cannot be kept: who puts it there is told, and nothing has changed.

use crossproc::managed::{Dict, List, Lock, Semaphore};
use crossproc::{Error, Manager, PutError};

use crate::on_each_engine;

on_each_engine!(what_is_of_this_machine_alone_is_kept_nowhere, a_handle_of_another_manager_says_where_both_are);

/// That it is refused wherever one can be put, and not only when somebody gets it.
fn what_is_of_this_machine_alone_is_kept_nowhere(manager: &Manager) {
    let here = Manager::start().unwrap();
    let (lock, semaphore) = (here.lock().unwrap(), here.semaphore(1).unwrap());
    let list: List<Option<Lock>> = manager.list([None]).unwrap();
    let dict: Dict<u8, Vec<Semaphore>> = manager.dict().unwrap();
    dict.insert(1, Vec::new()).unwrap();
    let names = manager.namespace().unwrap();
    let value = manager.value(None::<Lock>).unwrap();
    let own = || Some(lock.clone());
    let refused = [
        ("push", list.push(own()).map(drop)),
        ("insert", list.insert(0, own()).map(drop)),
        ("set", list.set(0, own()).map(drop)),
        ("extend", list.extend([None, own()]).map(drop)),
        ("dict insert", dict.insert(1, vec![semaphore.clone()]).map(drop)),
        ("dict extend", dict.extend([(1, vec![semaphore.clone()])]).map(drop)),
        ("namespace", names.set("lock", &lock).map(drop)),
        ("value", value.set(own()).map(drop)),
        ("new value", manager.value(own()).map(drop)),
        ("new list", manager.list([own()]).map(drop)),
        ("another kind", manager.list([crossproc::Lock::new().unwrap()]).map(drop)),
    ];
    for (what, refused) in refused {
        assert_eq!(refused, Err(Error::HandleOutsideTransfer), "{what}");
    }
    let queue = manager.queue::<Option<Lock>>(1).unwrap();
    let refused = queue.put(own()).unwrap_err();
    assert!(matches!(refused, PutError::Failed { error: Error::HandleOutsideTransfer, .. }), "{refused}");
    assert!(queue.is_empty().unwrap() && names.get::<Lock>("lock").unwrap().is_none());
    assert!(matches!(&list.to_vec().unwrap()[..], [None]) && value.get().unwrap().is_none());
    assert!(dict.get(1).unwrap().unwrap().is_empty() && dict.len() == Ok(1));
    // They are of use as before.
    drop(lock.lock().unwrap());
    queue.put(None).unwrap();
    list.push(None).unwrap();
}

fn a_handle_of_another_manager_says_where_both_are(manager: &Manager) {
    let here = Manager::start().unwrap();
    let (own, foreign) = (manager.list([1]).unwrap(), here.list([1]).unwrap());
    let lists: List<List<i32>> = manager.list([]).unwrap();
    let text = |refused: Result<(), Error>| match refused {
        Err(Error::Encode { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let into_it = text(lists.push(&foreign));
    let out_of_it = text(here.list([own.clone()]).map(drop));
    let place = match format!("{manager:?}").split_once("unix://") {
        Some((_, socket)) => format!("at unix://{}", socket.split(['"', ')']).next().unwrap()),
        None => "on this machine".to_owned(),
    };
    let one = if place == "on this machine" { "another one" } else { "one" };
    assert_eq!(into_it, format!("a handle of a manager on this machine cannot be kept in {one} {place}"));
    assert_eq!(out_of_it, format!("a handle of a manager {place} cannot be kept in {one} on this machine"));
    lists.push(&own).unwrap();
    assert_eq!(lists.get(0).unwrap().to_vec().unwrap(), [1]);
}
