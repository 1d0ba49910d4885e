//! Handles of several processes: given on, attached later, copied by a fork.

macro_rules! handles_tests {
    ($take:ident) => {
        #[test]
        fn a_handle_can_be_passed_on() {
            let _watchdog = watchdog();
            let queue = handle(2);
            let pass_on = |queue: Handle| -> Handle {
                let put = |queue: Handle| queue.put(message(1)).is_ok();
                assert!(Process::spawn(put, (&queue,)).unwrap().join().unwrap());
                queue.put(message(2)).unwrap();
                queue
            };
            let back = Process::spawn(pass_on, (&queue,)).unwrap().join().unwrap();
            assert_eq!((back.get(), queue.get()), (Ok(message(1)), Ok(message(2))));
        }

        #[test]
        fn messages_outlive_who_put_them() {
            let _watchdog = watchdog();
            let make = || {
                let queue = handle(3);
                (0..3).for_each(|n| queue.put(message(n)).unwrap());
                queue.close();
                queue
            };
            let queue = Process::spawn(make, ()).unwrap().join().unwrap();
            assert!(queue.iter().map(|message| number(&message.unwrap())).eq(0..3));
        }

        #[test]
        fn a_descriptor_is_enough() {
            let queue = handle(3);
            (0..2).for_each(|n| queue.put(message(n)).unwrap());
            let again = Handle::from_fd(queue.memory_fd().try_clone_to_owned().unwrap()).unwrap();
            assert_eq!((again.capacity(), again.len()), (3, 2));
            assert_eq!(again.get(), Ok(message(0)));
            again.put(message(2)).unwrap();
            assert_eq!([queue.get(), queue.get()], [Ok(message(1)), Ok(message(2))]);
        }

        #[test]
        fn a_latecomer_finds_its_place() {
            let _watchdog = watchdog();
            for capacity in [1, 2, 5, 16, 17, 33] {
                let queue = handle(capacity);
                let mut newest = 0;
                for _ in 0..7 * capacity as u64 + 3 {
                    queue.put(message(newest)).unwrap();
                    assert_eq!(queue.get(), Ok(message(newest)));
                    newest += 1;
                }
                queue.put(message(newest)).unwrap();
                // A handle that knows only what shared memory says about where the line begins and ends.
                let use_it = |queue: Handle, newest: u64| {
                    let seen = (queue.len(), queue.is_full() == (queue.capacity() == 1));
                    let got = queue.try_get().map(|message| number(&message));
                    for n in 1..=queue.capacity() as u64 {
                        queue.try_put(message(newest + n)).unwrap();
                    }
                    let full = queue.try_put(message(0)).is_err();
                    (seen == (1, true), got == Ok(newest), full)
                };
                let outcome = Process::spawn(use_it, (&queue, newest)).unwrap().join().unwrap();
                assert_eq!(outcome, (true, true, true), "capacity {capacity}");
                (1..=capacity as u64).for_each(|n| assert_eq!(queue.try_get(), Ok(message(newest + n))));
            }
        }

        /// Places that were given up say nothing about those before them.
        #[test]
        fn a_handle_that_was_away_gets_messages_in_order() {
            let _watchdog = watchdog();
            for capacity in [2, 3, 4, 7] {
                for laps in 1..4 {
                    for given_up in 1..capacity {
                        let queue = handle(capacity);
                        let away = queue.clone();
                        for n in 0..laps * capacity as u64 {
                            queue.put(message(n)).unwrap();
                            queue.get().unwrap();
                        }
                        queue.put(message(100)).unwrap();
                        (0..given_up).for_each(|_| give_up(&queue));
                        let more = (given_up + 1..capacity).filter(|_| queue.try_put(message(101)).is_ok()).count();
                        assert_eq!((more, away.len()), (capacity - given_up - 1, 1 + more));
                        assert_eq!(away.get(), Ok(message(100)));
                        (0..more).for_each(|_| assert_eq!(away.get(), Ok(message(101))));
                        check_capacity(&away, capacity as u64, 2);
                    }
                }
            }
        }

        #[test]
        fn a_forked_copy_is_a_peer_of_its_own() {
            let _watchdog = watchdog();
            let queue = handle(2);
            queue.put(message(1)).unwrap();
            assert!(forked(|| queue.get() == Ok(message(1)) && queue.put(message(2)).is_ok()));
            assert_eq!(queue.get(), Ok(message(2)));
            // One that ends with a message in hand is not taken for this process, which lives.
            queue.put(message(3)).unwrap();
            assert!(forked(|| {
                std::mem::forget(queue.$take());
                true
            }));
            assert_eq!(queue.get(), Ok(message(3)));
            assert_eq!(queue.redelivered(), 1);
        }

        #[test]
        fn a_copied_guard_does_nothing() {
            let _watchdog = watchdog();
            let queue = handle(1);
            queue.put(message(1)).unwrap();
            for give_back in [false, true] {
                let mut taken = Some(queue.$take().unwrap());
                assert!(forked(|| {
                    let copy = taken.take().unwrap();
                    if give_back {
                        copy.give_back();
                    } else {
                        drop(copy);
                    }
                    queue.is_full() && queue.try_get() == Err(TryGetError::Empty)
                }));
                assert!(queue.is_full() && queue.is_empty());
                taken.unwrap().give_back();
                assert_eq!(queue.len(), 1);
            }
            assert_eq!(queue.get(), Ok(message(1)));
        }
    };
}

pub(crate) use handles_tests;
