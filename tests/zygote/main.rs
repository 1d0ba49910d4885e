//! Children that are started from a zygote. A program of its own, as the zygote is made in the first line of `main`; and each
//! test has a program of its own, as many do something to it, or to its zygote, that others would notice.

#[path = "../common/mod.rs"]
mod common;

mod credentials;
mod facts;
mod life;
mod many;
mod orphan;
mod spare;
mod start;
mod zygotes;

use std::env;
use std::process::{Command, ExitCode};

use common::watchdog;

macro_rules! tests {
    ($($file:ident: $($test:ident)*;)*) => {
        &[$($((stringify!($test), $file::$test as fn())),*),*]
    };
}

const TESTS: &[(&str, fn())] = tests! {
    start:
        results_come_back
        failures_come_back
        children_are_copies_with_descriptors_of_their_own
        a_child_has_what_the_thread_that_starts_it_has
        a_child_has_its_parents_environment_with_changes
        a_long_environment_is_the_childs_own
        a_child_starts_in_the_directory_asked_for
        a_start_that_fails_leaves_no_child
        streams_go_where_they_are_sent
        null_streams_are_empty_and_swallow
        closed_streams_are_null
        a_child_ends_as_a_program_does
        children_share_no_seeds
        the_c_library_knows_the_childs_thread
        a_copy_of_a_child_is_told_apart
        a_process_knows_itself_and_its_parent;
    life:
        children_are_nobody_elses_to_wait_for
        a_killed_parent_takes_daemons_and_zygote_along
        an_exiting_parent_waits_for_its_children_and_leaves_no_zygote
        children_of_a_dead_zygote_are_executed
        each_function_runs_once_whenever_the_zygote_dies
        an_interrupt_of_all_leaves_the_zygote_alone
        a_request_that_cannot_be_sent_leaves_no_child
        processes_start_processes
        a_forked_copy_has_no_zygote
        there_is_one_zygote_made_first_of_all;
    orphan:
        a_child_that_its_parent_does_not_know_runs_nothing
        a_spare_that_its_parent_does_not_know_ends;
    spare:
        a_program_has_one_from_its_first_start_on
        a_start_does_without_one_that_was_killed
        it_forgets_the_signals_of_its_wait
        it_ends_with_its_zygote
        it_ends_with_its_parent
        a_stopped_one_ends_with_its_parent
        it_ends_with_a_parent_of_other_privileges
        a_start_continues_whoever_was_stopped
        a_start_without_a_descriptor_to_spare_loses_nobody
        threads_that_start_at_once_have_each_their_child;
    credentials:
        whoever_changes_what_only_exec_passes_on_gets_exec
        whoever_forbids_itself_new_code_gets_exec;
    many:
        children_start_among_threads_that_allocate_print_and_open;
};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if arguments.first() == Some(&life::AFTER_A_THREAD) {
        std::thread::spawn(std::thread::park);
    }
    if arguments == ["--one", start::ENDS] {
        print!("a word that waits: ");
    }
    crossproc::init_with_zygote();
    zygotes::note_zygote();
    match arguments[..] {
        ["--one", name] => {
            let _watchdog = watchdog();
            TESTS.iter().find(|(known, _)| *known == name).unwrap().1();
            ExitCode::SUCCESS
        }
        [life::AFTER_A_THREAD] => life::start_without_a_zygote(),
        [life::PARENT, role] => life::act_as_parent(role),
        _ if arguments.contains(&"--list") => {
            TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
            ExitCode::SUCCESS
        }
        _ => run_all(&arguments),
    }
}

/// Runs all tests, or those whose names contain one of the arguments.
fn run_all(arguments: &[&str]) -> ExitCode {
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(**part));
    let mut failed = 0;
    for (name, _) in TESTS.iter().filter(|(name, _)| is_wanted(name)) {
        let status = Command::new("/proc/self/exe").args(["--one", name]).status().unwrap();
        println!("test {name} ... {}", if status.success() { "ok" } else { "FAILED" });
        failed += u32::from(!status.success());
    }
    ExitCode::from(u8::from(failed > 0))
}
