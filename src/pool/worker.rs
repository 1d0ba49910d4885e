//! A worker's own life: it takes orders from the queue and sends results, until the queue is closed.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::order::{Ask, Boot, Bytes, Failure, Order, RECORD_HEAD, Tag};
use crate::error::{Error, Result, TaskError, TryGetError, TrySendError};
use crate::fault::crash_point;
use crate::message::codec::Arguments;
use crate::process::{Fault, Received, be_quiet, control, describe_panic, note, run_at, step_at};
use crate::segment::Segment;
use crate::segment::handle::{Outgoing, Parcel};
use crate::sys::{clock, interrupt};

/// The longest result that goes through the channel. Longer ones go through a file of their own, as the pool has to take
/// in at once all that is in the channel. A guess.
const LONGEST: usize = 16 << 10;

/// How long an idle worker stays attached to what its last tasks used. A guess.
const MEMORY: Duration = Duration::from_millis(100);

/// The most segments that it stays attached to while it works. A guess.
const MOST_KNOWN: usize = 64;

struct Worker {
    boot: Boot,
    socket: BorrowedFd<'static>,
    /// Segments of handles in arguments, by the pool's numbers.
    known: BTreeMap<u64, Arc<Segment>>,
    /// Calls so far.
    calls: u64,
    /// The record that is being made.
    record: Vec<u8>,
}

