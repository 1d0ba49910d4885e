//! Users that are killed at any moment.

macro_rules! kills_tests {
    ($take:ident) => {
        fn produce_for_ever(queue: Handle, producer: u64) {
            for n in 0.. {
                queue.put(message(numbered(producer, n))).unwrap();
            }
        }

        /// Killed at any moment, a producer has put all its messages up to some one, and nothing of the next.
        #[test]
        fn killed_producers_leave_whole_messages_in_order() {
            let _watchdog = watchdog();
            let rounds = many(100);
            let queue = handle(7);
            let mut next = vec![0; 2 * rounds as usize];
            let mut check = |message: Message| {
                let (producer, n) = (number(&message) >> 32, number(&message) & 0xffff_ffff);
                assert_eq!(next[producer as usize], n, "of producer {producer}");
                next[producer as usize] += 1;
            };
            for round in 0..rounds {
                let start = |producer| Process::spawn(produce_for_ever, (&queue, producer)).unwrap();
                let producers = [start(2 * round), start(2 * round + 1)];
                (0..round * 7 % 50 + 1).for_each(|_| check(queue.get().unwrap()));
                producers.iter().for_each(|producer| producer.kill().unwrap());
                (0..round % 3).for_each(|_| queue.try_get().into_iter().for_each(&mut check));
                assert!(producers.iter().all(|producer| !producer.wait().success()));
            }
            while let Ok(message) = queue.try_get() {
                check(message);
            }
            check_capacity(&queue, 7, 3);
        }

        /// Marks each message before it says that it has got it.
        fn mark(queue: Handle, seen: Seen) {
            while let Ok(taken) = queue.$take() {
                seen[number(&taken) as usize].fetch_add(1, Relaxed);
            }
        }

        /// Killed at any moment, a consumer has got a message or somebody else gets it.
        #[test]
        fn killed_consumers_lose_no_message() {
            let _watchdog = watchdog();
            let rounds = many(100);
            let (queue, each) = (handle(7), 40);
            let seen = RawArray::new((rounds * each) as usize).unwrap();
            for round in 0..rounds {
                let consumers = [0; 2].map(|_| Process::spawn(mark, (&queue, &seen)).unwrap());
                for n in 0..each {
                    if n == 5 + round % 30 {
                        consumers[0].kill().unwrap();
                    }
                    queue.put(message(round * each + n)).unwrap();
                }
                consumers[1].kill().unwrap();
                assert!(consumers.iter().all(|consumer| !consumer.wait().success()));
            }
            queue.close();
            Process::spawn(mark, (&queue, &seen)).unwrap().join().unwrap();
            let times: Vec<_> = seen.iter().map(|times| u64::from(times.load(Relaxed))).collect();
            assert!(times.iter().all(|&times| times >= 1), "a message was lost");
            let more = times.iter().sum::<u64>() - rounds * each;
            assert!(more <= 2 * rounds, "of {} dead consumers, {more} had a message in hand", 2 * rounds);
            assert_eq!(queue.get(), Err(GetError::Closed));
        }
    };
}

pub(crate) use kills_tests;
