//! Random operations on `Ring` and `Queue`, through several handles, against a row of positions.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::convert::Infallible;

use crossproc::{Error, Queue, QueueTask, Ring, Slot, Taken, TryGetError, TryPutError};
use proptest::prelude::*;

/// One step; handles, slots and messages in hand are counted round.
#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Get(usize),
    Take(usize),
    Finish(usize),
    GiveBack(usize),
    Reserve(usize),
    Commit(usize),
    Abandon(usize),
    Clone(usize),
    Look,
    Close(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    prop_oneof![
        8 => any().prop_map(Step::Put),
        6 => any().prop_map(Step::Get),
        4 => any().prop_map(Step::Take),
        3 => any().prop_map(Step::Finish),
        2 => any().prop_map(Step::GiveBack),
        3 => any().prop_map(Step::Reserve),
        2 => any().prop_map(Step::Commit),
        2 => any().prop_map(Step::Abandon),
        1 => any().prop_map(Step::Clone),
        3 => Just(Step::Look),
        1 => proptest::num::u8::ANY.prop_map(|n| if n < 32 { Step::Close(n.into()) } else { Step::Look }),
    ]
}

/// What stands at a position of the line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Writing,
    Ready(u64),
    /// Given back: got before or after those behind it.
    Again(u64),
    Reading(u64),
    Finished,
}

/// The positions from the first one that is not finished to the last one claimed.
#[derive(Default)]
struct Model {
    places: VecDeque<Place>,
    first: u64,
    capacity: usize,
    closed: bool,
}

impl Model {
    /// How many messages in hand stand before a place that is free; where the line has come round to it.
    fn passes(&self) -> Option<usize> {
        if self.places.len() < self.capacity {
            return Some(0);
        }
        let held = self.places.iter().take_while(|place| matches!(place, Place::Reading(_))).count();
        (self.places.get(held) == Some(&Place::Finished)).then_some(held)
    }

    fn is_full(&self) -> bool {
        self.passes().is_none()
    }

    fn claim(&mut self, place: Place) -> Result<u64, TryPutError<()>> {
        let is_full = self.is_full();
        // What is passed counts as a lap later.
        if let Some(held @ 1..) = self.passes() {
            self.places.rotate_left(held);
            self.first += held as u64;
            self.trim();
        }
        if is_full && !self.closed {
            return Err(TryPutError::Full(()));
        }
        // That it is closed is seen once a place is claimed.
        let position = self.first + self.places.len() as u64;
        if !is_full {
            self.places.push_back(place);
        }
        if self.closed {
            if !is_full {
                self.set(position, Place::Finished);
            }
            return Err(TryPutError::Closed(()));
        }
        Ok(position)
    }

    fn set(&mut self, position: u64, place: Place) {
        self.places[(position - self.first) as usize] = place;
        self.trim();
    }

    /// Ends the reading of a message, wherever it is by now.
    fn end_reading(&mut self, message: u64, place: Place) {
        let reading = self.places.iter_mut().find(|place| **place == Place::Reading(message));
        *reading.expect("it is being read") = place;
        self.trim();
    }

    fn trim(&mut self) {
        while self.places.front() == Some(&Place::Finished) {
            self.places.pop_front();
            self.first += 1;
        }
    }

    /// The messages that may be got next, by their positions: the next one in the line, and all that were given back.
    fn next(&self) -> Vec<(u64, u64)> {
        let until_writing = self.places.iter().take_while(|place| **place != Place::Writing);
        let mut fresh = false;
        let mut next = vec![];
        for (position, place) in (self.first..).zip(until_writing) {
            match *place {
                Place::Ready(message) if !fresh => {
                    fresh = true;
                    next.push((position, message));
                }
                Place::Again(message) => next.push((position, message)),
                _ => {}
            }
        }
        next
    }

    fn why_nothing(&self) -> TryGetError {
        if self.closed && self.places.is_empty() { TryGetError::Closed } else { TryGetError::Empty }
    }

    fn taken(&mut self, message: u64, place: Place) {
        let (position, _) = *self.next().iter().find(|(_, next)| *next == message).expect("a message out of its turn");
        self.set(position, place);
    }

