//! Handles in arguments and results: they arrive, and what they refer to lives as long as it should.

use crossproc::{
    Arena, Barrier, Event, Lock, Pool, Process, Queue, Receiver, Sender, TaskError, Value, channel, names, unlink,
};
use serde::{Deserialize, Serialize};

use crate::common::naming::TestName;
use crate::common::watchdog;

fn abort() {
    std::process::abort()
}

#[test]
fn handles_travel_in_arguments() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let (sum, lock, queue) = (Value::new(0_u64).unwrap(), Lock::new().unwrap(), Queue::<u64>::new(200).unwrap());
    let work = |n: u64, sum: Value<u64>, lock: Lock, queue: Queue<u64>| {
        let guard = lock.lock().unwrap();
        sum.set(sum.get() + n);
        drop(guard);
        queue.put(&n).unwrap();
    };
    for chunk in [1, 30] {
        sum.set(0);
        pool.chunk(chunk).starmap(work, (0..100).map(|n| (n, &sum, &lock, &queue))).unwrap();
        assert_eq!(sum.get(), 4950);
        let mut numbers: Vec<_> = (0..100).map(|_| queue.get().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
}

/// Clones of one that counts its handles, in one argument, in several of a call, and in several calls of a chunk.
#[test]
fn clones_of_one_barrier_travel_in_one_chunk() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let barrier = Barrier::new(1).unwrap();
    let pass = |several: Vec<Barrier>, one: Barrier| {
        let passed = several.iter().all(|barrier| barrier.wait().is_ok()) && one.wait().is_ok();
        (passed, several)
    };
    for chunk in [1, 3] {
        let input = (0..6).map(|_| (vec![barrier.clone(); 2], &barrier));
        for (passed, several) in pool.chunk(chunk).starmap(pass, input).unwrap() {
            assert_eq!((passed, several.len()), (true, 2));
            assert!(several.iter().all(|barrier| barrier.wait().is_ok()), "chunks of {chunk}");
        }
        assert!(barrier.wait().is_ok());
    }
}

/// They travel under one identity, and arrive one argument after the other.
#[test]
fn barriers_of_one_arena_travel_in_several_arguments() {
    let _watchdog = watchdog();
    let (pool, arena) = (Pool::new(1).unwrap(), Arena::new(1 << 16).unwrap());
    let [one, other] = [0; 2].map(|_| Barrier::new_in(&arena, 1).unwrap());
    let pass = |one: Barrier, other: Barrier| (one.wait().is_ok() && other.wait().is_ok(), one, other);
    for _ in 0..3 {
        for (passed, one, other) in pool.chunk(2).starmap(pass, [(&one, &other); 4]).unwrap() {
            assert!(passed && one.wait().is_ok() && other.wait().is_ok());
        }
    }
}

/// More than go into one message of the socket.
#[test]
fn any_number_of_handles_travels() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let values: Vec<_> = (0..300).map(|n| Value::new(n).unwrap()).collect();
    for chunk in [1, 150, 300] {
        assert_eq!(pool.chunk(chunk).map(|value: Value<u32>| value.get(), &values), Ok((0..300).collect()));
    }
    let sum = |values: Vec<Value<u32>>| values.iter().map(Value::get).sum::<u32>();
    assert_eq!(pool.apply(sum, (&values[..200],)), Ok((0..200).sum()));
}

/// The numbers of so many go through the queue only with arguments that leave room for them.
#[test]
fn thousands_of_handles_travel_with_arguments_of_any_length() {
    let _watchdog = watchdog();
    Process::spawn(pass_thousands, ()).unwrap().join().unwrap();
}

/// In a process of its own, which may have as many descriptors as it can.
fn pass_thousands() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one struct, which outlives the call.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: reads one struct, which outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let pool = Pool::new(1).unwrap();
    let values: Vec<_> = (0..3_000_u32).map(|n| Value::new(n).unwrap()).collect();
    let look = |values: Vec<Value<u32>>, text: String| (values.iter().map(Value::get).sum::<u32>(), text.len());
    for length in (50_000..=55_000).step_by(1_000) {
        assert_eq!(pool.apply(look, (&values, "x".repeat(length))), Ok(((0..3_000).sum(), length)));
    }
}

