use std::fmt;

use serde::{Deserialize, Serialize};

use super::board::Board;

/// How far a [`Pool`](crate::Pool) has come, in calls.
///
/// It travels as other handles do: another process can look at the same counts, which are in shared memory, as long as it has this.
/// Each answer may be stale when it is read, and they do not have to add up at any moment.
///
/// # Examples
///
/// ```
/// use crossproc::Pool;
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let pool = Pool::new(2)?;
/// pool.map(|n: u32| n + 1, 0..100)?;
/// let progress = pool.progress();
/// assert_eq!((progress.queued(), progress.running(), progress.done(), progress.failed()), (0, 0, 100, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Progress {
    board: Board,
}

impl Progress {
    pub(super) fn new(board: Board) -> Self {
        Progress { board }
    }

    /// Calls that have been submitted and not begun.
    ///
    /// # Examples
    ///
    /// See [`Progress`].
    pub fn queued(&self) -> u64 {
        let [submitted, done, _] = self.board.counts();
        submitted.saturating_sub(done).saturating_sub(self.board.running())
    }

    /// Calls that workers have in hand: one each, or what each has of a chunk.
    ///
    /// # Examples
    ///
    /// See [`Progress`].
    pub fn running(&self) -> u64 {
        let [submitted, done, _] = self.board.counts();
        self.board.running().min(submitted.saturating_sub(done))
    }

    /// Calls that have an outcome.
    ///
    /// # Examples
    ///
    /// See [`Progress`].
    pub fn done(&self) -> u64 {
        self.board.counts()[1]
    }

    /// Those of them whose outcome is an error.
    ///
    /// # Examples
    ///
    /// See [`Progress`].
    pub fn failed(&self) -> u64 {
        self.board.counts()[2]
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("queued", &self.queued())
            .field("running", &self.running())
            .field("done", &self.done())
            .field("failed", &self.failed())
            .finish()
    }
}
