//! Any sequence of operations on a ring and on a queue, compared with a row of cells that does the same in plain sight.
//!
//! One process, several handles, no deaths: what a single thread may rely on.

#![no_main]

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::Arbitrary;
use crossproc::{Error, GetError, PutError, Queue, QueueTask, Ring, Slot, Taken, TryGetError, TryPutError};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    kind: Kind,
    capacity: u8,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Ring,
    /// The most encoded bytes of a message, and more.
    Queue(u8),
}

/// `handle`: which of some. `guard`: which of those that are held.
#[derive(Arbitrary, Debug)]
enum Operation {
    Put { handle: u8, length: u16, form: Form },
    PutMany { handle: u8, count: u8 },
    Get { handle: u8, form: Form },
    GetMany { handle: u8, most: u8 },
    Reserve { handle: u8, form: Form },
    Hold { handle: u8, form: Form },
    Finish { guard: u8, how: Finish },
    Done { handle: u8 },
    Ask { handle: u8 },
    Close { handle: u8 },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Form {
    Plain,
    Try,
    Timeout,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Finish {
    /// Commits, or frees.
    End,
    /// Drops, or gives back.
    Back,
}

/// What one position of the row is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Writing(u64),
    Ready(u64),
    /// Given back: may come at any time.
    Back(u64),
    Reading(u64),
    Finished,
}

/// The row, from the oldest position that is not finished to the newest.
struct Oracle {
    capacity: usize,
    cells: VecDeque<Cell>,
    is_closed: bool,
    next: u64,
    gots: usize,
}

#[derive(Debug, PartialEq)]
enum Refused {
    NotNow,
    Closed,
}

impl Oracle {
    /// How many messages in hand stand before a place that is free, where the row has come round to it.
    fn passes(&self) -> Option<usize> {
        if self.cells.len() < self.capacity {
            return Some(0);
        }
        let held = self.cells.iter().take_while(|cell| matches!(cell, Cell::Reading(_))).count();
        (self.cells.get(held) == Some(&Cell::Finished)).then_some(held)
    }

    fn is_full(&self) -> bool {
        self.passes().is_none()
    }

    /// Takes the next place. What is passed on the way counts as a lap later.
    fn claim(&mut self, cell: Cell) {
        if let Some(held @ 1..) = self.passes() {
            self.cells.rotate_left(held);
            self.trim();
        }
        self.cells.push_back(cell);
    }

    fn can_put(&self) -> Result<(), Refused> {
        match (self.is_closed, self.is_full()) {
            (true, _) => Err(Refused::Closed),
            (_, true) => Err(Refused::NotNow),
            _ => Ok(()),
        }
    }

