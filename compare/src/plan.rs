//! How much is to be measured, and what of it.

use std::time::Duration;

/// All rows, by what their names begin with.
const ROWS: [&str; 11] = [
    "stream, 8 B",
    "stream, 64 B",
    "stream, 1 KiB",
    "stream, 64 KiB",
    "stream, 1 MiB",
    "round trip, 8 B",
    "round trip, 1 KiB",
    "many, 8 B",
    "pool, map, default chunks",
    "pool, map, chunks of one",
    "pool, apply, one at a time",
];

/// All rivals, by what their names begin with.
const RIVALS: [&str; 11] = [
    "Boost",
    "iceoryx2",
    "ipc-channel",
    "raw_sync",
    "crossbeam",
    "rtrb",
    "pipe",
    "Unix stream socket",
    "rayon",
    "procspawn",
    "Python",
];

pub(crate) struct Plan {
    is_quick: bool,
    rows: Vec<String>,
    rivals: Vec<String>,
}

impl Plan {
    /// `--quick`: so little that it says nothing about speed, only that everything runs and checks itself. Other
    /// arguments name rows or rivals by what they begin with.
    ///
    /// # Errors
    ///
    /// An argument that names nothing.
    pub(crate) fn from_args() -> Result<Self, String> {
        let mut plan = Plan { is_quick: false, rows: Vec::new(), rivals: Vec::new() };
        for argument in std::env::args().skip(1) {
            let names_one =
                |names: &[&str]| names.iter().any(|name| begins(name, &argument) || begins(&argument, name));
            if argument == "--quick" {
                plan.is_quick = true;
            } else if names_one(&ROWS) {
                plan.rows.push(argument);
            } else if names_one(&RIVALS) {
                plan.rivals.push(argument);
            } else {
                return Err(format!("\"{argument}\" is none of --quick, {ROWS:?}, {RIVALS:?}"));
            }
        }
        Ok(plan)
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.is_quick
    }

    pub(crate) fn wants_row(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| begins(row, wanted))
    }

    pub(crate) fn wants_rival(&self, rival: &str) -> bool {
        self.rivals.is_empty() || self.rivals.iter().any(|wanted| begins(rival, wanted))
    }

    /// How often each rival has its turn beside one of ours.
    pub(crate) fn rounds(&self) -> usize {
        self.of(11, 2)
    }

    /// How long a turn should take, without its preparation.
    pub(crate) fn turn(&self) -> Duration {
        self.of(Duration::from_millis(60), Duration::from_millis(2))
    }

    pub(crate) fn of<T>(&self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

fn begins(text: &str, beginning: &str) -> bool {
    text.to_lowercase().starts_with(&beginning.to_lowercase())
}