/// What a worker process runs.
pub(super) fn work(boot: Boot) {
    interrupt::disregard();
    be_quiet();
    let Some(socket) = control() else { return };
    let ready = panic::catch_unwind(AssertUnwindSafe(|| initialize(&boot, socket)));
    let failure = match ready {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(payload) => Some(Failure::Panicked(describe_panic(&*payload))),
    };
    let mut worker = Worker { boot, socket, known: BTreeMap::new(), calls: 0, record: Vec::new() };
    match failure {
        Some(failure) => worker.ask(&Ask::NotReady(failure), Parcel::default()),
        None => {
            worker.ask(&Ask::Ready, Parcel::default());
            worker.run();
        }
    }
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
        while self.boot.most_calls.is_none_or(|most| self.calls < most) {
            let task = if self.known.is_empty() {
                orders.get_task().map_err(|error| TryGetError::from(Error::from(error)))
            } else {
                orders.get_task_timeout(MEMORY)
            };
            match task {
                Ok(task) => {
                    let (cell, generation) = (task.cell as usize, task.generation);
                    let number = self.boot.worker;
                    let now = || if self.boot.is_timed { clock::nanoseconds() } else { 0 };
                    crash_point!("pool.taken");
                    // The message is in the queue until the task is ours (C1).
                    let is_ours = self.boot.board.start_task(cell, generation, number, now);
                    crash_point!("pool.started");
                    let order = task.into_inner();
                    if is_ours {
                        self.execute(&order);
                        crash_point!("pool.sent");
                        if !self.boot.board.end_task(cell, generation, number) {
                            wait_to_be_killed();
                        }
                    }
                    self.boot.bell.set();
                }
                Err(TryGetError::Empty) => self.known.clear(),
                Err(TryGetError::Failed(Error::Decode { .. })) => {}
                Err(_) => return,
            }
        }
    }

    fn execute(&mut self, order: &Order) {
        self.boot.board.set_running(self.boot.place as usize, u64::from(order.calls));
        let arguments = match &order.arguments {
            Some(arguments) => arguments.clone(),
            None => self.ask_for_arguments(order.cell),
        };
        match self.segments(&order.segments) {
            Ok(segments) => self.call_all(order, &mut Arguments::new(arguments.as_slice(), segments)),
            Err(error) => {
                let error = TaskError::Decode { reason: format!("{error:?}") };
                (0..order.calls).for_each(|_| self.fail(order.cell, Tag::Failed, &error));
            }
        }
        self.boot.board.set_running(self.boot.place as usize, 0);
    }

    fn call_all(&mut self, order: &Order, arguments: &mut Arguments<'_>) {
        let step = match step_at(order.function) {
            Ok(step) => step,
            Err(error) => {
                let error = TaskError::Decode { reason: format!("{error:?}") };
                return (0..order.calls).for_each(|_| self.fail(order.cell, Tag::Failed, &error));
            }
        };
        for call in 0..order.calls {
            self.calls += 1;
            self.begin_record(order.cell, Tag::Returned);
            let (before, record) = (arguments.rest().len(), &mut self.record);
            let called = panic::catch_unwind(AssertUnwindSafe(|| step.take(arguments, record)));
            let is_last = call + 1 == order.calls;
            match called {
                Ok(Ok(None)) if self.record.len() <= RECORD_HEAD + LONGEST => {
                    self.send();
                }
                Ok(Ok(handles)) => self.send_apart(order.cell, handles),
                Ok(Err(Fault::Result(error))) => {
                    let error = TaskError::Encode { reason: format!("{error:?}") };
                    self.fail(order.cell, Tag::Failed, &error);
                }
                Ok(Err(Fault::Arguments(error))) => {
                    let error = TaskError::Decode { reason: format!("{error:?}") };
                    return self.fail(order.cell, if is_last { Tag::Failed } else { Tag::Stopped }, &error);
                }
                Err(payload) => {
                    let panic = describe_panic(&*payload);
                    let error = TaskError::Panicked {
                        message: panic.message,
                        location: panic.location,
                        backtrace: panic.backtrace,
                        pid: process::id(),
                        task: order.first + u64::from(call),
                    };
                    // It may have been the decoding that panicked.
                    let is_lost = arguments.rest().len() == before && !is_last;
                    self.fail(order.cell, if is_lost { Tag::Stopped } else { Tag::Failed }, &error);
                    if is_lost {
                        return;
                    }
                }
            }
        }
    }

    fn begin_record(&mut self, cell: u32, tag: Tag) {
        self.record.clear();
        self.record.push(tag as u8);
        self.record.extend_from_slice(&cell.to_ne_bytes());
    }

    /// Sends the record; when it returns, a kill of this process takes nothing of it away.
    fn send(&mut self) {
        match self.boot.results.try_send_bytes(&self.record) {
            Ok(()) => {}
            Err(TrySendError::Full(())) => {
                self.boot.bell.set();
                self.wait_for_room();
            }
            Err(_) => process::exit(0),
        }
    }

    #[cold]
    fn wait_for_room(&mut self) {
        if self.boot.results.send_bytes(&self.record).is_err() {
            process::exit(0); // there is no pool any more
        }
    }

    fn fail(&mut self, cell: u32, tag: Tag, error: &TaskError) {
        self.begin_record(cell, tag);
        // Of texts and numbers: it encodes.
        self.record = postcard::to_extend(error, std::mem::take(&mut self.record)).unwrap_or_default();
        self.send();
    }

    /// Sends a result that is long, or that has handles in it.
    fn send_apart(&mut self, cell: u32, handles: Option<Box<Outgoing>>) {
        let parcel = Parcel { bytes: self.record[RECORD_HEAD..].to_vec(), handles };
        self.ask(&Ask::Result, parcel);
        self.begin_record(cell, Tag::InSocket);
        self.send();
    }

    /// Says something to the keeper, with what belongs to it.
    fn ask(&self, what: &Ask, mut parcel: Parcel) {
        let mut bytes = postcard::to_stdvec(what).unwrap_or_default();
        bytes.append(&mut parcel.bytes);
        parcel.bytes = bytes;
        while let Err(error) = note::send(self.socket, &parcel) {
            if !note::is_full(&error) {
                process::exit(0);
            }
            // The keeper reads what is there in a moment, unless the pool's process is stopped.
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn answer(&self) -> Received<()> {
        match note::wait(self.socket) {
            Ok(Some(answer)) => answer,
            _ => process::exit(0),
        }
    }

    fn ask_for_arguments(&self, cell: u32) -> Bytes {
        self.ask(&Ask::Arguments(cell), Parcel::default());
        Bytes::new(self.answer().body().to_vec())
    }

    /// The segments of these numbers.
    fn segments(&mut self, numbers: &[u64]) -> Result<Vec<Arc<Segment>>> {
        if self.known.len() > MOST_KNOWN {
            self.known.clear();
        }
        numbers.iter().map(|number| self.segment(*number)).collect()
    }

    fn segment(&mut self, number: u64) -> Result<Arc<Segment>> {
        if let Some(segment) = self.known.get(&number) {
            return Ok(Arc::clone(segment));
        }
        self.ask(&Ask::Segment(number), Parcel::default());
        let gone = || Error::Decode { what: "a handle".into(), reason: "nobody wants the task any more".into() };
        let segment = Segment::attach(self.answer().descriptors.pop().ok_or_else(gone)?)?;
        self.known.insert(number, Arc::clone(&segment));
        Ok(segment)
    }
}

/// The pool has decided to end this process (C3).
fn wait_to_be_killed() -> ! {
    loop {
        thread::park();
    }
}
