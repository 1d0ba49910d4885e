//! Crash points: places at which a test may have the process killed.
//!
//! `crash_point!("lock.claimed")` is nothing unless the crate is built with `--cfg crash_points`. There, a process armed
//! with that name kills itself with SIGKILL when it arrives, so that a test sees exactly the state between two
//! instructions.

#[cfg(crash_points)]
mod armed {
    use std::sync::Mutex;

    /// The point this process dies at, and how many more times it passes it unharmed.
    static ARMED: Mutex<Option<(String, u32)>> = Mutex::new(None);

    pub(crate) fn arm(point: String, passes: u32) {
        *ARMED.lock().unwrap() = Some((point, passes));
    }

    pub(crate) fn reached(point: &str) {
        let mut armed = ARMED.lock().unwrap();
        match armed.as_mut() {
            Some((name, 0)) if name == point => crate::sys::exit::kill_self(),
            Some((name, passes)) if name == point => *passes -= 1,
            _ => {}
        }
    }
}

#[cfg(crash_points)]
pub(crate) use armed::{arm, reached};

macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(crash_points)]
        crate::fault::reached($name);
    };
}

pub(crate) use crash_point;
