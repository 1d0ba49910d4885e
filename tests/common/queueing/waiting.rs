//! Blocked puts and gets, and the end.

macro_rules! waiting_tests {
    ($take:ident, $try_take:ident, $take_timeout:ident) => {
        #[test]
        fn a_blocked_put_goes_on_when_there_is_room() {
            let _watchdog = watchdog();
            for capacity in [1, 2, 6] {
                let (queue, stage) = (handle(capacity), Stage::new());
                (0..capacity as u64).for_each(|n| queue.put(message(n)).unwrap());
                let put = |queue: Handle, stage: Stage| {
                    stage.advance();
                    queue.put(message(100)).is_ok()
                };
                let producer = Process::spawn(put, (&queue, &stage)).unwrap();
                stage.wait_for(1);
                wait_for_state(producer.pid(), 'S');
                assert_eq!(queue.get(), Ok(message(0)));
                assert!(producer.join().unwrap());
                assert!(queue.is_full());
            }
        }

        #[test]
        fn a_blocked_get_goes_on_when_a_message_comes() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(2), Stage::new());
            let get = |queue: Handle, stage: Stage| {
                stage.advance();
                let first = number(&queue.get().unwrap());
                stage.advance();
                let second = number(&*queue.$take().unwrap());
                stage.advance();
                [first, second, number(&queue.get_timeout(Duration::MAX).unwrap())]
            };
            let consumer = Process::spawn(get, (&queue, &stage)).unwrap();
            for n in 1..=3 {
                stage.wait_for(n);
                wait_for_state(consumer.pid(), 'S');
                queue.put(message(n.into())).unwrap();
            }
            assert_eq!(consumer.join().unwrap(), [1, 2, 3]);
        }

        #[test]
        fn a_blocked_put_learns_of_a_close() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(1), Stage::new());
            queue.put(message(1)).unwrap();
            let put = |queue: Handle, stage: Stage| {
                stage.advance();
                queue.put(message(2)) == Err(PutError::Closed(message(2)))
            };
            let wait = |queue: Handle, stage: Stage| {
                stage.advance();
                queue.put_timeout(message(3), Duration::MAX) == Err(TryPutError::Closed(message(3)))
            };
            let producers =
                [Process::spawn(put, (&queue, &stage)).unwrap(), Process::spawn(wait, (&queue, &stage)).unwrap()];
            stage.wait_for(2);
            producers.iter().for_each(|producer| wait_for_state(producer.pid(), 'S'));
            queue.close();
            for producer in producers {
                assert!(producer.join().unwrap());
            }
            assert_eq!((queue.get(), queue.get()), (Ok(message(1)), Err(GetError::Closed)));
        }

        #[test]
        fn a_close_ends_every_blocked_get() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(2), Stage::new());
            let get = |queue: Handle, stage: Stage| {
                stage.advance();
                queue.get() == Err(GetError::Closed)
            };
            let take = |queue: Handle, stage: Stage| {
                stage.advance();
                queue.$take_timeout(Duration::MAX).map(drop) == Err(TryGetError::Closed)
            };
            let mut consumers = vec![];
            for _ in 0..2 {
                consumers.push(Process::spawn(get, (&queue, &stage)).unwrap());
                consumers.push(Process::spawn(take, (&queue, &stage)).unwrap());
            }
            stage.wait_for(4);
            consumers.iter().for_each(|consumer| wait_for_state(consumer.pid(), 'S'));
            queue.close();
            assert!(queue.is_closed());
            for consumer in consumers {
                assert!(consumer.join().unwrap());
            }
        }

        #[test]
        fn a_close_drains_first() {
            let _watchdog = watchdog();
            for capacity in [1, 2, 7] {
                let queue = handle(capacity);
                (0..capacity as u64).for_each(|n| queue.put(message(n)).unwrap());
                let other = queue.clone();
                queue.close();
                queue.close();
                assert!(other.is_closed());
                assert_eq!(queue.len(), capacity);
                for n in 0..capacity as u64 {
                    assert_eq!(other.get(), Ok(message(n)));
                }
                for queue in [&queue, &other] {
                    assert_eq!(queue.get(), Err(GetError::Closed));
                    assert_eq!(queue.try_get(), Err(TryGetError::Closed));
                    assert_eq!(queue.get_timeout(MOMENT), Err(TryGetError::Closed));
                    assert_eq!(queue.$try_take().map(drop), Err(TryGetError::Closed));
                }
            }
        }

        /// While somebody may still die with a message in hand, nobody is told that none will come.
        #[test]
        fn a_message_in_hand_keeps_the_end_away() {
            let _watchdog = watchdog();
            let (queue, stage) = (handle(4), Stage::new());
            queue.put(message(1)).unwrap();
            let get = |queue: Handle, stage: Stage| {
                stage.advance();
                queue.get().map(|message| number(&message)).ok()
            };
            let taken = queue.$take().unwrap();
            queue.close();
            let other = queue.clone();
            assert_eq!(other.try_get(), Err(TryGetError::Empty));
            assert_eq!(other.get_timeout(MOMENT), Err(TryGetError::Empty));
            let consumers = [0; 2].map(|_| Process::spawn(get, (&queue, &stage)).unwrap());
            stage.wait_for(2);
            consumers.iter().for_each(|consumer| wait_for_state(consumer.pid(), 'S'));
            taken.give_back();
            let got: Vec<_> = consumers.into_iter().filter_map(|consumer| consumer.join().unwrap()).collect();
            assert_eq!(got, [1]);
            assert_eq!(queue.get(), Err(GetError::Closed));
        }

        #[test]
        fn iteration_ends_with_the_close() {
            let _watchdog = watchdog();
            let queue = handle(8);
            let sum = |queue: Handle| queue.iter().map(|message| number(&message.unwrap())).sum::<u64>();
            let consumer = Process::spawn(sum, (&queue,)).unwrap();
            (1..=100).for_each(|n| queue.put(message(n)).unwrap());
            queue.close();
            assert_eq!(consumer.join().unwrap(), 5_050);
            assert!(queue.iter().next().is_none());
        }
    };
}

pub(crate) use waiting_tests;
