//! A manager under a name, for as long as this process is wanted.

use std::fs;
use std::io::{self, Write};
use std::process::{self, ExitCode};

use crossproc::{Error, Manager};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::objects::say_why;

pub(crate) fn run(name: &str, existing: bool) -> io::Result<ExitCode> {
    // Before there is a name that a signal could leave behind.
    let mut signals = Signals::new(heeded()?)?;
    let made = if existing { Manager::open_or_create(name) } else { Manager::create(name) };
    let manager = match made {
        Ok(manager) => manager,
        Err(error) => {
            say_why(name, &error);
            return Ok(if is_about_the_name(&error) { ExitCode::from(2) } else { ExitCode::FAILURE });
        }
    };
    let mut output = io::stdout().lock();
    writeln!(output, "Manager::connect({name:?}) leads here until process {} ends", process::id())?;
    output.flush()?;
    drop(output);
    signals.forever().next();
    match manager.unlink() {
        // `crossproc rm` was faster, or another one that serves it.
        Ok(()) | Err(Error::NoSuchName { .. }) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            say_why(name, &error);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn is_about_the_name(error: &Error) -> bool {
    use Error::{Attach, InvalidName, NameTaken, PermissionDenied};
    matches!(error, NameTaken { .. } | InvalidName { .. } | PermissionDenied { .. } | Attach(_))
}

/// The signals that end this process, but for those that it was started to ignore: nohup(1) means what it says.
fn heeded() -> io::Result<Vec<i32>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let is_heeded = |signal: &i32| ignored & (1 << (signal - 1)) == 0;
    Ok([SIGINT, SIGTERM, SIGHUP].into_iter().filter(is_heeded).collect())
}
