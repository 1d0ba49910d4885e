use std::any::type_name;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::entry;
use super::function::{Encoded, Function};
use super::handle::Process;
use super::launch::{self, Options};
use super::start_method::StartMethod;
use super::stdio::Stdio;
use crate::error::Result;

/// How a process is to be started, beyond its function and arguments. Several are started alike with clones.
///
/// # Examples
///
/// ```
/// use crossproc::Process;
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     let process = Process::builder()
///         .name("greeter")
///         .env("GREETING", "hello")
///         .spawn(|| std::env::var("GREETING").unwrap() + " from " + crossproc::current().name(), ())?;
///     assert_eq!(process.join()?, "hello from greeter");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder starts nothing until `spawn`"]
pub struct ProcessBuilder {
    options: Options,
}

impl ProcessBuilder {
    /// A builder that changes nothing yet; the same as [`Process::builder`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::ProcessBuilder;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let builder = ProcessBuilder::new();
    ///     assert_eq!(builder.spawn(|| 6 * 7, ())?.join()?, 42);
    ///     Ok(())
    /// }
    /// ```
    pub fn new() -> Self {
        ProcessBuilder::default()
    }

    /// Names the process, for [`current`](crate::current), for errors, and for people. Any text; names need not differ.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Process, current};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::builder().name("reader").spawn(|| current().name().to_string(), ())?;
    ///     assert_eq!(process.name(), "reader");
    ///     assert_eq!(process.join()?, "reader");
    ///     Ok(())
    /// }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Whether the process ends with this one (default: no).
    ///
    /// When this process exits, it sends its daemon children SIGTERM and, to those that remain after a second, SIGKILL;
    /// other children it waits for.
    ///
    /// When this process is killed, the kernel kills its daemon children, too, at once. That holds however soon it dies,
    /// and whichever thread started them; those executed for other threads than the main one are started through one
    /// thread that lives as long as the process. Only a child that changes its credentials escapes (see
    /// `PR_SET_PDEATHSIG` in prctl(2)).
    ///
    /// That one thread is made by the first such start. From the thread that calls `spawn`, a daemon has the signal mask,
    /// the affinity, the nice value and `no_new_privs`; but what else threads may have of their own (credentials, seccomp
    /// filters, scheduling class, namespaces, and a `no_new_privs` that only the launching thread has) comes from the
    /// launching thread. Who changes these for one thread starts daemons from the main thread.
    ///
    /// A daemon cannot be started into another PID namespace (after `unshare(CLONE_NEWPID)`), where it could not see
    /// whether its parent still lives; [`spawn`](Self::spawn) fails then.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     Process::builder().daemon(true).spawn(std::thread::park, ())?;
    ///     Ok(()) // does not wait for the daemon, which would never end
    /// }
    /// ```
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.options.daemon = daemon;
        self
    }

    /// Sets a variable in the child's environment, which otherwise is this process's at the time of `spawn`.
    ///
    /// # Examples
    ///
    /// See [`ProcessBuilder`].
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.options.variables.insert(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Removes a variable from the child's environment.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let is_set = || std::env::var_os("PATH").is_some();
    ///     let process = Process::builder().env_remove("PATH").spawn(is_set, ())?;
    ///     assert!(!process.join()?);
    ///     Ok(())
    /// }
    /// ```
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.options.variables.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Starts from an empty environment; variables set before are forgotten, too.
    ///
    /// # Examples
    ///
    /// ```standalone_crate
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let count = || std::env::vars_os().count();
    ///     let process = Process::builder().env_clear().env("ONLY", "this").spawn(count, ())?;
    ///     assert_eq!(process.join()?, 1);
    ///     Ok(())
    /// }
    /// ```
    pub fn env_clear(mut self) -> Self {
        self.options.variables.clear();
        self.options.clear_environment = true;
        self
    }

    /// The directory that the child starts in (default: this process's). A relative path is relative to that.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let here = || std::env::current_dir().unwrap();
    ///     let process = Process::builder().current_dir("/").spawn(here, ())?;
    ///     assert_eq!(process.join()?, Path::new("/"));
    ///     Ok(())
    /// }
    /// ```
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.options.directory = Some(directory.into());
        self
    }

    /// Where the child's standard input comes from; see [`Stdio`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Process, Stdio};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let read = || std::io::read_to_string(std::io::stdin()).unwrap();
    ///     let process = Process::builder().stdin(Stdio::null()).spawn(read, ())?;
    ///     assert_eq!(process.join()?, "");
    ///     Ok(())
    /// }
    /// ```
    pub fn stdin(mut self, stream: impl Into<Stdio>) -> Self {
        self.options.streams[0] = stream.into();
        self
    }

    /// Where the child's standard output goes to; see [`Stdio`].
    ///
    /// # Examples
    ///
    /// See [`Stdio`].
    pub fn stdout(mut self, stream: impl Into<Stdio>) -> Self {
        self.options.streams[1] = stream.into();
        self
    }

    /// Where the child's standard error goes to; see [`Stdio`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     crossproc::init();
    ///     let (errors, writer) = std::io::pipe()?;
    ///     let process = Process::builder().stderr(writer).spawn(|| eprint!("careful"), ())?;
    ///     assert_eq!(std::io::read_to_string(errors)?, "careful");
    ///     process.join()?;
    ///     Ok(())
    /// }
    /// ```
    pub fn stderr(mut self, stream: impl Into<Stdio>) -> Self {
        self.options.streams[2] = stream.into();
        self
    }

    /// How the process comes into being (default: from the zygote, where there is one that can be used; otherwise by exec).
    ///
    /// Where one is asked for here, there is no other way: where the zygote cannot be used, [`spawn`](Self::spawn) says why.
    /// See [`init_with_zygote`](crate::init_with_zygote).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Process, StartMethod};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init(); // without a zygote
    ///     let error = Process::builder().start_method(StartMethod::Zygote).spawn(|| (), ()).unwrap_err();
    ///     assert!(matches!(error, Error::Unsupported { .. }));
    ///     Process::builder().start_method(StartMethod::Exec).spawn(|| (), ())?.join()?;
    ///     Ok(())
    /// }
    /// ```
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.options.method = Some(method);
        self
    }

    /// Has the child kill itself when it first reaches the crash point; only in builds with `cfg(crash_points)`.
    #[cfg(crash_points)]
    pub fn crash_at(self, point: &str) -> Self {
        self.crash_at_nth(point, 0)
    }

    /// Has the child kill itself at the crash point after `passes` unharmed passes; only in builds with
    /// `cfg(crash_points)`.
    #[cfg(crash_points)]
    pub fn crash_at_nth(mut self, point: &str, passes: u32) -> Self {
        self.options.crash = Some((point.to_string(), passes));
        self
    }

    /// Starts the process; see [`Process::spawn`].
    ///
    /// # Errors
    ///
    /// Those of [`Process::spawn`], and [`Error::Os`](crate::Error::Os) that names the directory if the child cannot
    /// enter it, or the variable if it has a name or a value that no environment can hold.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let error = Process::builder().current_dir("/nowhere").spawn(|| (), ()).unwrap_err();
    ///     assert_eq!(error.to_string(), "cannot enter directory \"/nowhere\" in a new process");
    ///     Ok(())
    /// }
    /// ```
    pub fn spawn<F, S, P>(self, f: F, args: S) -> Result<Process<F::Output>>
    where
        F: Function<S, P>,
    {
        // First of all: it is the plainest of errors.
        entry::mode()?;
        let Encoded(parcel) = F::encode(&args)?;
        let (child, answer) = launch::launch(self.options, f.entry(), type_name::<F>(), &parcel)?;
        // Only now: a handle among them may be the last that keeps what the child has just been sent.
        drop(args);
        Ok(Process::new(child, answer))
    }
}
