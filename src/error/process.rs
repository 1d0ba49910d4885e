use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

/// How a process ended.
///
/// # Examples
///
/// ```
/// use crossproc::Exit;
///
/// assert!(Exit::Code(0).success());
/// assert_eq!(Exit::Signal(9).to_string(), "killed by signal 9");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It has ended, but somebody else collected its status (a handler for `SIGCHLD`, or `SIGCHLD` ignored) and the
    /// kernel no longer knows it.
    Unknown,
}

impl Exit {
    /// Whether it exited with code 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Exit;
    ///
    /// assert!(Exit::Code(0).success());
    /// assert!(!Exit::Code(1).success() && !Exit::Signal(15).success() && !Exit::Unknown.success());
    /// ```
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal(signal) => write!(f, "killed by signal {signal}"),
            Exit::Unknown => f.write_str("ended; its status is unknown"),
        }
    }
}

/// Why a process delivered no result.
///
/// # Examples
///
/// ```
/// use crossproc::{Exit, Process, ProcessError};
///
/// fn fail(reason: String) {
///     panic!("no luck: {reason}");
/// }
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     match Process::spawn(fail, ("rain",))?.join() {
///         Err(ProcessError::Panicked { message, .. }) => assert_eq!(message, "no luck: rain"),
///         other => panic!("{other:?}"),
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ProcessError {
    /// Its function panicked; it exited with code 101, as a Rust program does, or was aborted if the panic could not
    /// unwind.
    Panicked {
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
        /// The panic's message.
        message: String,
        /// `file:line:column` of the panic.
        location: String,
        /// The panic's backtrace, where `RUST_BACKTRACE` asks for one.
        backtrace: Option<String>,
    },

    /// It ended without a result: killed by a signal, or by a call of `std::process::exit`.
    Ended {
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
        /// How it ended.
        exit: Exit,
    },

    /// It ended before it had recognised that it was a child: the program ends before it calls `crossproc::init`, or its
    /// loader does, or the child was not its parent's equal (see [`init`](crate::init)).
    NeverStarted {
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
        /// How it ended.
        exit: Exit,
    },

    /// It was to work for a [`Pool`](crate::Pool), and what was to be run first returned an error.
    Initializer {
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
        /// What the error says.
        reason: String,
    },

    /// It was to work for a [`Pool`](crate::Pool), and ended before what was to be run first had returned: that called
    /// `std::process::exit`, say, or aborted.
    InitializerEnded {
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
        /// How it ended.
        exit: Exit,
    },

    /// It was to work for a [`Pool`](crate::Pool), and what was to be run first took longer than the pool allows
    /// ([`initializer_timeout`](crate::PoolBuilder::initializer_timeout)).
    InitializerTimedOut {
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
        /// What the pool allows.
        limit: Duration,
    },

    /// Its arguments or its result did not survive the journey.
    Failed {
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
        /// What went wrong; the text says it.
        #[serde(deserialize_with = "nested")]
        source: Box<crate::Error>,
    },
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::Panicked { name, pid, message, location, .. } => {
                write!(f, "process {name} ({pid}) panicked at {location}: {message}")
            }
            ProcessError::Ended { name, pid, exit } => {
                write!(f, "process {name} ({pid}) {exit} before it returned a result")
            }
            ProcessError::NeverStarted { name, pid, exit } => {
                write!(f, "process {name} ({pid}) {exit} before it reached `crossproc::init()`")
            }
            ProcessError::Initializer { name, pid, reason } => {
                write!(f, "the initializer of process {name} ({pid}) failed: {reason}")
            }
            ProcessError::InitializerEnded { name, pid, exit } => {
                write!(f, "process {name} ({pid}) {exit} before its initializer returned")
            }
            ProcessError::InitializerTimedOut { name, pid, limit } => {
                write!(f, "the initializer of process {name} ({pid}) has not returned after {limit:?}")
            }
            // With the errors behind it.
            ProcessError::Failed { name, pid, source } => {
                write!(f, "process {name} ({pid}) could not hand over its arguments or its result: {source:?}")
            }
        }
    }
}

/// Without a `source`: each text says all of it.
impl std::error::Error for ProcessError {}

/// More than processes start processes in earnest, a guess.
const MOST_LEVELS: u32 = 16;

/// Decodes the error inside an error, but not without end: a hostile process may send as many levels as there are
/// bytes, and each takes its share of our stack.
pub(super) fn nested<'de, D: Deserializer<'de>>(decoder: D) -> Result<Box<crate::Error>, D::Error> {
    thread_local! {
        static LEVEL: Cell<u32> = const { Cell::new(0) };
    }
    struct Entered;
    impl Drop for Entered {
        fn drop(&mut self) {
            LEVEL.set(LEVEL.get() - 1);
        }
    }
    if LEVEL.get() == MOST_LEVELS {
        return Err(de::Error::custom("an error within too many others"));
    }
    LEVEL.set(LEVEL.get() + 1);
    let _entered = Entered;
    Box::deserialize(decoder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, TaskError};

    fn of_a_process(source: Error) -> Error {
        ProcessError::Failed { name: "Process-1".into(), pid: 1, source: Box::new(source) }.into()
    }

    fn of_a_pool(source: Error) -> Error {
        TaskError::BrokenPool { failures: 8, source: Box::new(source) }.into()
    }

    #[test]
    fn errors_within_errors_are_decoded_to_a_limit() {
        for wrap in [of_a_process, of_a_pool] {
            let within = |levels: u32| {
                let error = (0..levels).fold(Error::Exiting, |source, _| wrap(source));
                postcard::to_stdvec(&error).unwrap()
            };
            assert!(postcard::from_bytes::<Error>(&within(MOST_LEVELS)).is_ok());
            assert!(postcard::from_bytes::<Error>(&within(MOST_LEVELS + 1)).is_err());
            assert!(postcard::from_bytes::<Error>(&within(MOST_LEVELS)).is_ok(), "after a refusal");
            // What a level adds to the bytes, a hundred thousand times: more than a stack holds.
            let (one, two) = (within(1), within(2));
            let level = &two[..two.len() - one.len()];
            assert!(postcard::from_bytes::<Error>(&level.repeat(100_000)).is_err());
        }
    }
}
