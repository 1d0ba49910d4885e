//! `Pool`: what is asked of it, what becomes of it, and what every death does.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "cli")]
mod bar;
mod callback_waits;
mod callbacks;
mod calls;
mod closings;
mod condemned;
mod copies;
mod deaths;
mod descriptors;
mod endings;
mod ends;
mod environment;
mod forks;
mod functions;
mod futures;
mod hostile;
mod initializers;
mod kills;
mod lazy;
mod leaks;
mod leaving;
mod limits;
mod loads;
mod maps;
mod newcomers;
mod orphans;
mod panics;
mod passing;
mod replacements;
mod scribbles;
mod starts;
mod tasks;
mod timeouts;
mod workers;

crossproc::test_support!();
