//! Whom the end of a job wakes.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

/// Who is to be woken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiter {
    /// A thread that sleeps until any of several jobs ends, with the one waker that it has.
    Thread,
    /// Whoever has polled a task.
    Poll,
}

/// The most wakers of polls that are kept. A future owes a call to the last one only; executors that poll it by turns, each with a waker
/// of its own, do well with a few more. A guess.
const MOST_POLLS: usize = 4;

#[derive(Default)]
pub(super) struct Wakers {
    threads: Vec<Waker>,
    /// The last ones, the newest behind the others. Of executors that have a new one for each poll there could be any number.
    polls: VecDeque<Waker>,
}

impl Wakers {
    /// Adds one that is not known; what has to make room for it is for the caller to drop, outside of all locks.
    #[must_use = "what it does when it is dropped, nobody knows"]
    pub(super) fn add(&mut self, waker: &Waker, whose: Waiter) -> Option<Waker> {
        let is_it = |known: &Waker| known.will_wake(waker);
        match whose {
            Waiter::Thread => {
                if !self.threads.iter().any(is_it) {
                    self.threads.push(waker.clone());
                }
                None
            }
            Waiter::Poll => {
                // The newest goes last, be it known or not.
                let at = self.polls.iter().position(is_it).or((self.polls.len() == MOST_POLLS).then_some(0));
                let replaced = at.and_then(|at| self.polls.remove(at));
                self.polls.push_back(waker.clone());
                replaced
            }
        }
    }

    /// All of them, once.
    pub(super) fn take(&mut self) -> Vec<Waker> {
        let mut all = mem::take(&mut self.threads);
        all.extend(self.polls.drain(..));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Number;

    impl Wake for Number {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn of_polls_the_last_few_are_kept_and_of_threads_all() {
        let (mut wakers, all) = (Wakers::default(), [0; 10].map(|_| Arc::new(Number)));
        let waker = |number: usize| Waker::from(Arc::clone(&all[number]));
        let kept = || (0..10).filter(|number| Arc::strong_count(&all[*number]) > 1).collect::<Vec<_>>();
        for number in [0, 0, 1, 2, 0, 3, 4] {
            drop(wakers.add(&waker(number), Waiter::Poll));
        }
        assert_eq!(kept(), [0, 2, 3, 4]);
        for number in [5, 6, 7, 8, 9, 5] {
            assert!(wakers.add(&waker(number), Waiter::Thread).is_none());
        }
        assert_eq!((wakers.take().len(), wakers.take().len()), (9, 0));
        assert_eq!(kept(), []);
    }
}
