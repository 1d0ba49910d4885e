//! What each worker of a pool runs first.

use std::any::type_name;
use std::time::Duration;

use super::builder::PoolBuilder;
use crate::process::{Encoded, Function, offset_of_entry};
use crate::segment::transfer;

/// What each worker runs first.
impl PoolBuilder {
    /// A function that each worker runs first, also those that replace others; for what each is to have of its own (a
    /// connection, a random generator), or for handles that all tasks use.
    ///
    /// The arguments are encoded now and once: the handles in them are held as long as the pool is. What has one owner can go to
    /// one worker only. If the function panics, returns an `Err` or ends the process, that worker does not work; see [`start`](Self::start).
    ///
    /// One that limits what its worker may use sets `RLIMIT_DATA`, not `RLIMIT_AS`: what is shared takes address space, a
    /// [`Queue`](crate::Queue) of 1024 messages a GiB of it, and under such a limit tasks end with
    /// [`TaskError::Decode`](crate::TaskError::Decode), as their handles cannot be attached.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::OnceLock;
    /// use crossproc::{Pool, Value};
    ///
    /// static SUM: OnceLock<Value<u64>> = OnceLock::new();
    ///
    /// fn keep(sum: Value<u64>) {
    ///     SUM.get_or_init(|| sum);
    /// }
    ///
    /// fn add(number: u64) {
    ///     SUM.get().unwrap().update(|sum| sum + number);
    /// }
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let sum = Value::new(0)?;
    /// let pool = Pool::builder().workers(2).initializer(keep, (&sum,)).start()?;
    /// pool.map(add, 1..=10)?;
    /// assert_eq!(sum.get(), 55);
    /// # Ok(())
    /// # }
    /// ```
    pub fn initializer<F, S, P>(mut self, f: F, args: S) -> Self
    where
        F: Function<S, P>,
    {
        self.initializer = Some(offset_of_entry(f.entry(), type_name::<F>()).and_then(|offset| {
            let Encoded(mut parcel) = transfer::lasting(|| F::encode(&args))?;
            parcel.bytes.splice(0..0, offset);
            Ok(parcel)
        }));
        self
    }

    /// How long a worker may take until its initializer has returned, its own start included (monotonic; default: for ever). One that
    /// takes longer is killed.
    ///
    /// [`start`](Self::start) fails then. Later, when the worker was to replace another, it is as if its initializer had failed:
    /// the next one is started in its place, after a pause that grows up to a second. A pool in which no worker works gives up after
    /// enough failures in a row, eight at least, and its tasks end with [`TaskError::BrokenPool`](crate::TaskError::BrokenPool).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Error, Pool, ProcessError};
    ///
    /// # fn main() {
    /// crossproc::init();
    /// let limit = Duration::from_millis(20);
    /// let pool = Pool::builder().workers(1).initializer(std::thread::park, ()).initializer_timeout(limit).start();
    /// assert!(matches!(pool, Err(Error::Process(ProcessError::InitializerTimedOut { .. }))));
    /// # }
    /// ```
    pub fn initializer_timeout(mut self, limit: Duration) -> Self {
        self.initializer_limit = Some(limit);
        self
    }
}
