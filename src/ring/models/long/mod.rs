//! Long lives of rings: many processes, some hundred messages, and in between processes that are killed and started anew,
//! that stop and go on, and that close. Random schedules, by shuttle; a failure prints the schedule that it was.

mod account;
mod bytes;
mod eventcount;
mod ready;
mod slots;

use std::env;

use shuttle::rand::{Rng, thread_rng};

use crate::sys::Process;
use crate::word::PeerId;

/// Executions of a model: so many, or what `EXECUTIONS` in the environment says.
fn executions(few: usize) -> usize {
    env::var("EXECUTIONS").map_or(few, |number| number.parse().unwrap())
}

/// A number below `end`, which belongs to the schedule.
fn any_below(end: usize) -> usize {
    thread_rng().gen_range(0..end)
}

/// A number of steps: mostly few, and at most what some tens of messages take.
fn some_steps() -> usize {
    any_below(40 << any_below(7))
}

/// Lets a process be stopped for a while, or not.
fn may_stop() {
    if any_below(3) == 0 {
        Process::stop_at(some_steps(), some_steps());
    }
}

/// The lives of a process in one place of the table of peers: so many that may end with a kill, and, if it `survives`, one more
/// that ends by itself.
///
/// How many were killed.
fn lives(slot: usize, kills: u32, survives: bool, mut life: impl FnMut(PeerId)) -> u32 {
    for killed in 0..kills + u32::from(survives) {
        let id = PeerId::new(slot, killed + 1);
        let death = (killed < kills).then(some_steps);
        let ended = Process::run(id.get(), death, || {
            may_stop();
            life(id);
        });
        if ended.is_some() {
            return killed;
        }
    }
    kills
}
