//! `Pool`: what is asked of it, what becomes of it, and what every death does.

#[path = "../common/mod.rs"]
mod common;

mod callbacks;
mod copies;
mod descriptors;
mod endings;
mod kills;
mod panics;

crossproc::test_support!();
