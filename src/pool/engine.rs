//! A pool whose tasks are done at a server, instead of by workers of this process.

use super::builder::PoolBuilder;
use super::handle::Pool;
use super::unserved;
use crate::error::{Error, Result, without_password};
use crate::remote::address::Address;
use crate::remote::session::Session;
use crate::sys::program;

impl PoolBuilder {
    /// Has hosts do the work, wherever they run, instead of workers of this process: chunks go to a Redis or Valkey server, and whoever
    /// runs the same executable as a host at that server takes them. The command `crossproc worker --engine URL -- PROGRAM` starts one, in
    /// which [`init`](crate::init) never returns. The address is as for [`Manager::connect`](crate::Manager::connect). Only with the feature
    /// `redis`.
    ///
    /// Tasks wait until there is a host, however long that takes: [`Pool::hosts`] says how many there are. The very same executable means the
    /// same build, as the linker's build id says: a program that was compiled again is another one. A host says on standard error which build it
    /// is of, and of which other builds it finds tasks that nobody does.
    ///
    /// Each task has one outcome. What a host had in hands that is killed or not
    /// heard for as long as its lease (`lease_ms`) is given to another one: such tasks may be run twice. If a worker of a host dies, that is
    /// [`WorkerDied`](crate::TaskError::WorkerDied), and [`retries`](Self::retries) count as ever. What a server loses, which is
    /// restarted without what it had in memory, is [`Lost`](crate::TaskError::Lost) unless there are retries left. If the server cannot be
    /// reached for long (eight times its `timeout_ms`), the pool ends with [`BrokenPool`](crate::TaskError::BrokenPool). If this process
    /// dies, what hosts have not begun goes when its lease ends, as it does, and is lost, if it is stopped for that long; what is cancelled, and what a pool leaves that is dropped, goes at once,
    /// but for what a host has in hands: that is finished for nothing.
    ///
    /// [`workers`](Self::workers) says how many workers the hosts are taken to have (1 to 10,000; default: 32): sizes of chunks follow from
    /// it, and four times as many chunks are at the server. Handles of this machine in arguments or results are
    /// [`Encode`](crate::TaskError::Encode); those of a [`Manager`](crate::Manager) at a server travel. [`Pool::workers`](crate::Pool::workers) are none. What is said
    /// of how workers are started ([`env`](Self::env), [`stdout`](Self::stdout) ..), [`initializer`](Self::initializer),
    /// [`initializer_timeout`](Self::initializer_timeout), [`max_tasks_per_worker`](Self::max_tasks_per_worker) and
    /// [`task_timeout`](Self::task_timeout) are refused by [`start`](Self::start) as [`Error::Unsupported`], which names them.
    ///
    /// # Security
    ///
    /// Whoever can write at the server under this prefix can have every function of the program run on the hosts, with arguments of his
    /// choice, and can jump anywhere in its code; he can also say what has come of tasks. Use a server that asks for a password, `rediss://`
    /// where others could listen, and a user of its own for each program.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init(); // `crossproc worker --engine redis://10.0.0.1 -- ./squares` runs this program as a host
    /// let pool = Pool::builder().engine("redis://10.0.0.1").start()?;
    /// assert_eq!(pool.map(|n: u64| n * n, 0..1_000)?.len(), 1_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn engine(mut self, address: impl Into<String>) -> Self {
        self.engine = Some(address.into());
        self
    }

    /// Where the pool's server is; refuses what only workers of this process could do.
    pub(super) fn server(&self) -> Result<Option<Address>> {
        let Some(url) = &self.engine else { return Ok(None) };
        let said = [
            ("initializer", self.initializer.is_some()),
            ("initializer_timeout", self.initializer_limit.is_some()),
            ("max_tasks_per_worker", self.most_calls.is_some()),
            ("task_timeout", self.time_limit.is_some()),
        ];
        let refused = said.into_iter().find(|(_, is_said)| *is_said).map(|(what, _)| what).or(self.of_workers);
        if let Some(what) = refused {
            return Err(Error::Unsupported { what: format!("`{what}` in a pool with an engine").into() });
        }
        if !url.contains("://") {
            // It is not shown: there may be a password in it.
            let reason = "a pool's engine is a server by its URL, as in redis://localhost:6379/0; the name of a manager of this machine is none";
            return Err(Error::InvalidAddress { address: without_password(url), reason: reason.into() });
        }
        Address::parse(url).map(Some)
    }
}

impl Pool {
    /// How many hosts do this pool's tasks, or wait for some: processes at its [engine](PoolBuilder::engine) that run this very executable. 0 of
    /// a pool that has workers of its own. Only with the feature `redis`.
    ///
    /// One that has been killed, or is not heard, counts until its lease has ended. The answer may be stale when you read it.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](Error::Unreachable), [`Refused`](Error::Refused) by a server at which this user may not look.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// assert_eq!(Pool::new(1)?.hosts()?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn hosts(&self) -> Result<usize> {
        let Some(address) = &self.core.options.engine else { return Ok(0) };
        let session = Session::at(address)?;
        unserved::hosts(&session, &program::build_name()?).map(|hosts| hosts.len())
    }
}
