//! A process that was forked from one that has a pool at a server: it can do nothing with it, and takes nothing with it.

use std::fs;

use crossproc::TaskError;

use super::common::processes::forked;
use super::{Place, common, has_begun, own_host, wait_for, wait_until};

#[test]
fn a_copy_is_told_so_and_leaves_the_pool_alone() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let host = place.host(1);
    let mut pool = Some(place.pool().start().unwrap());
    let file = place.file("a");
    let mut task = Some(pool.as_ref().unwrap().apply_async(wait_for, (file.clone(),)));
    let waiting = pool.as_ref().unwrap().apply_async(own_host, ());
    wait_until(|| has_begun(&file) && place.chunks() == 2);
    let is_refused = forked(|| {
        let (pool, task) = (pool.take().unwrap(), task.take().unwrap());
        let is_refused = pool.apply(own_host, ()) == Err(TaskError::ForkedCopy)
            && pool.map(|n: u32| n, 0..3) == Err(TaskError::ForkedCopy)
            && !task.is_ready()
            && !task.cancel()
            && task.get() == Err(TaskError::ForkedCopy);
        // Its tasks are the parent's.
        drop(pool);
        is_refused
    });
    assert!(is_refused);
    assert_eq!((place.chunks(), place.inboxes()), (2, 1));
    fs::write(&file, "").unwrap();
    assert_eq!((task.unwrap().get(), waiting.get()), (Ok(host.pid()), Ok(host.pid())));
    let pool = pool.unwrap();
    assert_eq!(pool.apply(own_host, ()), Ok(host.pid()));
    pool.join();
}
