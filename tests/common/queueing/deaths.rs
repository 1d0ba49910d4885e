//! Users that are stopped or killed at a known point.

macro_rules! deaths_tests {
    ($take:ident) => {
        #[test]
        fn a_stopped_producer_is_waited_for() {
            let _watchdog = watchdog();
            let queue = handle(4);
            let producer = Process::spawn(put_midway, (&queue, 1, Midway::Stop)).unwrap();
            wait_for_state(producer.pid(), 'T');
            queue.put(message(2)).unwrap();
            assert_eq!(queue.try_get(), Err(TryGetError::Empty));
            assert_eq!(queue.get_timeout(MOMENT * 4), Err(TryGetError::Empty), "messages stay in order");
            signal(producer.pid(), libc::SIGCONT);
            assert_eq!(queue.get().map(|message| number(&message)), Ok(1));
            assert_eq!(queue.get(), Ok(message(2)));
            producer.join().unwrap();
            check_capacity(&queue, 4, 3);
        }

        #[test]
        fn a_producer_killed_in_the_middle_is_passed_by() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(4), Stage::new());
            let producer = Process::spawn(put_midway, (&queue, 1, Midway::Stop)).unwrap();
            wait_for_state(producer.pid(), 'T');
            queue.put(message(2)).unwrap();
            let get = |queue: Handle, stage: Stage| {
                stage.advance();
                number(&queue.get().unwrap())
            };
            let consumer = Process::spawn(get, (&queue, &stage)).unwrap();
            stage.wait_for(1);
            wait_for_state(consumer.pid(), 'S');
            producer.kill().unwrap();
            assert_eq!(consumer.join().unwrap(), 2);
            assert_eq!(producer.wait(), Exit::Signal(libc::SIGKILL));
            check_capacity(&queue, 4, 3);
        }

        fn stop_with_a_message(queue: Handle) -> u64 {
            let taken = queue.$take().unwrap();
            Midway::Stop.act();
            number(&taken)
        }

        #[test]
        fn a_stopped_consumer_is_waited_for() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(2), Stage::new());
            queue.put(message(1)).unwrap();
            let consumer = Process::spawn(stop_with_a_message, (&queue,)).unwrap();
            wait_for_state(consumer.pid(), 'T');
            queue.put(message(2)).unwrap();
            assert!(queue.is_full(), "what is being read counts");
            assert_eq!(queue.put_timeout(message(3), MOMENT * 4), Err(TryPutError::Full(message(3))));
            let put = |queue: Handle, stage: Stage| {
                stage.advance();
                queue.put(message(3)).is_ok()
            };
            let producer = Process::spawn(put, (&queue, &stage)).unwrap();
            stage.wait_for(1);
            wait_for_state(producer.pid(), 'S');
            signal(consumer.pid(), libc::SIGCONT);
            assert!(producer.join().unwrap());
            assert_eq!(consumer.join().unwrap(), 1);
            assert_eq!([queue.get(), queue.get()], [Ok(message(2)), Ok(message(3))]);
            assert_eq!(queue.redelivered(), 0);
        }

        #[test]
        fn a_dead_consumers_message_is_got_by_another_and_counted() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(2), Stage::new());
            queue.put(message(1)).unwrap();
            let consumer = Process::spawn(stop_with_a_message, (&queue,)).unwrap();
            wait_for_state(consumer.pid(), 'T');
            let get = |queue: Handle, stage: Stage| {
                stage.advance();
                number(&queue.get().unwrap())
            };
            let other = Process::spawn(get, (&queue, &stage)).unwrap();
            stage.wait_for(1);
            wait_for_state(other.pid(), 'S');
            assert_eq!(queue.redelivered(), 0);
            consumer.kill().unwrap();
            assert_eq!(other.join().unwrap(), 1);
            assert_eq!(queue.redelivered(), 1);
            check_capacity(&queue, 2, 3);
        }

        /// A producer that waits for room finds the message of a dead consumer, and whoever gets it makes the room.
        #[test]
        fn a_dead_consumer_does_not_keep_producers_waiting() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(1), Stage::new());
            queue.put(message(1)).unwrap();
            let consumer = Process::spawn(stop_with_a_message, (&queue,)).unwrap();
            wait_for_state(consumer.pid(), 'T');
            let put = |queue: Handle, stage: Stage| {
                stage.advance();
                queue.put(message(2)).is_ok()
            };
            let producer = Process::spawn(put, (&queue, &stage)).unwrap();
            stage.wait_for(1);
            wait_for_state(producer.pid(), 'S');
            consumer.kill().unwrap();
            assert_eq!([queue.get(), queue.get()], [Ok(message(1)), Ok(message(2))]);
            assert!(producer.join().unwrap());
        }

        #[test]
        fn as_many_dead_producers_as_slots_take_none_of_them() {
            let _watchdog = watchdog();
            for capacity in [1, 2, 7] {
                for getting_first in [false, true] {
                    let queue = handle(capacity);
                    for _ in 0..capacity {
                        let dead = Process::spawn(put_midway, (&queue, 1, Midway::Die)).unwrap();
                        assert_eq!(dead.wait(), Exit::Signal(libc::SIGKILL));
                    }
                    if getting_first {
                        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
                    }
                    (0..capacity as u64).for_each(|n| queue.try_put(message(n)).unwrap());
                    assert_eq!(queue.try_put(message(99)), Err(TryPutError::Full(message(99))));
                    (0..capacity as u64).for_each(|n| assert_eq!(queue.try_get(), Ok(message(n))));
                    check_capacity(&queue, capacity as u64, 3);
                }
            }
        }

        #[test]
        fn as_many_dead_consumers_as_slots_lose_nothing() {
            let _watchdog = watchdog();
            let die = |queue: Handle| {
                let _taken = queue.$take().unwrap();
                Midway::Die.act();
            };
            for capacity in [1, 2, 7] {
                for putting_first in [false, true] {
                    let queue = handle(capacity);
                    (0..capacity as u64).for_each(|n| queue.put(message(n)).unwrap());
                    for _ in 0..capacity {
                        let dead = Process::spawn(die, (&queue,)).unwrap();
                        assert_eq!(dead.wait(), Exit::Signal(libc::SIGKILL));
                    }
                    if putting_first {
                        assert_eq!(queue.try_put(message(99)), Err(TryPutError::Full(message(99))));
                    }
                    let mut got: Vec<_> = (0..capacity).map(|_| number(&queue.try_get().unwrap())).collect();
                    got.sort_unstable();
                    assert!(got.into_iter().eq(0..capacity as u64));
                    assert_eq!(queue.redelivered(), capacity as u64);
                    check_capacity(&queue, capacity as u64, 3);
                }
            }
        }

        #[test]
        fn a_killed_waiter_swallows_no_message() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(4), Stage::new());
            let get = |queue: Handle, stage: Stage| {
                stage.advance();
                number(&queue.get().unwrap())
            };
            let consumers = [0; 3].map(|_| Process::spawn(get, (&queue, &stage)).unwrap());
            stage.wait_for(3);
            consumers.iter().for_each(|consumer| wait_for_state(consumer.pid(), 'S'));
            consumers[0].kill().unwrap();
            consumers[0].wait();
            (1..=2).for_each(|n| queue.put(message(n)).unwrap());
            let [killed, second, third] = consumers;
            assert!(killed.join().is_err());
            assert_eq!(second.join().unwrap() + third.join().unwrap(), 3);
        }
    };
}

pub(crate) use deaths_tests;
