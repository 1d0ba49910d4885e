//! From the items of an input to chunks in the pool's books.

use std::any::type_name;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::job::{Arrival, Job};
use super::results::Outcomes;
use super::unit::{Calls, Unit};
use crate::error::{Error, Result, TaskError};
use crate::process::{Encoding, Function, offset_of_step};
use crate::segment::handle::Parcel;
use crate::segment::transfer;

/// A chunk is no longer than that in bytes, but for its last item. A guess.
const ENOUGH: usize = 56 << 10;

/// How long a chunk should take where nobody knows how many there will be: long beside what handing one over costs, short beside
/// what people notice. A guess.
const SPELL: Duration = Duration::from_millis(2);

/// The most items of a chunk whose size follows from that. A guess.
const MOST_ADAPTED: u64 = 4_096;

/// The most items of a chunk that is its share of an input. Where so many do not take long, the workers would otherwise have nothing
/// to do until the first large ones are encoded, and not be done at the same time; and where they do, to hand them over costs nothing.
/// Measured: a map of 100,000 squares by two workers takes a fifth less time than with 12,500, and with 1,024 about the same.
const MOST_SHARED: u64 = 2_048;

/// The most items that are pulled for a chunk, whatever its size; of items that take a byte each, half as many are [`ENOUGH`]. A guess.
const MOST_PENDING: usize = 64 << 10;

/// How many items make a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) enum ChunkSize {
    /// So many.
    Fixed(u64),
    /// As many as are done in a [`SPELL`].
    Adaptive,
}

impl ChunkSize {
    /// For an input of `hint` items: four chunks for each worker, as Python does, but none longer than [`MOST_SHARED`].
    pub(super) fn of(core: &Core, asked: Option<usize>, hint: (usize, Option<usize>)) -> Self {
        // The time is limited for each task, which then has to be one of its own.
        if core.options.time_limit.is_some() {
            return ChunkSize::Fixed(1);
        }
        let most = core.options.most_calls.unwrap_or(u64::MAX);
        match (asked, hint) {
            (Some(size), _) => ChunkSize::Fixed((size as u64).clamp(1, most)),
            (None, (least, Some(length))) if least == length => {
                ChunkSize::Fixed((length.div_ceil(4 * core.options.workers) as u64).min(MOST_SHARED).clamp(1, most))
            }
            (None, _) => ChunkSize::Adaptive,
        }
    }
}

/// Feeds the calls of a function `f` on the items of an input, as far as it is asked to.
pub(super) struct Feeder<F, S, P, I> {
    core: Arc<Core>,
    pub(super) job: Arc<Job>,
    function: Result<u64>,
    input: Option<I>,
    /// Items of the input that are not in a chunk yet.
    pending: VecDeque<S>,
    size: ChunkSize,
    began: Instant,
    /// The number of the next call.
    next: u64,
    is_closed: bool,
    call: PhantomData<fn(F, P)>,
}

