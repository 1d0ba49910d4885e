use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Exit;

/// How a process ended, in one word, so that a copy of this process that was forked in the middle finds no lock held.
///
/// | bits  | name  | meaning                                                   |
/// |-------|-------|-----------------------------------------------------------|
/// | 0-31  | VALUE | code or signal                                            |
/// | 32-33 | KIND  | 0 = not known to have ended, 1 code, 2 signal, 3 unknown  |
pub(super) struct ExitWord(AtomicU64);

impl ExitWord {
    /// Not known to have ended.
    pub(super) const fn new() -> Self {
        ExitWord(AtomicU64::new(0))
    }

    pub(super) fn get(&self) -> Option<Exit> {
        // Relaxed, here and in `set`: the word is all there is to say.
        let word = self.0.load(Ordering::Relaxed);
        let value = word as u32 as i32;
        match word >> 32 {
            0 => None,
            1 => Some(Exit::Code(value)),
            2 => Some(Exit::Signal(value)),
            _ => Some(Exit::Unknown),
        }
    }

    /// Known answers are all the same; `Unknown` replaces none.
    pub(super) fn set(&self, exit: Exit) -> Exit {
        let (kind, value) = match exit {
            Exit::Code(code) => (1, code),
            Exit::Signal(signal) => (2, signal),
            Exit::Unknown => (3, 0),
        };
        let word = kind << 32 | u64::from(value as u32);
        if exit == Exit::Unknown {
            let _ = self.0.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed);
        } else {
            self.0.store(word, Ordering::Relaxed);
        }
        self.get().unwrap_or(exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_is_itself_again() {
        for exit in [Exit::Code(0), Exit::Code(255), Exit::Signal(9), Exit::Signal(64), Exit::Unknown] {
            let word = ExitWord::new();
            assert_eq!((word.get(), word.set(exit), word.get()), (None, exit, Some(exit)));
        }
    }

    #[test]
    fn what_is_known_stays_known() {
        let word = ExitWord::new();
        assert_eq!(word.set(Exit::Unknown), Exit::Unknown);
        assert_eq!(word.set(Exit::Code(3)), Exit::Code(3));
        assert_eq!(word.set(Exit::Unknown), Exit::Code(3));
    }
}