    fn ready(&self) -> usize {
        self.places.iter().filter(|place| matches!(place, Place::Ready(_) | Place::Again(_))).count()
    }
}

/// What `Ring` and `Queue` have in common.
trait Line: Sized {
    type Guard<'a>
    where
        Self: 'a;
    type Reserved<'a>
    where
        Self: 'a;

    fn put(&self, message: u64) -> Result<(), TryPutError<()>>;
    fn get(&self) -> Result<u64, TryGetError>;
    fn take(&self) -> Result<(u64, Self::Guard<'_>), TryGetError>;
    fn give_back(guard: Self::Guard<'_>);
    /// Claims a place; `None` where that cannot be.
    fn reserve(&self) -> Option<Result<Self::Reserved<'_>, TryPutError<()>>>;
    fn commit(reserved: Self::Reserved<'_>, message: u64);
    /// Another handle, by one of two ways.
    fn another(&self, way: usize) -> Self;
    fn look(&self) -> (usize, bool, bool, bool);
    fn close(&self);
}

fn without<M>(error: TryPutError<M>) -> TryPutError<()> {
    match error {
        TryPutError::Full(_) => TryPutError::Full(()),
        TryPutError::Closed(_) => TryPutError::Closed(()),
        other => panic!("{other}"),
    }
}

impl Line for Ring<u64> {
    type Guard<'a> = Taken<'a, u64>;
    type Reserved<'a> = Slot<'a, u64>;

    fn put(&self, message: u64) -> Result<(), TryPutError<()>> {
        self.try_put(message).map_err(without)
    }

    fn get(&self) -> Result<u64, TryGetError> {
        self.try_get()
    }

    fn take(&self) -> Result<(u64, Taken<'_, u64>), TryGetError> {
        self.try_take().map(|taken| (*taken, taken))
    }

    fn give_back(guard: Taken<'_, u64>) {
        guard.give_back();
    }

    fn reserve(&self) -> Option<Result<Slot<'_, u64>, TryPutError<()>>> {
        Some(self.try_reserve())
    }

    fn commit(mut reserved: Slot<'_, u64>, message: u64) {
        reserved.write(message);
        reserved.commit();
    }

    fn another(&self, way: usize) -> Self {
        let from_fd = || Ring::from_fd(self.memory_fd().try_clone_to_owned().unwrap()).unwrap();
        if way.is_multiple_of(2) { self.clone() } else { from_fd() }
    }

    fn look(&self) -> (usize, bool, bool, bool) {
        (self.len(), self.is_empty(), self.is_full(), self.is_closed())
    }

    fn close(&self) {
        self.close();
    }
}

/// A number, and bytes that depend on it, some within a slot and some not.
type Message = (u64, Vec<u8>);

/// The most that a message may have.
const LIMIT: usize = 500;

fn message(number: u64) -> Message {
    (number, vec![number as u8; number as usize * 37 % 400])
}

impl Line for Queue<Message> {
    type Guard<'a> = QueueTask<'a, Message>;
    type Reserved<'a> = Infallible;

    fn put(&self, number: u64) -> Result<(), TryPutError<()>> {
        self.try_put(message(number)).map_err(without)
    }

    fn get(&self) -> Result<u64, TryGetError> {
        self.try_get().map(|got| {
            assert_eq!(got, message(got.0));
            got.0
        })
    }

    fn take(&self) -> Result<(u64, QueueTask<'_, Message>), TryGetError> {
        self.try_get_task().map(|task| (task.0, task))
    }

    fn give_back(guard: QueueTask<'_, Message>) {
        guard.give_back();
    }

    /// A message that is too large changes nothing.
    fn reserve(&self) -> Option<Result<Infallible, TryPutError<()>>> {
        match self.try_put((0, vec![0; LIMIT])) {
            Err(TryPutError::Failed { error: Error::TooLarge { .. }, .. }) => None,
            other => panic!("{other:?}"),
        }
    }

    fn commit(reserved: Infallible, _: u64) {
        match reserved {}
    }

    fn another(&self, way: usize) -> Self {
        let from_fd = || Queue::from_fd(self.memory_fd().try_clone_to_owned().unwrap()).unwrap();
        if way.is_multiple_of(2) { self.clone() } else { from_fd() }
    }

    fn look(&self) -> (usize, bool, bool, bool) {
        (self.len(), self.is_empty(), self.is_full(), self.is_closed())
    }

    fn close(&self) {
        self.close();
    }
}

const HANDLES: usize = 4;

fn run<L: Line>(capacity: usize, first: L, steps: Vec<Step>) {
    let handles: [OnceCell<L>; HANDLES] = Default::default();
    assert!(handles[0].set(first).is_ok());
    let handle = |n: usize| {
        let made = handles.iter().take_while(|handle| handle.get().is_some()).count();
        handles[n % made].get().unwrap()
    };
    let mut model = Model { capacity, ..Model::default() };
    let (mut taken, mut reserved) = (vec![], vec![]);
    for (number, step) in (0_u64..).zip(steps) {
        match step {
            Step::Put(n) => {
                let expected = model.claim(Place::Ready(number)).map(drop);
                assert_eq!(handle(n).put(number), expected);
            }
            Step::Get(n) => match handle(n).get() {
                Ok(message) => model.taken(message, Place::Finished),
                Err(why) => assert_eq!((model.next(), why), (vec![], model.why_nothing())),
            },
            Step::Take(n) => match handle(n).take() {
                Ok((message, guard)) => {
                    model.taken(message, Place::Reading(message));
                    taken.push((message, guard));
                }
                Err(why) => assert_eq!((model.next(), why), (vec![], model.why_nothing())),
            },
            Step::Finish(n) if !taken.is_empty() => {
                let (message, guard) = taken.swap_remove(n % taken.len());
                drop(guard);
                model.end_reading(message, Place::Finished);
            }
            Step::GiveBack(n) if !taken.is_empty() => {
                let (message, guard) = taken.swap_remove(n % taken.len());
                L::give_back(guard);
                model.end_reading(message, Place::Again(message));
            }
            Step::Reserve(n) => match handle(n).reserve().map(|found| (found, model.claim(Place::Writing))) {
                Some((Ok(slot), Ok(position))) => reserved.push((position, slot)),
                Some((found, expected)) => assert_eq!(found.map(drop), expected.map(drop)),
                None => {}
            },
            Step::Commit(n) if !reserved.is_empty() => {
                let (position, slot) = reserved.swap_remove(n % reserved.len());
                L::commit(slot, number);
                model.set(position, Place::Ready(number));
            }
            Step::Abandon(n) if !reserved.is_empty() => {
                let (position, slot) = reserved.swap_remove(n % reserved.len());
                drop(slot);
                model.set(position, Place::Finished);
            }
            Step::Clone(n) => {
                if let Some(free) = handles.iter().find(|handle| handle.get().is_none()) {
                    assert!(free.set(handle(n).another(n)).is_ok());
                }
            }
            Step::Close(n) => {
                handle(n).close();
                model.closed = true;
            }
            Step::Look | Step::Finish(_) | Step::GiveBack(_) | Step::Commit(_) | Step::Abandon(_) => {}
        }
        let ready = model.ready();
        let expected = (ready, ready == 0, model.is_full(), model.closed);
        for handle in handles.iter().filter_map(OnceCell::get) {
            assert_eq!(handle.look(), expected);
        }
    }
    reserved.into_iter().for_each(|(position, slot)| {
        drop(slot);
        model.set(position, Place::Finished);
    });
    taken.into_iter().for_each(|(message, guard)| {
        drop(guard);
        model.end_reading(message, Place::Finished);
    });
    while let Ok(message) = handle(0).get() {
        model.taken(message, Place::Finished);
    }
    assert!(model.places.is_empty(), "not got: {:?}", model.places);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ring_does_what_a_row_of_positions_does(capacity in 1..=7_usize, steps in steps()) {
        run(capacity, Ring::<u64>::new(capacity).unwrap(), steps);
    }

    #[test]
    fn a_queue_does_what_a_row_of_positions_does(capacity in 1..=7_usize, steps in steps()) {
        let queue = Queue::<Message>::builder().capacity(capacity).max_message(LIMIT).build().unwrap();
        run(capacity, queue, steps);
    }
}
