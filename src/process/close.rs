use super::handle::Process;
use super::registry;
use super::try_join_error::TryJoinError;
use crate::error::Exit;

impl<R> Process<R> {
    /// Lets go of a process that has ended: of its descriptors, and of its result, for which nobody can ask any more; says how
    /// it ended. A [`Child`](crate::Child) of it that is kept elsewhere keeps the descriptor that it needs.
    ///
    /// To drop it does as much, whether it has ended or not.
    ///
    /// # Errors
    ///
    /// [`TryJoinError::Running`] gives the process back if it has not ended. It fails in no other way.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Exit, Process, TryJoinError};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::thread::park, ())?;
    ///     let Err(TryJoinError::Running(process)) = process.close() else { panic!("it parks") };
    ///     process.kill()?;
    ///     process.wait();
    ///     assert_eq!(process.close()?, Exit::Signal(9));
    ///     Ok(())
    /// }
    /// ```
    pub fn close(self) -> Result<Exit, TryJoinError<R>> {
        match self.child().exit() {
            None => Err(TryJoinError::Running(self)),
            Some(exit) => {
                registry::forget(self.child());
                Ok(exit)
            }
        }
    }
}
