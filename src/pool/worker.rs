//! A worker's own life: it takes orders from the queue and sends results, until the queue is closed.

use std::os::fd::BorrowedFd;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::time::Duration;

use super::callbacks::dispose;
use super::desk::Desk;
use super::lookout::Lookout;
use super::order::{Ask, Boot, Failure, Order, RECORD_HEAD, Tag};
use super::original::Original;
use super::results;
use super::supplies::Supplies;
use crate::error::{Error, Result, TaskError, TryGetError, TrySendError};
use crate::fault::crash_point;
use crate::message::codec::Arguments;
use crate::process::{Fault, Step, be_quiet, control, describe_panic, note, run_at};
use crate::queue::{Queue, QueueTask};
use crate::segment::handle::Parcel;
use crate::sys::{clock, exit, interrupt};

/// The longest result that goes through the channel, which has room for several. Longer ones go through a file of their own.
/// A guess.
const LONGEST: usize = 64 << 10;

/// The most bytes of each text in an error. A guess.
const LONGEST_TEXT: usize = 64 << 10;

/// How long an idle worker stays attached to what its last tasks used. A guess.
const MEMORY: Duration = Duration::from_millis(100);

struct Worker {
    boot: Boot,
    original: Original,
    supplies: Supplies,
    lookout: Lookout,
    /// Calls so far.
    calls: u64,
    /// Results that went through the socket.
    apart: u64,
    /// The record that is being made: results that have not been sent, and so many.
    results: Vec<u8>,
    count: u32,
}

/// How often an idle worker asks whether its pool is still there, in case that nothing tells it. A guess: for that, it makes three system
/// calls.
const WATCH: Duration = Duration::from_millis(500);

/// What a worker process runs.
pub(super) fn work(boot: Boot) {
    interrupt::disregard();
    be_quiet();
    let Some(socket) = control() else { return };
    let original = Original::here();
    let ready = panic::catch_unwind(AssertUnwindSafe(|| initialize(&boot, socket)));
    original.end_if_copied();
    let failure = match ready {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(payload) => Some(Failure::Panicked(describe_panic(&*payload))),
    };
    let mut worker = Worker {
        boot,
        original,
        supplies: Supplies::default(),
        lookout: Lookout::new(),
        calls: 0,
        apart: 0,
        results: Vec::new(),
        count: 0,
    };
    match failure {
        Some(failure) => worker.supplies.tell(&Ask::NotReady(failure)),
        None => {
            worker.supplies.tell(&Ask::Ready);
            worker.run();
        }
    }
    drop(worker);
    // What follows would say that it has returned, for which nobody asks, or complain that it cannot.
    process::exit(0)
}

fn initialize(boot: &Boot, socket: BorrowedFd<'_>) -> Result<(), Failure> {
    if !boot.has_initializer {
        return Ok(());
    }
    let Some(mut received) = note::wait(socket).map_err(Failure::Failed)? else { process::exit(0) };
    let descriptors = std::mem::take(&mut received.descriptors);
    match run_at(received.body(), descriptors).map_err(Failure::Failed)? {
        None => Ok(()),
        Some(error) => Err(Failure::Returned(error)),
    }
}

impl Worker {
    fn run(&mut self) {
        let orders = self.boot.orders.clone();
        while !self.has_done_all() && !self.supplies.are_deaf() {
            match self.next(&orders) {
                Ok(task) => {
                    let (cell, generation) = (task.cell as usize, task.generation);
                    let (number, place) = (self.boot.worker, self.boot.place as usize);
                    let now = if self.boot.is_timed { clock::nanoseconds() } else { 0 };
                    crash_point!("pool.taken");
                    // The message is in the queue until the task is ours (C1 in `word/errand.rs`).
                    let is_ours = self.boot.board.start_task(cell, generation, (number, place), now);
                    crash_point!("pool.started");
                    let order = task.into_inner();
                    if is_ours {
                        self.execute(&order);
                        crash_point!("pool.sent");
                        // Condemned (C3): the pool kills this process, if it may.
                        if !self.boot.board.end_task(cell, generation, number) {
                            exit::now(0);
                        }
                    }
                    self.boot.bell.set();
                }
                Err(TryGetError::Empty) => {
                    self.supplies.let_go();
                    if self.original.is_orphan() || Supplies::are_cut_off() {
                        return;
                    }
                }
                Err(TryGetError::Failed(Error::Decode { .. })) => {}
                Err(_) => return,
            }
        }
    }

