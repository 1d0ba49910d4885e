use std::sync::Arc;

use loom::cell::Cell;
use loom::thread::{self, JoinHandle};

use super::{deaths, every_mutant_fails, explore, with_deaths};
use crate::sys::Process;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::lock::{Acquired, Refused};
use crate::word::overtaken::{MOST_IN_A_ROW, Overtaken};
use crate::word::rwlock::{NotRead, Rw, RwWords};

/// A lock and what it guards; loom fails an execution in which somebody writes while another one is at it, or does not see
/// what the one before it has done.
struct Guarded {
    words: RwWords,
    readers: [AtomicU64; 3],
    writes: Cell<u32>,
    /// The victim writes, or died while it wrote. No part of the model: loom does not see it.
    is_half_written: std::cell::Cell<bool>,
}

impl Guarded {
    fn new() -> Arc<Self> {
        Guarded::overtaken(0)
    }

    fn overtaken(times: u64) -> Arc<Self> {
        let readers = [0; 3].map(AtomicU64::new);
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        Arc::new(Guarded {
            words: RwWords::overtaken(times),
            readers,
            writes: Cell::new(0),
            is_half_written: false.into(),
        })
    }

    fn rw(&self) -> Rw<'_> {
        Rw { words: &self.words, readers: &self.readers, liveness: &Liveness }
    }

    fn read(&self, id: PeerId) -> Result<Acquired, Refused> {
        self.look(id, self.rw().read(id, Deadline::Never, &Spin))
    }

    fn try_read(&self, id: PeerId) -> Result<Acquired, Refused> {
        self.look(id, self.rw().try_read(id))
    }

    /// A turn as a reader that has come in, or has not.
    fn look(&self, id: PeerId, read: Result<Acquired, NotRead>) -> Result<Acquired, Refused> {
        let acquired = read.map_err(|refusal| match refusal {
            NotRead::Refused(refused) => refused,
            NotRead::Corrupted(word) => panic!("{word:#x}"),
        })?;
        self.writes.get(); // loom checks that nobody writes
        self.rw().leave(id);
        Ok(acquired)
    }

    fn write(&self, id: PeerId) -> Result<Acquired, Refused> {
        self.write_until(id, Deadline::Never)
    }

    fn try_write(&self, id: PeerId) -> Result<Acquired, Refused> {
        let acquired = self.rw().try_write(id)?;
        self.writes.set(self.writes.get() + 1);
        self.rw().unwrite(acquired == Acquired::Dirty);
        Ok(acquired)
    }

    fn write_until(&self, id: PeerId, deadline: Deadline) -> Result<Acquired, Refused> {
        let acquired = self.rw().write(id, deadline, &Spin)?;
        self.writes.set(self.writes.get() + 1); // loom checks that nobody else is here
        self.rw().unwrite(acquired == Acquired::Dirty);
        Ok(acquired)
    }

    /// A turn of a victim, which may die while it writes.
    fn write_and_die(&self, id: PeerId) -> Result<Acquired, Refused> {
        let acquired = self.rw().write(id, Deadline::Never, &Spin)?;
        self.is_half_written.set(true);
        self.writes.set(self.writes.get() + 1);
        Liveness.is_dead(id.get()); // a step to die before
        self.is_half_written.set(false);
        self.rw().unwrite(acquired == Acquired::Dirty);
        Ok(acquired)
    }
}

fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

type Turn = fn(&Guarded, PeerId) -> Result<Acquired, Refused>;
type Contender = JoinHandle<Option<Result<Acquired, Refused>>>;

/// A contender as a process of its own; `None` if it died.
fn contend(guarded: &Arc<Guarded>, id: PeerId, death: Option<usize>, turn: Turn) -> Contender {
    let guarded = Arc::clone(guarded);
    thread::spawn(move || Process::run(id.get(), death, || turn(&guarded, id)))
}

const CLEAN: Option<Result<Acquired, Refused>> = Some(Ok(Acquired::Clean));

