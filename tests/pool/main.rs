//! `Pool`: what is asked of it, what becomes of it, and what every death does.

#[path = "../common/mod.rs"]
mod common;

mod callbacks;
mod calls;
mod endings;
mod futures;
mod kills;
mod lazy;
mod maps;
mod passing;
mod tasks;
mod workers;

crossproc::test_support!();