#[test]
fn any_number_of_handles_comes_back() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let make = |count: u32| (0..count).map(|n| Value::new(n).unwrap()).collect::<Vec<_>>();
    for made in pool.chunk(2).map(make, [0, 100, 300, 600]).unwrap() {
        assert!((0..).zip(made).all(|(n, value)| value.get() == n));
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Desk {
    name: String,
    drawers: Vec<Option<(u32, Value<u32>)>>,
}

#[test]
fn handles_travel_at_any_depth_and_back() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let tidy = |desk: Desk| {
        for (number, value) in desk.drawers.iter().flatten() {
            value.set(value.get() + number);
        }
        Desk { name: desk.name + "!", drawers: desk.drawers.into_iter().rev().collect() }
    };
    let value = Value::new(1).unwrap();
    let desk = Desk { name: "oak".into(), drawers: vec![None, Some((10, value.clone())), Some((20, value.clone()))] };
    let back = pool.apply(tidy, (&desk,)).unwrap();
    assert_eq!((value.get(), &back.name[..], back.drawers.len()), (31, "oak!", 3));
    let Some((20, same)) = &back.drawers[0] else { panic!("not in this drawer") };
    same.set(5);
    assert_eq!(value.get(), 5, "it is the same one");
}

#[test]
fn what_a_task_has_made_lives_on_with_its_result() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let make = |n: u32| Value::new(n).unwrap();
    let values = pool.chunk(7).map(make, 0..40).unwrap();
    let lazy: Vec<_> = pool.imap(make, 0..40).map(Result::unwrap).collect();
    // One that is taken when its maker is gone.
    let task = pool.apply_async(make, (7,));
    task.wait();
    drop(pool);
    assert_eq!(task.get().unwrap().get(), 7);
    for made in [values, lazy] {
        assert_eq!(made.iter().map(Value::get).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    }
}

#[test]
fn handles_of_named_objects_travel() {
    let _watchdog = watchdog();
    let (name, pool) = (TestName::new(), Pool::new(1).unwrap());
    let value = Value::create(name.as_str(), 5_u64).unwrap();
    let add = |value: Value<u64>| value.update(|n| n + 1);
    assert_eq!(pool.apply(add, (&value,)), Ok(6));
    let open = |name: String| Value::<u64>::open(name).unwrap();
    assert_eq!(pool.apply(open, (name.as_str(),)).unwrap().get(), 6);
    drop(value);
    assert!(names().unwrap().iter().all(|known| known.as_str() != name.as_str()));
    assert!(unlink(name.as_str()).is_err());
}

/// Ends of channels have one owner, and go with the arguments.
#[test]
fn ends_of_channels_are_given_away() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let (sender, receiver) = channel::<u64>().unwrap();
    let send = |mut sender: Sender<u64>| (0..1_000).for_each(|n| sender.send(&n).unwrap());
    let sum = |mut receiver: Receiver<u64>| receiver.iter().map(Result::unwrap).sum::<u64>();
    let sending = pool.apply_async(send, (sender,));
    let summing = pool.apply_async(sum, (receiver,));
    assert_eq!((sending.get(), summing.get()), (Ok(()), Ok((0..1_000).sum())));
}

/// A worker stays attached to what its tasks use for a while; nobody else does.
#[test]
fn what_was_passed_is_let_go() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let (sender, mut receiver) = channel::<u64>().unwrap();
    let event = Event::new().unwrap();
    let task = pool.apply_async(|sender: Sender<u64>, event: Event| (drop(sender), event.set()).1, (sender, &event));
    task.get().unwrap();
    event.wait();
    assert!(receiver.recv().is_err(), "its last sender is gone");
}

#[test]
fn a_handle_in_what_a_dead_worker_had_is_let_go() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let lock = Lock::new().unwrap();
    let die = |lock: Lock| {
        std::mem::forget(lock.lock());
        abort();
    };
    let died = pool.apply(die, (&lock,));
    assert!(matches!(died, Err(TaskError::WorkerDied { .. })));
    assert!(lock.lock().is_err(), "its owner died, and the next one learns of it");
    assert_eq!(pool.apply(|lock: Lock| lock.lock().is_err(), (&lock,)), Ok(true));
}
