//! crossproc side by side with what else moves messages and tasks between processes, in one run.
//!
//! ```console
//! cargo run --release --manifest-path compare/Cargo.toml                      # everything: some minutes
//! cargo run --release --manifest-path compare/Cargo.toml -- --quick           # only that everything works
//! cargo run --release --manifest-path compare/Cargo.toml -- "stream, 8 B" rtrb  # rows and rivals by their beginnings
//! ```
//!
//! Boost's rows need its headers (`libboost-dev`) and a C++ compiler when this is built.

mod contest;
mod leftovers;
mod many;
mod ours;
mod plan;
mod pool;
mod report;
mod rivals;
mod round_trip;
mod stream;
mod watchdog;
mod way;

#[path = "../../benches/common/mod.rs"]
mod common;

use std::process::ExitCode;

use plan::Plan;
use watchdog::Watchdog;

fn main() -> ExitCode {
    crossproc::init();
    procspawn::init();
    let plan = match Plan::from_args() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if plan.is_quick() {
        println!("quick: the figures mean nothing");
    }
    let _sweep = leftovers::Sweep;
    let watchdog = Watchdog::start();
    stream::run(&plan, &watchdog);
    round_trip::run(&plan, &watchdog);
    many::run(&plan, &watchdog);
    pool::run(&plan, &watchdog);
    ExitCode::SUCCESS
}