    /// The next order; `Empty` when it has waited for long.
    fn next<'o>(&mut self, orders: &'o Queue<Order>) -> Result<QueueTask<'o, Order>, TryGetError> {
        let glance = || Some(orders.try_get_task()).filter(|found| !matches!(found, Err(TryGetError::Empty)));
        // Not the first one: nobody waits for a worker that has done nothing.
        if self.calls > 0 {
            if let Some(found) = glance() {
                return found;
            }
            // A task may have closed what is not its own. In a dense series the look would cost a quarter of its throughput.
            if Supplies::are_cut_off() {
                return Err(TryGetError::Closed);
            }
            if let Some(found) = self.lookout.until(glance) {
                return found;
            }
        }
        orders.get_task_timeout(if self.supplies.has_no_segments() { WATCH } else { MEMORY })
    }

    /// Whether it has done as many calls as it may.
    fn has_done_all(&self) -> bool {
        self.boot.most_calls.is_some_and(|most| self.calls >= most)
    }

    fn execute(&mut self, order: &Order) {
        self.boot.board.set_running(self.boot.place as usize, u64::from(order.calls));
        let load = order.load.clone().or_else(|| self.supplies.ask_for_load(order.cell));
        let missing = || Error::Decode { what: "the arguments".into(), reason: "the pool could not send them".into() };
        let taken = load.ok_or_else(missing).and_then(|load| {
            let (segments, step) = (self.supplies.segments(&load.segments)?, self.supplies.function(order.function)?);
            Ok((load.arguments, segments, step))
        });
        match taken {
            Ok((arguments, segments, step)) => {
                self.call_all(order, step, &mut Arguments::new(arguments.as_slice(), segments));
            }
            // The task has not begun: it is for a worker that can ask. One that nobody has spoilt could not, either.
            Err(_) if self.supplies.are_deaf() && self.calls > 0 => self.leave(order, 0),
            Err(error) => {
                let error = TaskError::decode(&error);
                (0..order.calls).for_each(|call| self.fail(order, call, Tag::Failed, error.clone()));
            }
        }
        self.boot.board.set_running(self.boot.place as usize, 0);
    }

    fn call_all(&mut self, order: &Order, step: Step, arguments: &mut Arguments<'_>) {
        self.begin(order);
        for call in 0..order.calls {
            if self.has_done_all() {
                self.flush(order, call);
                return self.leave(order, call);
            }
            self.calls += 1;
            let (before, at) = (arguments.rest().len(), self.results.len());
            self.results.push(0);
            let results = &mut self.results;
            let called = panic::catch_unwind(AssertUnwindSafe(|| step.take(arguments, results)));
            self.original.end_if_copied();
            if let Ok(Ok(None)) = called
                && self.results.len() - at <= LONGEST
            {
                results::set_length(&mut self.results, at);
                self.put(order, call, at);
                continue;
            }
            // All before it is to be sent before it.
            let result = self.results.split_off(at);
            self.flush(order, call);
            let is_last = call + 1 == order.calls;
            match called {
                Ok(Ok(handles)) => self.send_apart(order, call, Parcel { bytes: result[1..].to_vec(), handles }),
                Ok(Err(Fault::Result(error))) => {
                    let error = TaskError::encode(&error);
                    self.fail(order, call, Tag::Failed, error);
                }
                Ok(Err(Fault::Arguments(error))) => {
                    let error = TaskError::decode(&error);
                    return self.fail(order, call, if is_last { Tag::Failed } else { Tag::Stopped }, error);
                }
                Err(payload) => {
                    let panic = describe_panic(&*payload);
                    dispose(payload);
                    let error = TaskError::Panicked {
                        message: panic.message,
                        location: panic.location,
                        backtrace: panic.backtrace,
                        pid: process::id(),
                        task: order.first + u64::from(call),
                    };
                    // It may have been the decoding that panicked.
                    let is_lost = arguments.rest().len() == before && !is_last;
                    self.fail(order, call, if is_lost { Tag::Stopped } else { Tag::Failed }, error);
                    if is_lost {
                        return;
                    }
                }
            }
            self.restart(order, call + 1);
        }
        self.flush(order, order.calls);
    }

    /// Leaves the calls from this one on to another worker.
    fn leave(&mut self, order: &Order, call: u32) {
        let mut record = Vec::new();
        head(&mut record, order, Tag::Left, order.first + u64::from(call));
        send(&mut self.boot, &record);
    }

    /// Makes the record and the desk ready for an order.
    fn begin(&mut self, order: &Order) {
        self.count = 0;
        self.results.clear();
        head(&mut self.results, order, Tag::Returned, order.first);
        Desk::of(&self.boot.desks, self.boot.place as usize).begin(order.cell as usize, order.generation, order.first);
    }

    /// Puts the result of a call, which begins at `at` in the record, where a kill does not take it away.
    #[inline]
    fn put(&mut self, order: &Order, call: u32, at: usize) {
        let desk = Desk::of(&self.boot.desks, self.boot.place as usize);
        let is_put = order.calls > 1 && desk.put(at - RECORD_HEAD, &self.results[at..]);
        self.count += 1;
        if !is_put {
            self.flush(order, call + 1);
        }
    }

    /// Sends what has gathered; `next` is the next call.
    fn flush(&mut self, order: &Order, next: u32) {
        if self.count > 0 {
            send(&mut self.boot, &self.results);
            crash_point!("pool.flushed");
            self.restart(order, next);
        }
    }

    /// All has been sent; `next` is the next call.
    fn restart(&mut self, order: &Order, next: u32) {
        let first = order.first + u64::from(next);
        self.results.clear();
        self.results.shrink_to(LONGEST);
        head(&mut self.results, order, Tag::Returned, first);
        self.count = 0;
        Desk::of(&self.boot.desks, self.boot.place as usize).clear(first);
    }

    fn fail(&mut self, order: &Order, call: u32, tag: Tag, mut error: TaskError) {
        // What is too long for the channel would be no outcome at all.
        for text in error.texts() {
            if text.len() > LONGEST_TEXT {
                text.truncate(text.floor_char_boundary(LONGEST_TEXT));
                text.push_str("...");
            }
        }
        let mut record = Vec::new();
        head(&mut record, order, tag, order.first + u64::from(call));
        // Of texts and numbers: it encodes.
        record.extend(postcard::to_stdvec(&error).unwrap_or_default());
        send(&mut self.boot, &record);
    }

    /// Sends a result that is long, or that has handles in it.
    fn send_apart(&mut self, order: &Order, call: u32, parcel: Parcel) {
        self.apart += 1;
        if let Err(error) = self.supplies.say(&Ask::Result(self.apart), parcel) {
            let error = TaskError::encode(&error);
            return self.fail(order, call, Tag::Failed, error);
        }
        crash_point!("pool.apart");
        let mut record = Vec::new();
        head(&mut record, order, Tag::InSocket, order.first + u64::from(call));
        record.extend_from_slice(&self.apart.to_ne_bytes());
        send(&mut self.boot, &record);
    }
}

/// `first`: the number of the first call that the record is about.
fn head(record: &mut Vec<u8>, order: &Order, tag: Tag, first: u64) {
    record.push(tag as u8);
    record.extend_from_slice(&order.cell.to_ne_bytes());
    record.extend_from_slice(&order.generation.to_ne_bytes());
    record.extend_from_slice(&first.to_ne_bytes());
}

/// Sends a record; when it returns, a kill of this process takes nothing of it away.
fn send(boot: &mut Boot, record: &[u8]) {
    match boot.results.try_send_bytes(record) {
        Ok(()) => {}
        Err(TrySendError::Full(())) => {
            boot.bell.set();
            // An error: there is no pool any more.
            if boot.results.send_bytes(record).is_err() {
                process::exit(0);
            }
        }
        Err(_) => process::exit(0),
    }
}
