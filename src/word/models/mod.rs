//! Loom models of the words, and the mutants that must fail them.

/// Models with a death before each of these steps: loom takes functions, which cannot bring a number along.
macro_rules! deaths {
    ($model:ident: $($step:literal)*) => {
        [$({ fn at() { $model($step); } at as fn() }),*]
    };
}

pub(crate) use deaths;

mod flip;
mod lock;
mod peers;

use std::panic;
use std::sync::Once;
use std::thread;

use crate::sys::{self, Mutant};

/// Explores a model; the message of the first execution that fails.
///
/// `preemptions`: how often an execution may switch away from a thread that could go on. Bounded model checking finds
/// nearly all bugs with 2 (Musuvathi and Qadeer, PLDI 2007).
pub(crate) fn explore(mutant: Option<Mutant>, preemptions: usize, model: fn()) -> Result<Vec<Mutant>, String> {
    silence_mutants();
    // A thread of its own: loom does not clean up its thread-locals after a failure.
    let name = if mutant.is_some() { MUTANT } else { "model" };
    let exploration = thread::Builder::new().name(name.into()).spawn(move || {
        sys::activate(mutant);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
        sys::possible_mutants().into_iter().collect()
    });
    exploration.unwrap().join().map_err(|payload| match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().unwrap_or(&"a panic").to_string(),
    })
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

/// Each mutant of the protocol in `file` must fail at least one of the models, all of which the protocol itself passes.
pub(crate) fn every_mutant_fails(file: &str, preemptions: usize, models: &[fn()]) {
    let mut mutants: Vec<Mutant> = Vec::new();
    for &model in models {
        mutants.extend(explore(None, preemptions, model).expect("the protocol itself passes"));
    }
    mutants.retain(|mutant| mutant.file.ends_with(file));
    mutants.sort();
    mutants.dedup();
    assert!(!mutants.is_empty(), "no model reaches {file}");
    let survivors: Vec<_> = mutants
        .iter()
        .filter(|mutant| models.iter().all(|&model| explore(Some(**mutant), preemptions, model).is_ok()))
        .collect();
    println!("{file}: {} mutants", mutants.len());
    assert!(survivors.is_empty(), "these mutants pass every model: {survivors:#?}");
}
