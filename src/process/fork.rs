//! Plain forks, with a result.

#![allow(unsafe_code)]

use std::io::{self, Write};
use std::mem;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::child::Child;
use super::entry;
use super::function::Returned;
use super::handle::Process;
use super::own;
use super::registry;
use crate::error::{Error, Result};
use crate::sys::fork::{self, Forked};
use crate::sys::socket;

impl<R: Serialize + DeserializeOwned> Process<R> {
    /// Runs `f` in a forked copy of this process (fork(2)), which has all of its memory and all of its descriptors: `f` may
    /// capture what it likes, and need not be sent. For those who must; [`spawn`](Self::spawn) is for all others.
    ///
    /// The result, a panic, and how it ended come back as from any other process, and it is waited for at this process's
    /// exit. What `f` captures exists twice: the copy uses and drops one, and this process drops its own now.
    ///
    /// When `f` has returned, the copy exits as a program does, by `exit`: exit handlers run in it that this process had
    /// registered before. What this process had in the buffer of its standard output is written before the fork, once.
    ///
    /// Handles work on in the copy, which becomes a peer of its own when it first uses one. What this process has in hand it
    /// has alone: in the copy, guards are inert ([`Error::ForkedCopy`]), ends of channels and pipes are nobody's
    /// ([`Error::GivenAway`]), and children are somebody else's. Watches and the zygote stay behind.
    ///
    /// # Safety
    ///
    /// The copy has the calling thread and no other, but all memory as it was at that moment. What another thread had locked
    /// stays locked in it, and what one had half done stays half done: in the allocator, in libraries, in the program. If this
    /// process has other threads, then, `f` and the code that it comes to must keep to what is safe after a fork in a program
    /// with threads (signal-safety(7)), or know what these threads were doing. With glibc, memory can be allocated; no thread
    /// may be panicking.
    ///
    /// Whatever code relies on being the only one to have something, a temporary file that it will delete or a nonce, must not
    /// be used on both sides.
    ///
    /// # Errors
    ///
    /// [`Error::NotInitialised`], [`Error::Exiting`], and [`Error::Os`] if the system refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let table: Vec<u64> = (0..1000).collect();
    ///     // SAFETY: this process has one thread.
    ///     let process = unsafe { Process::fork(|| table.iter().sum::<u64>())? };
    ///     assert_eq!(process.join()?, 499_500);
    ///     Ok(())
    /// }
    /// ```
    pub unsafe fn fork(f: impl FnOnce() -> R) -> Result<Process<R>> {
        entry::mode()?;
        fork::prepare()?;
        let starting = registry::begin()?;
        let copy = own::next_child(None);
        let (here, there) = socket::pair().map_err(|error| Error::os("create a socket pair", error))?;
        // Held until after the fork: a copy that finds it locked by another thread could never print.
        let mut output = io::stdout().lock();
        let _ = output.flush();
        let parent = own::as_parent();
        // SAFETY: the caller's promise for `f`; what runs before it in the copy finds nothing of crossproc's locked, as forks
        // are kept away from it (`exclude`).
        match unsafe { fork::fork() } {
            Err(error) => Err(Error::os("fork this process", error)),
            Ok(Forked::Copy) => {
                drop((output, here));
                mem::forget(starting); // of a child of the original
                own::become_copy(copy, parent);
                entry::run(there, |_| Returned::of(&f()))
            }
            Ok(Forked::Original(started)) => {
                drop(output);
                let child = Child::new(started.pid, started.pidfd, copy.name, false);
                starting.complete(child.clone());
                Ok(Process::new(child, here))
            }
        }
    }
}
