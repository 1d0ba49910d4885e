//! The thread that looks after the workers: it hears what they ask for, notices deaths and time that has run out, and starts new
//! ones.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answers::{Answer, Answers};
use super::core::Core;
use super::desk::Desk;
use super::hub::{Hub, Phase, Started};
use super::mail::Question;
use super::staff::Worker;
use crate::error::{Error, Exit, TaskError};
use crate::process::{Process, note};
use crate::segment::handle::Parcel;
use crate::sys::clock::Deadline;
use crate::sys::poll;
use crate::word::errand::MOST_WORKERS;

/// How many starts in a row must fail before a pool without a worker that works gives up. A guess.
const MOST_FAILURES: u32 = 8;

/// How long it waits after the first failure; twice as long after each further one. Guesses.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Keeper {
    /// Workers started so far.
    started: u32,
    /// Starts in a row that have failed, and the last reason.
    failures: u32,
    last_failure: Option<Error>,
    /// When the next start may be.
    not_before: Option<Instant>,
    answers: Answers,
}

impl Keeper {
    /// Fills the places of all workers, and waits until they are ready; fails with the first that is not.
    pub(super) fn start_all(&mut self, core: &Arc<Core>) -> Result<(), Error> {
        for place in 0..core.options.workers {
            self.start(core, place)?;
        }
        while !core.hub().workers.iter().flatten().all(|worker| worker.socket.mail.is_ready) {
            let wake = self.mind_the_initializers(core, Deadline::NEVER);
            self.look(core, wake)?;
            if let Some(failure) = self.last_failure.take() {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Looks after the workers until there are none and none are needed.
    pub(super) fn run(mut self, core: &Arc<Core>) {
        loop {
            let wake = self.staff(core);
            if core.hub().workers.iter().all(Option::is_none) && !needs_workers(&core.hub()) {
                return;
            }
            // What fails for want of memory may succeed a moment later.
            if self.look(core, wake).is_err() {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Starts workers where there are none and some are needed; when to look again at the latest.
    fn staff(&mut self, core: &Arc<Core>) -> Deadline {
        let mut wake = self.mind_the_time(core);
        for place in 0..core.options.workers {
            if core.hub().workers[place].is_some() || !needs_workers(&core.hub()) {
                continue;
            }
            let pause = self.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
            if !pause.is_zero() {
                wake = wake.within(pause);
            } else if let Err(error) = self.start(core, place) {
                self.note_failure(core, error);
                wake = wake.within(PAUSE);
            }
        }
        self.mind_the_initializers(core, wake)
    }

    fn start(&mut self, core: &Core, place: usize) -> Result<(), Error> {
        self.started = self.started % MOST_WORKERS + 1;
        let worker = Worker::start(core, self.started, place)?;
        core.hub().enter(place, worker);
        Ok(())
    }

    fn note_failure(&mut self, core: &Core, error: Error) {
        self.failures += 1;
        let pause = PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.not_before = Some(Instant::now() + pause);
        let (mut left, mut ready) = (0, 0);
        for worker in core.hub().workers.iter().flatten() {
            (left, ready) = (left + 1, ready + usize::from(worker.socket.mail.is_ready));
        }
        // Those that are left are being started, and may fail by turns for ever.
        let is_hopeless = left == 0 || ready == 0 && self.failures as usize >= core.options.workers;
        if self.failures >= MOST_FAILURES && is_hopeless {
            core.end(&TaskError::BrokenPool { failures: self.failures, source: Box::new(error.clone()) });
        }
        self.last_failure = Some(error);
    }

    /// Waits for something to happen, and deals with it.
    fn look(&mut self, core: &Arc<Core>, deadline: Deadline) -> Result<(), Error> {
        let to_watch = |worker: &Worker| {
            let listens = !worker.socket.mail.has_ended && !self.answers.are_awaited_by(worker.number);
            (Arc::clone(&worker.socket.process), listens)
        };
        let processes: Vec<_> = core.hub().workers.iter().map(|worker| worker.as_ref().map(to_watch)).collect();
        let mut watched: Vec<BorrowedFd<'_>> = vec![core.alarm.as_fd()];
        let mut whose = vec![None];
        for (place, process) in processes.iter().enumerate() {
            let Some((process, listens)) = process else { continue };
            watched.push(process.as_fd());
            whose.push(Some((place, true)));
            if *listens {
                watched.push(process.control());
                whose.push(Some((place, false)));
            }
        }
        for index in poll::readable(&watched, deadline)? {
            match whose[index] {
                None => {
                    core.alarm.clear();
                    self.hear_what_is_there(core);
                }
                Some((place, false)) => self.hear(core, place),
                Some((place, true)) => {
                    self.hear(core, place);
                    if let Some(exit) = processes[place].as_ref().and_then(|(process, _)| process.exit()) {
                        self.bury(core, place, exit);
                    }
                }
            }
        }
        Ok(())
    }

    /// Hears those whose questions are not in their sockets any more, or who have just been answered.
    fn hear_what_is_there(&mut self, core: &Arc<Core>) {
        for (number, sent) in self.answers.finished() {
            note_answer(core, number, sent);
        }
        for place in 0..core.options.workers {
            let has_asked = |worker: &Worker| worker.socket.mail.has_questions();
            if core.hub().workers[place].as_ref().is_some_and(has_asked) {
                self.hear(core, place);
            }
        }
    }

    /// Takes in what a worker says, and answers what it asks.
    fn hear(&mut self, core: &Arc<Core>, place: usize) {
        let mut has_heard = false;
        while let Some((number, process, answer)) = core.with_hub(|hub| self.hear_next(hub, place, has_heard)) {
            has_heard = true;
            if let Some(sent) = self.answers.send(core, number, process, answer) {
                note_answer(core, number, sent);
            }
        }
    }

    /// Takes in the next question of a worker; whom to answer, and what, outside of the lock.
    fn hear_next(&mut self, hub: &mut Hub, place: usize, has_heard: bool) -> Option<(u32, Arc<Process<()>>, Answer)> {
        let mut worker = hub.workers[place].take()?;
        // Of one that is dead, all that it has said.
        if self.answers.are_awaited_by(worker.number) && worker.socket.process.exit().is_none() {
            hub.workers[place] = Some(worker);
            return None;
        }
        let (was_ready, taken) = (worker.socket.mail.is_ready, worker.socket.mail.taken);
        let question = worker.socket.listen();
        if worker.socket.mail.is_ready && !was_ready {
            (self.failures, self.not_before) = (0, None);
        }
        if worker.socket.mail.taken > taken {
            worker.relieve();
        }
        // One that has just said something is looked at again.
        worker.socket.mail.has_ended |= !has_heard && question.is_none() && note::is_at_end(worker.socket.as_fd());
        // What is not known any more belongs to a task that nobody wants.
        let answer = question.map(|question| match question {
            Question::Segment(number) => {
                Answer::Parcel(hub.segment(number).map(Parcel::of_segment).unwrap_or_default())
            }
            Question::Function(number) => Answer::Parcel(Parcel::of_bytes(hub.function(number))),
            Question::Load(cell) => hub.load(cell).map_or_else(|| Answer::Parcel(Parcel::default()), Answer::Load),
        });
        let asked = answer.map(|answer| (worker.number, Arc::clone(&worker.socket.process), answer));
        hub.workers[place] = Some(worker);
        asked
    }

    /// A worker has ended.
    fn bury(&mut self, core: &Core, place: usize, exit: Exit) {
        let failure = core.with_hub(|hub| {
            // All that it has sent, before what it has not.
            hub.collect_from(place, &core.board);
            let desk = Desk::of(&core.desks, place);
            if let Some(found) = desk.look() {
                hub.collect_desk(&found, &core.board);
            }
            desk.clear_up();
            let mut worker = hub.workers[place].take()?;
            core.board.set_running(place, 0);
            let (number, is_lost) = (worker.number, is_lost(&worker));
            let has_failed = !worker.socket.mail.is_ready && worker.verdict.is_none();
            let failure = has_failed.then(|| worker.start_error(exit, core.options.initializer.is_some()));
            let error = worker.outcome(exit);
            hub.lose(number, &core.board, &error, is_lost);
            hub.feed(&core.board, &core.orders);
            failure
        });
        core.stir();
        if let Some(error) = failure {
            self.note_failure(core, error);
        }
    }

    /// Kills those whose initializers have taken too long; when the next one's will have, or `wake`.
    fn mind_the_initializers(&mut self, core: &Arc<Core>, mut wake: Deadline) -> Deadline {
        let Some(limit) = core.options.initializer_limit else { return wake };
        for place in 0..core.options.workers {
            let left = || core.hub().workers[place].as_ref().and_then(Worker::time_left);
            if left() == Some(Duration::ZERO) {
                self.hear(core, place); // what it has said in time counts
            }
            match left() {
                None => {}
                Some(Duration::ZERO) => core.hub().workers[place].iter_mut().for_each(|worker| worker.time_out(limit)),
                Some(left) => wake = wake.within(left),
            }
        }
        wake
    }

    /// Whose answers are on their way, their tasks' time does not count.
    fn relieve_who_waits(&self, core: &Core) {
        let is_waiting = |worker: &&mut Worker| self.answers.are_awaited_by(worker.number);
        core.hub().workers.iter_mut().flatten().filter(is_waiting).for_each(Worker::relieve);
    }

    /// Kills those whose time has run out; when the next one's will have.
    fn mind_the_time(&mut self, core: &Arc<Core>) -> Deadline {
        let Some(limit) = core.options.time_limit else { return Deadline::NEVER };
        if core.hub().is_idle() {
            return Deadline::NEVER; // the next one to submit raises the alarm
        }
        self.relieve_who_waits(core);
        let is_over = |started: &Started| started.left(limit).is_zero();
        let over: Vec<_> = core.hub().started(&core.board).into_iter().filter(is_over).collect();
        if !over.is_empty() {
            // What they wait for may be this process, which may have been stopped, or in which nobody asks for results.
            over.iter().for_each(|started| self.hear(core, started.place));
            core.collect();
        }
        core.with_hub(|hub| {
            let mut wake = Deadline::after(limit);
            for started in hub.started(&core.board) {
                if over.contains(&started) {
                    let Started { cell, generation, worker, .. } = started;
                    hub.end_task(&core.board, cell, generation, worker, TaskError::TimedOut { task: 0 });
                } else {
                    wake = wake.within(started.left(limit));
                }
            }
            wake
        })
    }
}

/// A worker was sent an answer, or could not be.
fn note_answer(core: &Core, number: u32, sent: Result<(), Error>) {
    core.with_hub(|hub| {
        let Some(worker) = hub.workers.iter_mut().flatten().find(|worker| worker.number == number) else { return };
        worker.relieve();
        if let Err(error) = sent {
            worker.fail(TaskError::encode(&error));
        }
    });
}

/// Whether what a dead worker was at may be tried again: what was meant to end, and what panicked, is not.
fn is_lost(worker: &Worker) -> bool {
    worker.verdict.is_none() && worker.socket.mail.failure.is_none()
}

fn needs_workers(hub: &Hub) -> bool {
    match hub.phase {
        Phase::Open => true,
        Phase::Closed => !hub.is_idle(),
        Phase::Ended(_) => false,
    }
}