    /// Whoever finds a slot and then a closed ring gives the slot up.
    fn claim_in_vain(&mut self) {
        if !self.is_full() {
            self.claim(Cell::Finished);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.cells.front() == Some(&Cell::Finished) {
            self.cells.pop_front();
        }
    }

    fn set(&mut self, from: Cell, to: Cell) {
        let cell = self.cells.iter_mut().find(|cell| **cell == from).expect("it is in the row");
        *cell = to;
        self.trim();
    }

    /// What can be got: the first that has never been got, and all that were given back, before the first that is being
    /// written.
    fn gettable(&self) -> Result<Vec<u64>, Refused> {
        let mut numbers = Vec::new();
        let mut has_next = false;
        for cell in &self.cells {
            match *cell {
                Cell::Writing(_) => break,
                Cell::Back(number) => numbers.push(number),
                Cell::Ready(number) if !has_next => {
                    has_next = true;
                    numbers.push(number);
                }
                _ => {}
            }
        }
        match numbers.is_empty() {
            false => Ok(numbers),
            true if self.is_closed && self.cells.is_empty() => Err(Refused::Closed),
            true => Err(Refused::NotNow),
        }
    }

    fn got(&mut self, number: u64, to: Cell) {
        let ready = Cell::Ready(number);
        let from = if self.cells.contains(&ready) { ready } else { Cell::Back(number) };
        self.set(from, to);
    }

    fn ready(&self) -> usize {
        self.cells.iter().filter(|cell| matches!(cell, Cell::Ready(_) | Cell::Back(_))).count()
    }

    fn is_busy(&self) -> bool {
        self.cells.iter().any(|cell| matches!(cell, Cell::Ready(_) | Cell::Back(_) | Cell::Reading(_)))
    }
}

enum Guard<'a> {
    Slot(u64, Slot<'a, Plain>),
    Taken(u64, Taken<'a, Plain>),
    Task(u64, QueueTask<'a, Coded>),
}

/// A number, and more than a cache line of it.
type Plain = [u64; 12];

/// A number, and some bytes of it.
type Coded = (u64, Vec<u8>);

fn coded(number: u64, length: u16) -> Coded {
    (number, vec![number as u8; (length % 600).into()])
}

fn number_of((number, bytes): &Coded) -> u64 {
    assert!(bytes.iter().all(|&byte| byte == *number as u8));
    *number
}

fn plain_number_of(plain: &Plain) -> u64 {
    assert!(plain.iter().all(|&word| word == plain[0]));
    plain[0]
}

fn put_refusal<M>(error: PutError<M>) -> Refused {
    match error {
        PutError::Closed(_) => Refused::Closed,
        other => panic!("{other}"),
    }
}

fn try_put_refusal<M>(error: TryPutError<M>) -> Refused {
    match error {
        TryPutError::Closed(_) => Refused::Closed,
        TryPutError::Full(_) => Refused::NotNow,
        other => panic!("{other}"),
    }
}

fn get_refusal(error: GetError) -> Refused {
    match error {
        GetError::Closed => Refused::Closed,
        other => panic!("{other}"),
    }
}

fn try_get_refusal(error: TryGetError) -> Refused {
    match error {
        TryGetError::Closed => Refused::Closed,
        TryGetError::Empty => Refused::NotNow,
        other => panic!("{other}"),
    }
}

/// The three forms of one operation; the plain one only where it does not wait for ever.
macro_rules! forms {
    ($form:expr, $would_wait:expr, $plain:expr, $refused:expr, $attempt:expr, $timeout:expr, $not_now:expr) => {
        match $form {
            Form::Plain if !$would_wait => $plain.map_err($refused),
            Form::Timeout => $timeout.map_err($not_now),
            _ => $attempt.map_err($not_now),
        }
    };
}

fn handles<H: Clone>(first: H, attach: impl FnOnce(&H) -> H) -> [H; 3] {
    let attached = attach(&first);
    [first.clone(), first, attached]
}

fn on_a_ring(capacity: usize, operations: &[Operation]) {
    let attach = |ring: &Ring<Plain>| Ring::from_fd(ring.memory_fd().try_clone_to_owned().unwrap()).unwrap();
    let rings = handles(Ring::new(capacity).unwrap(), attach);
    let mut oracle = Oracle { capacity, cells: VecDeque::new(), is_closed: false, next: 0, gots: 0 };
    let mut guards: Vec<Guard<'_>> = Vec::new();
    for operation in operations {
        let ring = |handle: u8| &rings[usize::from(handle) % rings.len()];
        let number = oracle.next;
        let would_wait = oracle.can_put() == Err(Refused::NotNow);
        let would_wait_to_get = oracle.gettable() == Err(Refused::NotNow);
        match *operation {
            Operation::Put { handle, form, .. } => {
                let ring = ring(handle);
                let put = forms!(
                    form,
                    would_wait,
                    ring.put([number; 12]),
                    put_refusal,
                    ring.try_put([number; 12]),
                    ring.put_timeout([number; 12], Duration::ZERO),
                    try_put_refusal
                );
                assert_eq!(put, oracle.can_put());
                put_or_given_up(&mut oracle, put, Cell::Ready(number));
            }
            Operation::PutMany { handle, count } => {
                let numbers: Vec<u64> = (number..number + u64::from(count)).collect();
                let messages: Vec<Plain> = numbers.iter().map(|&number| [number; 12]).collect();
                let put = ring(handle).try_put_many(&messages).map_err(try_put_refusal);
                if oracle.is_closed && count > 0 {
                    assert_eq!(put, Err(Refused::Closed));
                    oracle.claim_in_vain();
                } else {
                    let fits = numbers.iter().take_while(|&&number| {
                        let fits = !oracle.is_closed && !oracle.is_full();
                        if fits {
                            oracle.claim(Cell::Ready(number));
                        }
                        fits
                    });
                    assert_eq!(put, Ok(fits.count()));
                }
                oracle.next += u64::from(count);
            }
            Operation::Get { handle, form } => {
                let ring = ring(handle);
                let got = forms!(
                    form,
                    would_wait_to_get,
                    ring.get(),
                    get_refusal,
                    ring.try_get(),
                    ring.get_timeout(Duration::ZERO),
                    try_get_refusal
                );
                got_or_not(&mut oracle, got.map(|plain| plain_number_of(&plain)), |_| Cell::Finished);
            }
            Operation::GetMany { handle, most } => {
                if would_wait_to_get {
                    continue;
                }
                match ring(handle).get_many(most.into()) {
                    Ok(messages) => {
                        assert!(messages.len() <= most.into());
                        for message in &messages {
                            got_or_not(&mut oracle, Ok(plain_number_of(message)), |_| Cell::Finished);
                        }
                        assert!(messages.len() == usize::from(most) || oracle.gettable().is_err());
                    }
                    Err(error) => assert_eq!(Err(get_refusal(error)), oracle.gettable()),
                }
            }
            Operation::Reserve { handle, form } => {
                let ring = ring(handle);
                let slot = forms!(
                    form,
                    would_wait,
                    ring.reserve(),
                    put_refusal,
                    ring.try_reserve(),
                    ring.reserve_timeout(Duration::ZERO),
                    try_put_refusal
                );
                let reserved = slot.as_ref().map(|_| ()).map_err(|refused| match refused {
                    Refused::Closed => Refused::Closed,
                    Refused::NotNow => Refused::NotNow,
                });
                assert_eq!(reserved, oracle.can_put());
                put_or_given_up(&mut oracle, reserved, Cell::Writing(number));
                guards.extend(slot.map(|slot| Guard::Slot(number, slot)).ok());
            }
            Operation::Hold { handle, form } => {
                let ring = ring(handle);
                let taken = forms!(
                    form,
                    would_wait_to_get,
                    ring.take(),
                    get_refusal,
                    ring.try_take(),
                    ring.take_timeout(Duration::ZERO),
                    try_get_refusal
                );
                let (number, taken) = match taken {
                    Ok(taken) => (Ok(plain_number_of(&taken)), Some(taken)),
                    Err(refused) => (Err(refused), None),
                };
                let number = got_or_not(&mut oracle, number, Cell::Reading);
                guards.extend(number.zip(taken).map(|(number, taken)| Guard::Taken(number, taken)));
            }
            Operation::Finish { guard, how } => finish(&mut oracle, &mut guards, guard, how),
            Operation::Done { .. } => {}
            Operation::Ask { handle } => {
                let ring = ring(handle);
                let answers = (ring.len(), ring.is_empty(), ring.is_full(), ring.is_closed(), ring.redelivered());
                let ready = oracle.ready();
                assert_eq!(answers, (ready, ready == 0, oracle.is_full(), oracle.is_closed, 0));
            }
            Operation::Close { handle } => {
                ring(handle).close();
                oracle.is_closed = true;
            }
        }
    }
}

fn on_a_queue(capacity: usize, max_message: usize, operations: &[Operation]) {
    let attach = |queue: &Queue<Coded>| Queue::from_fd(queue.memory_fd().try_clone_to_owned().unwrap()).unwrap();
    let queues = handles(Queue::builder().capacity(capacity).max_message(max_message).build().unwrap(), attach);
    let mut oracle = Oracle { capacity, cells: VecDeque::new(), is_closed: false, next: 0, gots: 0 };
    let mut guards: Vec<Guard<'_>> = Vec::new();
    for operation in operations {
        let queue = |handle: u8| &queues[usize::from(handle) % queues.len()];
        let number = oracle.next;
        let would_wait = oracle.can_put() == Err(Refused::NotNow);
        let would_wait_to_get = oracle.gettable() == Err(Refused::NotNow);
        match *operation {
            Operation::Put { handle, form, length } => {
                let (queue, message) = (queue(handle), coded(number, length));
                let longest = 10 + 2 + message.1.len();
                if longest > max_message {
                    // Whether it is too long or the queue is closed, or which was looked at first: nothing is put.
                    match queue.try_put(&message) {
                        Err(TryPutError::Failed { error: Error::TooLarge { size, limit, .. }, .. }) => {
                            assert!(size > limit && limit == max_message);
                        }
                        Err(TryPutError::Closed(_)) => {
                            assert!(oracle.is_closed);
                            oracle.claim_in_vain();
                        }
                        Err(TryPutError::Full(_)) => assert!(oracle.is_full()),
                        Ok(()) => {
                            assert_eq!(oracle.can_put(), Ok(()));
                            put_or_given_up(&mut oracle, Ok(()), Cell::Ready(number));
                        }
                        Err(other) => panic!("{other}"),
                    }
                    continue;
                }
                let put = forms!(
                    form,
                    would_wait,
                    queue.put(&message),
                    put_refusal,
                    queue.try_put(&message),
                    queue.put_timeout(&message, Duration::ZERO),
                    try_put_refusal
                );
                assert_eq!(put, oracle.can_put());
                put_or_given_up(&mut oracle, put, Cell::Ready(number));
            }
            Operation::Get { handle, form } => {
                let queue = queue(handle);
                let got = forms!(
                    form,
                    would_wait_to_get,
                    queue.get(),
                    get_refusal,
                    queue.try_get(),
                    queue.get_timeout(Duration::ZERO),
                    try_get_refusal
                );
                let number = got_or_not(&mut oracle, got.map(|message| number_of(&message)), |_| Cell::Finished);
                oracle.gots += usize::from(number.is_some());
            }
            Operation::Hold { handle, form } => {
                let queue = queue(handle);
                let task = forms!(
                    form,
                    would_wait_to_get,
                    queue.get_task(),
                    get_refusal,
                    queue.try_get_task(),
                    queue.get_task_timeout(Duration::ZERO),
                    try_get_refusal
                );
                let (number, task) = match task {
                    Ok(task) => (Ok(number_of(&task)), Some(task)),
                    Err(refused) => (Err(refused), None),
                };
                let number = got_or_not(&mut oracle, number, Cell::Reading);
                guards.extend(number.zip(task).map(|(number, task)| Guard::Task(number, task)));
            }
            Operation::Finish { guard, how } => finish(&mut oracle, &mut guards, guard, how),
            Operation::Done { handle } => match queue(handle).task_done() {
                Ok(()) => oracle.gots = oracle.gots.checked_sub(1).expect("something was to be done"),
                Err(error) => assert!(matches!(error, Error::NothingToBeDone { .. }) && oracle.gots == 0),
            },
            Operation::Ask { handle } => {
                let queue = queue(handle);
                let answers = (queue.len(), queue.is_empty(), queue.is_full(), queue.is_closed(), queue.redelivered());
                let ready = oracle.ready();
                assert_eq!(answers, (ready, ready == 0, oracle.is_full(), oracle.is_closed, 0));
                let is_done = oracle.gots == 0 && !oracle.is_busy();
                assert_eq!(queue.join_timeout(Duration::ZERO), is_done);
            }
            Operation::Close { handle } => {
                queue(handle).close();
                oracle.is_closed = true;
            }
            Operation::PutMany { .. } | Operation::GetMany { .. } | Operation::Reserve { .. } => {}
        }
    }
}

fn put_or_given_up(oracle: &mut Oracle, put: Result<(), Refused>, cell: Cell) {
    oracle.next += 1;
    match put {
        Ok(()) => oracle.claim(cell),
        Err(Refused::Closed) => oracle.claim_in_vain(),
        Err(Refused::NotNow) => {}
    }
}

fn got_or_not(oracle: &mut Oracle, got: Result<u64, Refused>, to: impl Fn(u64) -> Cell) -> Option<u64> {
    match (got, oracle.gettable()) {
        (Ok(number), Ok(expected)) => {
            assert!(expected.contains(&number), "got {number}, expected one of {expected:?}");
            oracle.got(number, to(number));
            Some(number)
        }
        (Err(refused), Err(expected)) => {
            assert_eq!(refused, expected);
            None
        }
        (got, expected) => panic!("got {got:?}, expected {expected:?}"),
    }
}

fn finish(oracle: &mut Oracle, guards: &mut Vec<Guard<'_>>, guard: u8, how: Finish) {
    if guards.is_empty() {
        return;
    }
    let guard = guards.swap_remove(usize::from(guard) % guards.len());
    match (guard, how) {
        (Guard::Slot(number, mut slot), Finish::End) => {
            slot.fill(number);
            slot.commit();
            oracle.set(Cell::Writing(number), Cell::Ready(number));
        }
        (Guard::Slot(number, slot), Finish::Back) => {
            drop(slot);
            oracle.set(Cell::Writing(number), Cell::Finished);
        }
        (Guard::Taken(number, taken), how) => {
            assert_eq!(plain_number_of(&taken), number);
            if how == Finish::End {
                drop(taken)
            } else {
                taken.give_back()
            }
            finished_reading(oracle, number, how);
        }
        (Guard::Task(number, task), how) => {
            if how == Finish::End {
                drop(task)
            } else {
                task.give_back()
            }
            finished_reading(oracle, number, how);
        }
    }
}

fn finished_reading(oracle: &mut Oracle, number: u64, how: Finish) {
    let to = if how == Finish::End { Cell::Finished } else { Cell::Back(number) };
    oracle.set(Cell::Reading(number), to);
}

fuzz_target!(|input: Input| {
    let capacity = usize::from(input.capacity % 20) + 1;
    match input.kind {
        Kind::Ring => on_a_ring(capacity, &input.operations),
        Kind::Queue(most) => on_a_queue(capacity, usize::from(most) * 3, &input.operations),
    }
});
