//! A peer that writes into the words and slots of a live ring, or queue, between and during its operations: they give
//! errors or values, never a panic, a crash or a hang.

#![no_main]

mod scribbling;

use std::fs::File;
use std::time::Duration;

use arbitrary::Arbitrary;
use crossproc::{Queue, QueueTask, Ring, Slot, Taken};
use libfuzzer_sys::fuzz_target;

use self::scribbling::{BODY, Word, scribbled};

#[derive(Arbitrary, Debug)]
struct Input {
    kind: Kind,
    capacity: u8,
    steps: Vec<Step>,
    /// What a peer writes again and again meanwhile.
    meanwhile: Vec<Scribble>,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Ring,
    /// With messages behind their slots, or not.
    Queue(bool),
}

#[derive(Arbitrary, Debug)]
enum Step {
    Scribble(Scribble),
    Put(u16),
    Get,
    /// Waits for a moment.
    PutTimeout(u16),
    GetTimeout,
    Reserve,
    Hold,
    /// Ends a claim, by a commit or a release, or a drop or a return.
    Finish(u8, bool),
    Ask,
    Done,
    Close,
    /// A new handle in place of the old one.
    Renew,
}

/// What a peer writes, and where.
type Scribble = (Place, Content);

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Place {
    /// Words of the control, and of what follows it.
    Control(u8),
    /// Words of the slots, and of a queue's accounts.
    Tail(u16),
    /// The first words of the segment, and its table of peers.
    Header(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Content {
    Any(u64),
    Slot { lap: i8, phase: u8, owner: u8, generation: u8 },
    Position { lap: i8, index: u8 },
    Small(u8),
}

fn word((place, content): Scribble) -> Word {
    let offset = match place {
        Place::Control(word) => BODY + u64::from(word % 48) * 8,
        Place::Tail(word) => BODY + 256 + u64::from(word) * 8,
        Place::Header(word) => u64::from(word) * 8,
    };
    let content = match content {
        Content::Any(word) => word,
        Content::Slot { lap, phase, owner, generation } => {
            let owner = u64::from(owner % 4) | u64::from(generation % 4) << 10;
            (i64::from(lap) as u64) << 34 | u64::from(phase % 4) << 32 | owner
        }
        Content::Position { lap, index } => (i64::from(lap) as u64) << 32 | u64::from(index),
        Content::Small(number) => number.into(),
    };
    Word { offset, content }
}

const MOMENT: Duration = Duration::from_millis(1);

fn on_a_ring(ring: Ring<[u64; 9]>, input: &Input, file: &File) {
    let attach = || Ring::from_fd(ring.memory_fd().try_clone_to_owned().unwrap());
    // Guards refer to the first; the others come and go.
    let first = ring.clone();
    let mut second = ring.clone();
    let mut slots: Vec<Slot<'_, _>> = Vec::new();
    let mut takens: Vec<Taken<'_, _>> = Vec::new();
    for step in &input.steps {
        match *step {
            Step::Scribble(scribble) => word(scribble).write(file),
            Step::Put(number) => drop(second.try_put([number.into(); 9])),
            Step::Get => drop(second.try_get()),
            Step::PutTimeout(number) => drop(second.put_timeout([number.into(); 9], MOMENT)),
            Step::GetTimeout => drop(second.get_timeout(MOMENT)),
            Step::Reserve => slots.extend(first.try_reserve().ok()),
            Step::Hold => takens.extend(first.try_take().ok()),
            Step::Finish(which, is_end) => {
                if !slots.is_empty() && which % 2 == 0 {
                    let mut slot = slots.swap_remove(usize::from(which) % slots.len());
                    slot.fill(1);
                    if is_end { slot.commit() } else { drop(slot) }
                } else if !takens.is_empty() {
                    let taken = takens.swap_remove(usize::from(which) % takens.len());
                    std::hint::black_box(taken.iter().fold(0, |sum, word| sum ^ word));
                    if is_end { drop(taken) } else { taken.give_back() }
                }
            }
            Step::Ask => {
                assert!(second.len() <= 3 * second.capacity() + 16, "bounded by what it looks at");
                let _ = (second.is_empty(), second.is_full(), second.is_closed(), second.redelivered());
            }
            Step::Done => drop(second.try_put_many(&[[3; 9]; 4])),
            Step::Close => second.close(),
            Step::Renew => second = attach().unwrap_or_else(|_| first.clone()),
        }
    }
}

type Coded = (u32, Option<String>, Vec<u8>);

fn on_a_queue(queue: Queue<Coded>, input: &Input, file: &File) {
    let attach = || Queue::from_fd(queue.memory_fd().try_clone_to_owned().unwrap());
    let first = queue.clone();
    let mut second = queue.clone();
    let mut tasks: Vec<QueueTask<'_, _>> = Vec::new();
    let message =
        |number: u16| (number.into(), number.is_multiple_of(3).then(|| "text".into()), vec![1; number as usize % 400]);
    for step in &input.steps {
        match *step {
            Step::Scribble(scribble) => word(scribble).write(file),
            Step::Put(number) => drop(second.try_put(message(number))),
            Step::Get => drop(second.try_get()),
            Step::PutTimeout(number) => drop(second.put_timeout(message(number), MOMENT)),
            Step::GetTimeout => drop(second.get_timeout(MOMENT)),
            Step::Reserve | Step::Hold => tasks.extend(first.try_get_task().ok()),
            Step::Finish(which, is_end) => {
                if !tasks.is_empty() {
                    let task = tasks.swap_remove(usize::from(which) % tasks.len());
                    if is_end { drop(task) } else { task.give_back() }
                }
            }
            Step::Ask => {
                let _ = (second.len(), second.is_empty(), second.is_full(), second.is_closed(), second.redelivered());
                let _ = second.join_timeout(Duration::ZERO);
            }
            Step::Done => drop(second.task_done()),
            Step::Close => second.close(),
            Step::Renew => second = attach().unwrap_or_else(|_| first.clone()),
        }
    }
}

fuzz_target!(|input: Input| {
    let capacity = usize::from(input.capacity % 20) + 1;
    let meanwhile: Vec<Word> = input.meanwhile.iter().copied().map(word).collect();
    match input.kind {
        Kind::Ring => {
            let ring = Ring::new(capacity).unwrap();
            scribbled(&ring.clone().memory_fd(), &meanwhile, |file| on_a_ring(ring, &input, file));
        }
        Kind::Queue(is_long) => {
            let most = if is_long { 500 } else { 112 };
            let queue = Queue::builder().capacity(capacity).max_message(most).build().unwrap();
            scribbled(&queue.clone().memory_fd(), &meanwhile, |file| on_a_queue(queue, &input, file));
        }
    }
});