impl<F, S, P, I> Feeder<F, S, P, I>
where
    F: Function<S, P>,
    I: Iterator<Item = S>,
{
    pub(super) fn new(core: &Arc<Core>, job: Job, f: F, input: I, size: ChunkSize) -> Self {
        Feeder {
            core: Arc::clone(core),
            job: Arc::new(job),
            function: offset_of_step(f.step(), type_name::<F>()),
            input: Some(input),
            pending: VecDeque::new(),
            size,
            began: Instant::now(),
            next: 0,
            is_closed: false,
            call: PhantomData,
        }
    }

    /// Numbers the calls from this one on, instead of from 0.
    pub(super) fn numbered_from(mut self, number: u64) -> Self {
        self.next = number;
        self
    }

    /// How many items the next chunk has.
    fn chunk_size(&self) -> u64 {
        match self.size {
            ChunkSize::Fixed(size) => size,
            ChunkSize::Adaptive => {
                let (_, finished) = self.job.counts();
                let workers = self.core.options.workers as f64;
                let in_a_spell = finished as f64 / self.began.elapsed().as_secs_f64() * SPELL.as_secs_f64() / workers;
                let most = self.core.options.most_calls.unwrap_or(u64::MAX).min(MOST_ADAPTED);
                (in_a_spell as u64).clamp(1, most)
            }
        }
    }

    /// So many calls may be ahead of those whose outcomes are taken, where these are taken one by one.
    pub(super) fn lead(&self) -> u64 {
        // Of no chunk are more pulled, whatever was asked for; else an endless input would be pulled for ever.
        self.chunk_size().min(MOST_PENDING as u64).saturating_mul(4 * self.core.options.workers as u64)
    }

    /// Calls so far.
    pub(super) fn fed(&self) -> u64 {
        self.next
    }

    /// Whether there is no more input.
    pub(super) fn has_ended(&self) -> bool {
        self.input.is_none() && self.pending.is_empty()
    }

    /// Makes a chunk of the next items, and hands it to the pool; whether there were any.
    pub(super) fn feed(&mut self) -> bool {
        let size = self.chunk_size();
        while (self.pending.len() as u64) < size
            && let Some(input) = &mut self.input
        {
            match input.next() {
                Some(item) => self.pending.push_back(item),
                None => self.input = None,
            }
            if self.pending.len() >= MOST_PENDING {
                break;
            }
        }
        if self.pending.is_empty() {
            return false;
        }
        if let Err(error) = self.function.as_ref().map_err(TaskError::encode).and(self.core.check_open()) {
            // One error for all that would have been.
            (self.input, self.next) = (None, self.next + 1);
            self.pending.clear();
            self.refuse(error);
            return true;
        }
        let (calls, failed) = encode::<F, S, P>(self.pending.make_contiguous());
        let count = calls.ends.len();
        self.send(calls);
        self.pending.drain(..count);
        if let Some(error) = failed {
            self.pending.pop_front();
            self.next += 1;
            self.refuse(TaskError::encode(&error));
        }
        true
    }

    fn send(&mut self, calls: Calls) {
        let count = calls.ends.len() as u64;
        if count > 0
            && let Ok(function) = self.function
            && let Some(chunk) = self.job.add_chunk(count)
        {
            let retries = self.core.options.retries;
            let unit = Unit::new(Arc::clone(&self.job), chunk, function, self.next, calls, retries);
            self.next += count;
            self.core.submit(unit);
        }
    }

    /// An item that was not sent has an outcome, too.
    fn refuse(&self, error: TaskError) {
        if let Some(chunk) = self.job.add_chunk(1) {
            let mut outcomes = Outcomes::default();
            outcomes.push_failed(error);
            self.core.board.count_submitted(1);
            self.core.board.count_done(1);
            self.core.board.count_failed(1);
            self.core.follow(self.job.deliver(chunk, outcomes, 1, true));
        }
    }

    /// Says that there is no more input.
    pub(super) fn close(mut self) -> Arc<Job> {
        self.is_closed = true;
        self.core.follow(self.job.close());
        Arc::clone(&self.job)
    }
}

/// An input that is not pulled to its end. Of one that has panicked, what was pulled runs, as calls have effects; where outcomes
/// are taken one by one, what nobody has begun is dropped, and what workers are at, they finish.
impl<F, S, P, I> Drop for Feeder<F, S, P, I> {
    fn drop(&mut self) {
        if !self.is_closed && !self.core.is_copied() {
            if self.job.order == Arrival::AtOnce {
                self.core.follow(self.job.leave(&self.core.attended));
                self.core.attend();
            } else {
                self.core.abandon(&self.job, false);
            }
        }
    }
}

fn too_large(bytes: usize) -> Error {
    let reason = format!("{bytes} bytes, and a task takes no more than {}", u32::MAX);
    Error::Encode { what: "the arguments".into(), reason }
}

/// Encodes the first items, as many as make a chunk; why the one behind them cannot be encoded, if so.
fn encode<F: Function<S, P>, S, P>(items: &[S]) -> (Calls, Option<Error>) {
    let (mut count, mut failed) = (items.len(), None);
    loop {
        let (mut ends, mut at) = (Vec::with_capacity(count), 0);
        // A chunk's arguments are kept until all its outcomes are there.
        let packed = transfer::pack_lasting(|| {
            let mut bytes = Vec::new();
            for (index, item) in items[..count].iter().enumerate() {
                at = index;
                F::append(item, &mut Encoding(&mut bytes))?;
                let end = u32::try_from(bytes.len());
                ends.push(end.map_err(|_| too_large(bytes.len()))?);
                if bytes.len() >= ENOUGH {
                    break;
                }
            }
            Ok(bytes)
        });
        match packed {
            Ok((bytes, handles)) => return (Calls { ends, parcel: Parcel { bytes, handles } }, failed),
            Err(error) => (count, failed) = (at, Some(error)),
        }
    }
}