fn all_come_in(guarded: &Arc<Guarded>, turns: [Turn; 3], writers: u32) {
    let [first, second, third] = turns;
    let contenders = [contend(guarded, peer(0), None, first), contend(guarded, peer(1), None, second)];
    assert_eq!(Process::run(peer(2).get(), None, || third(guarded, peer(2))), CLEAN);
    for contender in contenders {
        assert_eq!(contender.join().unwrap(), CLEAN);
    }
    assert_eq!(guarded.writes.get(), writers);
}

fn a_writer_among_readers() {
    all_come_in(&Guarded::new(), [Guarded::read, Guarded::write, Guarded::read], 1);
}

fn a_reader_among_writers() {
    all_come_in(&Guarded::new(), [Guarded::write, Guarded::read, Guarded::write], 2);
}

/// The writers are to let the reader go first; or one that there is no more.
fn a_reader_that_has_been_overtaken() {
    let guarded = Guarded::overtaken(MOST_IN_A_ROW + 1);
    let writer = contend(&guarded, peer(0), None, Guarded::write);
    assert_eq!(Process::run(peer(1).get(), None, || guarded.read(peer(1))), CLEAN);
    assert_eq!(writer.join().unwrap(), CLEAN);
}

/// A reader that the writer may be letting go first gives up.
fn a_reader_gives_up() {
    let guarded = Guarded::overtaken(Overtaken::GIVEN_UP | (MOST_IN_A_ROW + 1));
    let impatient = |guarded: &Guarded, id| guarded.look(id, guarded.rw().read(id, Deadline::Passed, &Spin));
    let reader = contend(&guarded, peer(0), None, impatient);
    assert_eq!(Process::run(peer(1).get(), None, || guarded.write(peer(1))), CLEAN);
    assert!([CLEAN, Some(Err(Refused::Held))].contains(&reader.join().unwrap()));
}

/// Two threads of one process, one of which writes the process over what a dead owner of the place has left.
fn two_readers_of_one_process() {
    let guarded = Guarded::new();
    let predecessor = Process::run(peer(0).get(), None, || guarded.rw().try_read(peer(0)));
    assert_eq!(predecessor, Some(Ok(Acquired::Clean)));
    let successor = PeerId::new(0, 2);
    let writer = contend(&guarded, peer(1), None, Guarded::try_write);
    Process::run(successor.get(), None, || {
        let twin = thread::spawn({
            let guarded = Arc::clone(&guarded);
            move || guarded.read(successor)
        });
        guarded.read(successor).unwrap();
        twin.join().unwrap().unwrap();
    });
    writer.join().unwrap();
}

/// A dead reader's word is written off, while its successor counts there, and takes its count back when another thread of its
/// process has come in.
fn a_successor_where_a_dead_reader_is_written_off() {
    let guarded = Guarded::new();
    let predecessor = Process::run(peer(0).get(), None, || guarded.rw().try_read(peer(0)));
    assert_eq!(predecessor, Some(Ok(Acquired::Clean)));
    let successor = PeerId::new(0, 2);
    Process::run(successor.get(), None, || {
        let twin = thread::spawn({
            let guarded = Arc::clone(&guarded);
            move || guarded.try_read(successor).is_ok()
        });
        Process::run(peer(1).get(), None, || guarded.try_write(peer(1)));
        guarded.rw().try_read(successor).expect("no writer is there any more");
        twin.join().unwrap();
        let refused = Process::run(peer(2).get(), None, || guarded.try_write(peer(2)));
        assert_eq!(refused, Some(Err(Refused::Held)), "a reader is there");
        guarded.rw().leave(successor);
    });
}

/// A writer that does not wait keeps nobody else waiting.
fn a_writer_gives_up() {
    let guarded = Guarded::new();
    let impatient = contend(&guarded, peer(0), None, |guarded, id| guarded.write_until(id, Deadline::Passed));
    let writer = contend(&guarded, peer(1), None, Guarded::write);
    assert_eq!(Process::run(peer(2).get(), None, || guarded.read(peer(2))), CLEAN);
    assert_eq!(writer.join().unwrap(), CLEAN);
    let gave_up = impatient.join().unwrap() == Some(Err(Refused::Held));
    assert_eq!(guarded.writes.get(), 2 - u32::from(gave_up));
}

