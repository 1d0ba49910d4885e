//! Streams between processes and threads: each message once, and in order.

macro_rules! streams_tests {
    ($take:ident) => {
        fn produce(queue: Handle, producer: u64, count: u64) {
            for n in 0..count {
                let mut message = message(numbered(producer, n));
                match n % 3 {
                    0 => queue.put(message).unwrap(),
                    1 => queue.put_timeout(message, Duration::from_secs(60)).unwrap(),
                    _ => {
                        while let Err(TryPutError::Full(back)) = queue.try_put(message) {
                            message = back;
                            thread::yield_now();
                        }
                    }
                }
            }
        }

        fn consume(queue: Handle) -> Vec<u64> {
            let mut got = vec![];
            loop {
                let next = match got.len() % 4 {
                    0 => queue.get().map_err(|_| TryGetError::Closed),
                    1 => queue.get_timeout(Duration::from_secs(60)),
                    2 => queue.$take().map(|taken| taken.clone()).map_err(|_| TryGetError::Closed),
                    _ => queue.try_get(),
                };
                match next {
                    Ok(message) => got.push(number(&message)),
                    Err(TryGetError::Closed) => return got,
                    Err(TryGetError::Empty) => thread::yield_now(),
                    Err(other) => panic!("{other}"),
                }
            }
        }

        #[test]
        fn processes_get_each_message_once_and_in_order() {
            let _watchdog = watchdog();
            for (capacity, producers, consumers) in [(1, 1, 1), (1, 2, 2), (2, 2, 1), (6, 1, 3), (7, 3, 3), (100, 2, 2)]
            {
                let (queue, count) = (handle(capacity), many(3_000));
                let consumers: Vec<_> = (0..consumers).map(|_| Process::spawn(consume, (&queue,)).unwrap()).collect();
                let start = |producer| Process::spawn(produce, (&queue, producer, count)).unwrap();
                let running: Vec<_> = (0..producers).map(start).collect();
                running.into_iter().for_each(|producer| producer.join().unwrap());
                queue.close();
                let parts: Vec<_> = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
                check_parts(&parts, producers, count);
            }
        }

        #[test]
        fn threads_share_a_handle_or_have_clones() {
            let _watchdog = watchdog();
            for shared in [true, false] {
                let (queue, count) = (handle(7), many(5_000));
                let parts: Vec<_> = thread::scope(|scope| {
                    let queue = &queue;
                    // A clone of a clone, or each time the very same handle.
                    let clone = move || if shared { None } else { Some(queue.clone().clone()) };
                    let consumers: Vec<_> = (0..3)
                        .map(|_| {
                            scope.spawn(move || {
                                let own = clone();
                                own.as_ref().unwrap_or(queue).iter().map(|message| number(&message.unwrap())).collect()
                            })
                        })
                        .collect();
                    let producers: Vec<_> = (0..3)
                        .map(|producer| {
                            scope.spawn(move || {
                                let own = clone();
                                let queue = own.as_ref().unwrap_or(queue);
                                (0..count).for_each(|n| queue.put(message(numbered(producer, n))).unwrap());
                            })
                        })
                        .collect();
                    producers.into_iter().for_each(|producer| producer.join().unwrap());
                    queue.close();
                    consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect()
                });
                check_parts(&parts, 3, count);
            }
        }
    };
}

pub(crate) use streams_tests;
