//! A hang becomes a failure that says whose turn it was.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::leftovers;

/// Hundreds of times what any turn takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Whose turn it is, and since when.
type Turn = Option<(String, Instant)>;

#[derive(Clone)]
pub(crate) struct Watchdog {
    turn: Arc<Mutex<Turn>>,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let watchdog = Watchdog { turn: Arc::default() };
        let watching = watchdog.clone();
        thread::spawn(move || watching.watch());
        watchdog
    }

    /// Has `turn` make its turn, within the limit.
    pub(crate) fn guard<R>(&self, name: &str, turn: impl FnOnce() -> R) -> R {
        self.set(Some((name.to_string(), Instant::now())));
        let result = turn();
        self.set(None);
        result
    }

    fn set(&self, turn: Turn) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    fn watch(&self) {
        loop {
            thread::sleep(LIMIT / 100);
            let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some((name, start)) = turn
                && start.elapsed() > LIMIT
            {
                eprintln!("{name} hangs: its turn has not ended for {LIMIT:?}");
                leftovers::remove();
                // The other processes are daemons, which end with this one.
                process::exit(1);
            }
        }
    }
}
