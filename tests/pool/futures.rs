//! A `Task` as a future, under executors made by hand.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crossproc::{Pool, Task, TaskError};

use crate::common::locking::Stage;
use crate::common::watchdog;

struct Awakened {
    thread: Thread,
    times: AtomicU32,
}

impl Awakened {
    fn new() -> Arc<Self> {
        Arc::new(Awakened { thread: thread::current(), times: AtomicU32::new(0) })
    }
}

impl Wake for Awakened {
    fn wake(self: Arc<Self>) {
        self.times.fetch_add(1, SeqCst);
        self.thread.unpark();
    }
}

/// Sleeps until it is woken, and polls then only.
fn block_on<F: Future>(future: F) -> F::Output {
    let awakened = Awakened::new();
    let waker = Waker::from(Arc::clone(&awakened));
    let (mut future, mut polls) = (pin!(future), 0);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        polls += 1;
        while awakened.times.load(SeqCst) < polls {
            thread::park();
        }
    }
}

fn square(n: u64) -> u64 {
    n * n
}

fn wait_for(stage: Stage) -> u32 {
    stage.wait_for(1);
    7
}

#[test]
fn results_and_errors_can_be_awaited() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let sum = block_on(async {
        let tasks: Vec<_> = (0..50).map(|n| pool.apply_async(square, (n,))).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, (0..50).map(square).sum());
    assert_eq!(block_on(pool.map_async(square, 0..3)), Ok(vec![0, 1, 4]));
    let died = block_on(pool.apply_async(|| -> u32 { std::process::exit(3) }, ()));
    assert!(matches!(died, Err(TaskError::WorkerDied { .. })));
}

fn poll<R>(task: &mut Task<R>, waker: &Arc<Awakened>) -> Poll<Result<R, TaskError>>
where
    R: serde::de::DeserializeOwned,
{
    Pin::new(task).poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
}

#[test]
fn every_waker_is_called_once() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let mut task = pool.apply_async(wait_for, (&stage,));
    let wakers = [Awakened::new(), Awakened::new()];
    for waker in [&wakers[0], &wakers[0], &wakers[1]] {
        assert!(poll(&mut task, waker).is_pending());
    }
    let times = || wakers.each_ref().map(|waker| waker.times.load(SeqCst));
    assert_eq!(times(), [0, 0]);
    stage.advance();
    while times() != [1, 1] {
        thread::park(); // whoever wakes unparks
    }
    assert_eq!(poll(&mut task, &wakers[0]), Poll::Ready(Ok(7)));
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    assert_eq!(times(), [1, 1]);
    let again = panic::catch_unwind(AssertUnwindSafe(|| poll(&mut task, &wakers[0])));
    assert!(again.is_err(), "it was ready");
}

#[test]
fn wakers_are_called_by_cancellation_and_the_end_of_the_pool() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let mut tasks = [0; 2].map(|_| pool.apply_async(wait_for, (&stage,)));
    let wakers = [Awakened::new(), Awakened::new()];
    for (task, waker) in tasks.iter_mut().zip(&wakers) {
        assert!(poll(task, waker).is_pending());
    }
    assert!(tasks[0].cancel());
    assert_eq!(wakers[0].times.load(SeqCst), 1);
    drop(pool);
    assert_eq!(wakers[1].times.load(SeqCst), 1);
    for (task, waker) in tasks.iter_mut().zip(&wakers) {
        assert_eq!(poll(task, waker), Poll::Ready(Err(TaskError::Cancelled)));
    }
}

#[test]
fn a_future_is_ready_when_its_callbacks_have_run() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    for n in 0..100 {
        let seen = Arc::new(AtomicU32::new(0));
        let noted = Arc::clone(&seen);
        let task = pool.apply_async(square, (n,)).on_done(move |_| noted.store(1, SeqCst));
        assert_eq!(block_on(task), Ok(n * n));
        assert_eq!(seen.load(SeqCst), 1);
    }
}

/// Its task is dropped and nobody polls it again: it is not kept beyond the task's end, nor beyond the pool's.
#[test]
fn the_waker_of_a_future_left_behind_is_let_go() {
    let _watchdog = watchdog();
    for ends_first in [true, false] {
        let (pool, stage, waker) = (Pool::new(1).unwrap(), Stage::new(), Awakened::new());
        let mut task = pool.apply_async(wait_for, (&stage,));
        assert!(poll(&mut task, &waker).is_pending());
        drop(task);
        assert_eq!(waker.times.load(SeqCst), 0);
        if ends_first {
            stage.advance();
            pool.join();
        }
        drop(pool);
        assert_eq!(Arc::strong_count(&waker), 1);
        assert!(waker.times.load(SeqCst) <= 1);
    }
}

/// As some executors have a new one for each poll.
#[test]
fn the_wakers_of_earlier_polls_are_let_go() {
    let _watchdog = watchdog();
    const FEW: usize = 8;
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let mut task = pool.apply_async(wait_for, (&stage,));
    let wakers: Vec<_> = (0..1_000).map(|_| Awakened::new()).collect();
    for waker in &wakers {
        assert!(poll(&mut task, waker).is_pending());
    }
    let kept = wakers.iter().filter(|waker| Arc::strong_count(waker) > 1).count();
    assert!((1..=FEW).contains(&kept), "{kept} are kept");
    stage.advance();
    while wakers[999].times.load(SeqCst) == 0 {
        thread::park(); // whoever wakes unparks
    }
    assert_eq!(poll(&mut task, &wakers[0]), Poll::Ready(Ok(7)));
    assert!(wakers.iter().all(|waker| waker.times.load(SeqCst) <= 1 && Arc::strong_count(waker) == 1));
}
