//! How a pool's workers are started, as processes: each of them, also those that replace others.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::builder::PoolBuilder;
use crate::process::{ProcessBuilder, StartMethod, Stdio};

/// What workers find: as for a [`ProcessBuilder`], and the same for each, also for those that replace others.
impl PoolBuilder {
    /// `what` names it.
    fn with(mut self, what: &'static str, change: impl FnOnce(ProcessBuilder) -> ProcessBuilder) -> Self {
        self.of_workers.get_or_insert(what);
        self.process = change(self.process);
        self
    }

    /// What the workers are called, before a number (default: `Pool`).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, current};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).name("reader").start()?;
    /// assert_eq!(pool.apply(|| current().name().to_string(), ())?, "reader-1");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets a variable in the workers' environment, which otherwise is this process's at the time of each one's start.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).env("OMP_NUM_THREADS", "1").start()?;
    /// assert_eq!(pool.apply(|| std::env::var("OMP_NUM_THREADS").unwrap(), ())?, "1");
    /// # Ok(())
    /// # }
    /// ```
    pub fn env(self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.with("env", |process| process.env(name, value))
    }

    /// Removes a variable from the workers' environment.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).env_remove("PATH").start()?;
    /// assert!(!pool.apply(|| std::env::var_os("PATH").is_some(), ())?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn env_remove(self, name: impl AsRef<OsStr>) -> Self {
        self.with("env_remove", |process| process.env_remove(name))
    }

    /// Starts the workers from an empty environment; variables set before are forgotten, too.
    ///
    /// # Examples
    ///
    /// ```standalone_crate
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).env_clear().env("ONLY", "this").start()?;
    /// assert_eq!(pool.apply(|| std::env::vars_os().count(), ())?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn env_clear(self) -> Self {
        self.with("env_clear", ProcessBuilder::env_clear)
    }

    /// The directory that the workers start in (default: this process's at that time). A relative path is relative to that.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).current_dir("/").start()?;
    /// assert_eq!(pool.apply(|| std::env::current_dir().unwrap(), ())?, Path::new("/"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn current_dir(self, directory: impl Into<PathBuf>) -> Self {
        self.with("current_dir", |process| process.current_dir(directory))
    }

    /// Where the workers' standard input comes from (default: this process's): one [`Stdio`] for all of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Stdio};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).stdin(Stdio::null()).start()?;
    /// assert_eq!(pool.apply(|| std::io::read_to_string(std::io::stdin()).unwrap(), ())?, "");
    /// # Ok(())
    /// # }
    /// ```
    pub fn stdin(self, stream: impl Into<Stdio>) -> Self {
        self.with("stdin", |process| process.stdin(stream))
    }

    /// Where the workers' standard output goes to (default: this process's): one [`Stdio`] for all of them. The pool keeps a
    /// descriptor of it as long as it lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    /// use crossproc::Pool;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// crossproc::init();
    /// let (mut output, writer) = std::io::pipe()?;
    /// let pool = Pool::builder().workers(1).stdout(writer).start()?;
    /// pool.apply(|| println!("at work"), ())?;
    /// let mut line = [0; 8];
    /// output.read_exact(&mut line)?;
    /// assert_eq!(&line, b"at work\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn stdout(self, stream: impl Into<Stdio>) -> Self {
        self.with("stdout", |process| process.stdout(stream))
    }

    /// As [`stdout`](Self::stdout), for the workers' standard error.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Stdio};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).stderr(Stdio::null()).start()?;
    /// pool.apply(|| eprintln!("not heard"), ())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stderr(self, stream: impl Into<Stdio>) -> Self {
        self.with("stderr", |process| process.stderr(stream))
    }

    /// How the workers come into being (default: from the zygote, where there is one that can be used; otherwise by exec). Where one is
    /// asked for here, there is no other way; see [`ProcessBuilder::start_method`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Pool, StartMethod};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init(); // without a zygote
    /// let pool = Pool::builder().workers(1).start_method(StartMethod::Zygote).start();
    /// assert!(matches!(pool, Err(Error::Unsupported { .. })));
    /// let pool = Pool::builder().workers(1).start_method(StartMethod::Exec).start()?;
    /// assert_eq!(pool.apply(|| 7, ())?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_method(self, method: StartMethod) -> Self {
        self.with("start_method", |process| process.start_method(method))
    }
}
