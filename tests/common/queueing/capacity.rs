//! What fits, and what does not comes back.

macro_rules! capacity_tests {
    ($try_take:ident, $take_timeout:ident) => {
        #[test]
        fn capacity_is_exact() {
            for capacity in [1, 2, 3, 6, 7, 16, 17, 64, 100] {
                let queue = handle(capacity);
                assert_eq!(queue.capacity(), capacity);
                check_capacity(&queue, capacity as u64, 5);
            }
        }

        /// The places in the line move on: every slot is once the first.
        #[test]
        fn capacity_is_exact_wherever_the_line_begins() {
            for capacity in [1, 2, 6, 7] {
                let queue = handle(capacity);
                for _ in 0..3 * capacity {
                    check_capacity(&queue, capacity as u64, 1);
                    queue.put(message(5)).unwrap();
                    assert_eq!(queue.get(), Ok(message(5)));
                }
            }
        }

        #[test]
        fn an_impossible_capacity_is_an_error() {
            for wrong in [0, (1 << 30) + 1, usize::MAX] {
                match Handle::new(wrong) {
                    Err(Error::Capacity { capacity, most, .. }) => assert_eq!((capacity, most), (wrong, 1 << 30)),
                    other => panic!("{other:?}"),
                }
            }
        }

        #[test]
        fn what_is_not_put_comes_back() {
            let _watchdog = watchdog();
            let queue = handle(1);
            queue.put(message(1)).unwrap();
            assert_eq!(queue.try_put(message(2)), Err(TryPutError::Full(message(2))));
            assert_eq!(queue.put_timeout(message(3), MOMENT), Err(TryPutError::Full(message(3))));
            assert_eq!(queue.put_timeout(message(3), Duration::ZERO), Err(TryPutError::Full(message(3))));
            queue.close();
            assert_eq!(queue.try_put(message(4)), Err(TryPutError::Closed(message(4))));
            assert_eq!(queue.put_timeout(message(5), MOMENT), Err(TryPutError::Closed(message(5))));
            let closed = queue.put(message(6)).unwrap_err();
            assert_eq!(closed, PutError::Closed(message(6)));
            assert_eq!(closed.into_message(), message(6));
            assert_eq!(queue.get(), Ok(message(1)));
            assert_eq!(queue.put(message(7)), Err(PutError::Closed(message(7))), "also with room");
            assert_eq!(queue.try_put(message(7)), Err(TryPutError::Closed(message(7))));
        }

        #[test]
        fn outcomes_become_errors() {
            let queue = handle(1);
            assert_eq!(Error::from(queue.try_get().unwrap_err()), Error::Empty);
            queue.put(message(1)).unwrap();
            assert_eq!(Error::from(queue.try_put(message(2)).unwrap_err()), Error::Full);
            queue.close();
            assert_eq!(Error::from(queue.try_put(message(2)).unwrap_err()), Error::Closed);
            assert_eq!(Error::from(queue.put(message(2)).unwrap_err()), Error::Closed);
            assert!(queue.get().is_ok());
            assert_eq!(Error::from(queue.try_get().unwrap_err()), Error::Closed);
            assert_eq!(Error::from(queue.get().unwrap_err()), Error::Closed);
        }

        #[test]
        fn try_forms_do_not_wait_and_a_timeout_is_never_early() {
            let _watchdog = watchdog();
            let queue = handle(2);
            for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
                let start = Instant::now();
                assert_eq!(queue.get_timeout(wait), Err(TryGetError::Empty));
                assert!(start.elapsed() >= wait);
                let start = Instant::now();
                assert_eq!(queue.$take_timeout(wait).map(drop), Err(TryGetError::Empty));
                assert!(start.elapsed() >= wait);
            }
            assert_eq!(queue.try_get(), Err(TryGetError::Empty));
            assert_eq!(queue.$try_take().map(drop), Err(TryGetError::Empty));
            queue.put(message(1)).unwrap();
            queue.put_timeout(message(2), MOMENT).unwrap();
            for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
                let start = Instant::now();
                assert_eq!(queue.put_timeout(message(3), wait), Err(TryPutError::Full(message(3))));
                assert!(start.elapsed() >= wait);
            }
            assert_eq!(queue.try_put(message(3)), Err(TryPutError::Full(message(3))));
            assert_eq!(queue.get_timeout(Duration::ZERO), Ok(message(1)));
            assert_eq!(queue.get_timeout(Duration::MAX), Ok(message(2)));
        }
    };
}

pub(crate) use capacity_tests;