/// The same of those that only try.
fn some_try() {
    let guarded = Guarded::new();
    let writer = contend(&guarded, peer(0), None, Guarded::try_write);
    let reader = contend(&guarded, peer(1), None, Guarded::try_read);
    assert_eq!(Process::run(peer(2).get(), None, || guarded.write(peer(2))), CLEAN);
    writer.join().unwrap();
    reader.join().unwrap();
}

/// A reader that dies before its `step`-th step; a writer gets through, and the next owner of the place; nobody is told.
fn a_reader_dies_at(step: usize) {
    let guarded = Guarded::new();
    let victim = contend(&guarded, peer(0), Some(step), Guarded::read);
    let writer = contend(&guarded, peer(1), None, Guarded::write);
    victim.join().unwrap();
    let successor = PeerId::new(0, 2);
    assert_eq!(Process::run(successor.get(), None, || guarded.read(successor)), CLEAN);
    assert_eq!(writer.join().unwrap(), CLEAN);
}

/// A writer that dies before its `step`-th step; the two others get through, and are told if it had begun to write.
fn a_writer_dies_at(step: usize) {
    let guarded = Guarded::new();
    let victim = contend(&guarded, peer(0), Some(step), Guarded::write_and_die);
    let reader = contend(&guarded, peer(1), None, Guarded::read);
    let writer = Process::run(peer(2).get(), None, || guarded.write(peer(2))).unwrap().unwrap();
    let reader = reader.join().unwrap().unwrap().unwrap();
    let died = victim.join().unwrap().is_none();
    let told = [writer, reader].contains(&Acquired::Dirty);
    assert!(died || !told, "nobody died, and somebody is told so");
    // Nobody repairs: whoever comes now is told what the last one was, and of every write that was not finished.
    let last = Process::run(peer(1).get(), None, || guarded.read(peer(1))).unwrap().unwrap();
    assert!(!told || last == Acquired::Dirty, "told once, and then no more");
    assert!(!guarded.is_half_written.get() || last == Acquired::Dirty, "half written, and nobody is told");
}

/// A dead writer's lock: readers and a writer find it at the same time.
fn a_dead_writers_lock() {
    let guarded = Guarded::new();
    let held = Process::run(peer(0).get(), None, || guarded.rw().try_write(peer(0)));
    assert_eq!(held, CLEAN);
    let turns: [Turn; 2] = [Guarded::read, Guarded::read];
    let readers = [1, 2].map(|slot| contend(&guarded, peer(slot), None, turns[slot - 1]));
    let successor = PeerId::new(0, 2);
    let told = Process::run(successor.get(), None, || guarded.write(successor));
    assert_eq!(told, Some(Ok(Acquired::Dirty)));
    for reader in readers {
        assert_eq!(reader.join().unwrap(), Some(Ok(Acquired::Dirty)));
    }
}

const UNHARMED: [fn(); 9] = [
    a_writer_among_readers,
    a_reader_among_writers,
    a_reader_that_has_been_overtaken,
    a_reader_gives_up,
    two_readers_of_one_process,
    a_successor_where_a_dead_reader_is_written_off,
    a_writer_gives_up,
    some_try,
    a_dead_writers_lock,
];

/// More steps than a turn of the victim takes in nearly any execution with a few preemptions. One that looks and waits again and
/// again takes 47, and each list that goes on so far takes minutes.
const READERS_DEATHS: [fn(); 12] = deaths!(a_reader_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11);
const WRITERS_DEATHS: [fn(); 16] = deaths!(a_writer_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

#[test]
fn the_readers_writer_lock_excludes_and_loses_no_wake_up() {
    for model in UNHARMED {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn the_readers_writer_lock_survives_a_death_before_any_step() {
    for model in READERS_DEATHS.into_iter().chain(WRITERS_DEATHS) {
        explore(None, with_deaths(2), model).unwrap();
    }
}

#[test]
fn every_mutant_of_the_readers_writer_lock_fails() {
    every_mutant_fails(&["word/rwlock.rs"], 2, &UNHARMED);
}
