//! Models of the words, and the mutants that must fail them.

/// Models with a death before each of these steps: loom takes functions, which cannot bring a number along.
#[cfg(not(shuttle))]
macro_rules! deaths {
    ($model:ident: $($step:literal)*) => {
        [$({ fn at() { $model($step); } at as fn() }),*]
    };
}

#[cfg(not(shuttle))]
pub(crate) use deaths;

#[cfg(not(shuttle))]
mod barrier;
#[cfg(not(shuttle))]
mod condvar;
#[cfg(not(shuttle))]
mod errand;
#[cfg(not(shuttle))]
mod event;
#[cfg(not(shuttle))]
mod eventcount;
#[cfg(not(shuttle))]
mod flip;
#[cfg(not(shuttle))]
mod lock;
#[cfg(not(shuttle))]
mod peers;
#[cfg(not(shuttle))]
mod rlock;
#[cfg(not(shuttle))]
mod rwlock;
#[cfg(not(shuttle))]
mod semaphore;

use std::cell::Cell;
use std::panic;
use std::sync::Once;
use std::thread;

use crate::sys::{self, Mutant};

/// What was seen in all executions of a model.
pub(crate) struct Explored {
    /// Of all calls that were made.
    mutants: Vec<Mutant>,
    /// Whether a [`victim`] died in any of them.
    #[cfg_attr(shuttle, expect(dead_code, reason = "long lives end at random"))]
    has_killed: bool,
}

/// Explores a model; the message of the first execution that fails.
///
/// `effort`: for loom, how often an execution may switch away from a thread that could go on. Bounded model checking finds
/// nearly all bugs with 2 (Musuvathi and Qadeer, PLDI 2007). For shuttle, how many executions there are.
pub(crate) fn explore(mutant: Option<Mutant>, effort: usize, model: fn()) -> Result<Explored, String> {
    silence_mutants();
    // A thread of its own: loom does not clean up its thread-locals after a failure.
    let name = if mutant.is_some() { MUTANT } else { "model" };
    let exploration = thread::Builder::new().name(name.into()).spawn(move || {
        sys::activate(mutant);
        engine::check(model, effort);
        Explored { mutants: sys::possible_mutants().into_iter().collect(), has_killed: HAS_KILLED.get() }
    });
    exploration.unwrap().join().map_err(|payload| match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().unwrap_or(&"a panic").to_string(),
    })
}

// Plain, as both engines run all threads of a model on one thread of ours, and each exploration has a thread of its own.
thread_local! {
    static HAS_KILLED: Cell<bool> = const { Cell::new(false) };
}

/// [`Process::run`](sys::Process::run), noting whether it died.
#[cfg(not(shuttle))]
pub(crate) fn victim<R>(id: u32, death: Option<usize>, body: impl FnOnce() -> R) -> Option<R> {
    let ended = sys::Process::run(id, death, body);
    HAS_KILLED.set(HAS_KILLED.get() || ended.is_none());
    ended
}

/// Explores models with a death before each step, of which the last is one that the victim takes in no execution: the list
/// leaves no step out at its end.
#[cfg(not(shuttle))]
pub(crate) fn explore_deaths(effort: usize, deaths: &[fn()]) {
    let mut has_killed = true;
    for &death in deaths {
        has_killed = explore(None, effort, death).unwrap().has_killed;
    }
    assert!(!has_killed, "the victim takes more steps than are listed");
}

/// The effort for one of many large models that differ in when somebody dies: they take minutes, so that all of it is for
/// those who ask (`LONG_MODELS=1`).
#[cfg(not(shuttle))]
pub(crate) fn with_deaths(effort: usize) -> usize {
    if std::env::var_os("LONG_MODELS").is_some() { effort } else { effort.min(1) }
}

#[cfg(not(shuttle))]
mod engine {
    /// What is tried first.
    pub(super) const LITTLE: usize = 1;

    /// Every execution with so many preemptions.
    pub(super) fn check(model: fn(), preemptions: usize) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
    }
}

#[cfg(shuttle)]
mod engine {
    use std::thread;

    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, FailurePersistence, Runner};

    /// What is tried first.
    pub(super) const LITTLE: usize = 100;

    /// So many executions. One half goes on with any process at each step; the other half has priorities that change three
    /// times (Burckhardt et al., ASPLOS 2010): some processes hardly ever get a turn.
    pub(super) fn check(model: fn(), executions: usize) {
        let mut config = Config::new();
        config.silence_warnings = true;
        config.stack_size = 256 << 10; // panics are formatted there
        if thread::current().name() == Some(super::MUTANT) {
            config.failure_persistence = FailurePersistence::None;
        }
        Runner::new(RandomScheduler::new(executions.div_ceil(2)), config.clone()).run(model);
        Runner::new(PctScheduler::new(3, executions.div_ceil(2)), config).run(model);
    }
}

const MUTANT: &str = "mutant";

/// Failing is what mutants are for: no word of it on the terminal.
fn silence_mutants() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(MUTANT) {
                report(panic);
            }
        }));
    });
}

/// Each mutant of the protocol in these files must fail at least one of the models, all of which the protocol itself passes.
pub(crate) fn every_mutant_fails(files: &[&str], effort: usize, models: &[fn()]) {
    let survivors = survivors(files, effort, models);
    assert!(survivors.is_empty(), "these mutants pass every model: {survivors:#?}");
}

/// The mutants of the protocol in these files that pass all models. What can be mutated is found with little effort, and so
/// are most of those that fail.
pub(crate) fn survivors(files: &[&str], effort: usize, models: &[fn()]) -> Vec<Mutant> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for &model in models {
        mutants.extend(explore(None, engine::LITTLE, model).expect("the protocol itself passes").mutants);
    }
    mutants.retain(|mutant| files.iter().any(|file| mutant.file.ends_with(file)));
    mutants.sort();
    mutants.dedup();
    for file in files {
        let count = mutants.iter().filter(|mutant| mutant.file.ends_with(file)).count();
        assert!(count > 0, "no model reaches {file}");
        println!("{file}: {count} mutants");
    }
    let passes = |mutant, effort| models.iter().all(|&model| explore(Some(mutant), effort, model).is_ok());
    mutants.retain(|&mutant| passes(mutant, engine::LITTLE) && passes(mutant, effort));
    mutants
}
