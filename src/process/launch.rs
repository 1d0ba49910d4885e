//! The parent's half of a start: everything is made ready, the request is put into the child's socket, and only then
//! is there a child.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::OnceLock;

use super::child::Child;
use super::function::Entry;
use super::launcher;
use super::message;
use super::own;
use super::protocol::{REQUEST, Request};
use super::registry;
use super::start_method::StartMethod;
use super::stdio::{Stdio, Streams};
use super::trampoline;
use super::zygote;
use crate::error::{Error, Result};
use crate::segment::handle::Parcel;
use crate::sys::spawn::{self, Caller, Command, Failure, Started, Step, Strings};
use crate::sys::{fork, program, socket};

/// What the builder collects.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) name: Option<String>,
    pub(super) daemon: bool,
    /// Whether to start from an empty environment.
    pub(super) clear_environment: bool,
    /// Variables to set, or to remove: `None`.
    pub(super) variables: BTreeMap<OsString, Option<OsString>>,
    pub(super) directory: Option<PathBuf>,
    pub(super) streams: [Stdio; 3],
    /// `None`: from the zygote, if that can be.
    pub(super) method: Option<StartMethod>,
    pub(super) crash: Option<(String, u32)>,
}

/// Starts a child that runs `entry` with the arguments in `parcel`; `function` names it in errors. Its answer will come
/// to the socket.
pub(super) fn launch(
    options: Options,
    entry: Entry,
    function: &'static str,
    parcel: &Parcel,
) -> Result<(Child, OwnedFd)> {
    // The child would not trust what it finds (`take_inherited`).
    if program::has_privileges_of_another() {
        return Err(Error::Unsupported { what: "starting processes with the privileges of another user".into() });
    }
    fork::prepare()?;
    let starting = registry::begin()?;
    let child = own::next_child(options.name);
    let request = Request {
        build: program::this()?.build.clone(),
        function: trampoline::offset_of(entry, function)?,
        child,
        daemon: options.daemon,
        parent_pid: std::process::id(),
        parent_name: own::identity().name.clone(),
        crash: options.crash,
    };
    let send = |here: BorrowedFd<'_>| message::send(REQUEST, here, &request, &parcel.bytes, &parcel.descriptors());
    let [input, output, errors] = options.streams;
    let streams = Streams([input.open()?, output.open()?, errors.open()?]);
    let directory = options.directory.clone().map(directory).transpose()?;
    let environment = || environment(options.clear_environment, &options.variables);
    let register = |started: Started| {
        let child = Child::new(started.pid, started.pidfd, request.child.name.clone(), options.daemon);
        starting.complete(child.clone());
        child
    };

    if options.method != Some(StartMethod::Exec) {
        match zygote::start(environment, options.directory.as_deref(), streams.borrow(), send) {
            Ok((started, here)) => return Ok((register(started), here)),
            Err(error) if options.method == Some(StartMethod::Zygote) => return Err(error),
            Err(_) => {}
        }
    }

    let (here, there) = socket::pair().map_err(|error| Error::os("create a socket pair", error))?;
    send(here.as_fd())?;
    let through_launcher = options.daemon && !spawn::on_main_thread();
    let prepared = Prepared {
        arguments: arguments(),
        environment: environment()?,
        directory,
        streams,
        control: there,
        daemon: options.daemon,
        caller: if through_launcher { Caller::elsewhere() } else { Caller::here() },
    };
    let started = if through_launcher { launcher::run(move || prepared.start()) } else { prepared.start() };
    Ok((register(started.map_err(|failure| explain(failure, options.directory))?), here))
}

/// All that the system call needs, in a form that another thread can take over.
struct Prepared {
    arguments: &'static Strings,
    environment: Strings,
    directory: Option<CString>,
    streams: Streams,
    control: OwnedFd,
    daemon: bool,
    caller: Caller,
}

impl Prepared {
    fn start(&self) -> Result<Started, Failure> {
        spawn::spawn(&Command {
            arguments: self.arguments,
            environment: &self.environment,
            directory: self.directory.as_deref(),
            streams: self.streams.borrow(),
            control: self.control.as_fd(),
            dies_with_thread: self.daemon,
            caller: &self.caller,
        })
    }
}

/// This program's arguments, which are its children's, too.
fn arguments() -> &'static Strings {
    static ARGUMENTS: OnceLock<Strings> = OnceLock::new();
    ARGUMENTS.get().unwrap_or_else(|| {
        let mut arguments = Strings::new();
        for argument in env::args_os() {
            arguments.push(&[argument.as_bytes()]);
        }
        fork::fill(&ARGUMENTS, arguments)
    })
}

pub(super) fn environment(clear: bool, changes: &BTreeMap<OsString, Option<OsString>>) -> Result<Strings> {
    let mut environment = Strings::new();
    if !clear {
        for (name, value) in env::vars_os().filter(|(name, _)| !changes.contains_key(name)) {
            environment.push(&[name.as_bytes(), b"=", value.as_bytes()]);
        }
    }
    for (name, value) in changes.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        // A name may begin with an equals sign; std takes it for part of the name, too.
        let valid = !name.is_empty()
            && !name.as_bytes()[1..].contains(&b'=')
            && !name.as_bytes().contains(&0)
            && !value.as_bytes().contains(&0);
        if !valid {
            return Err(invalid(format!("set environment variable {name:?} in a new process")));
        }
        environment.push(&[name.as_bytes(), b"=", value.as_bytes()]);
    }
    Ok(environment)
}

fn directory(path: PathBuf) -> Result<CString> {
    let attempt = format!("enter directory {path:?} in a new process");
    CString::new(path.into_os_string().into_vec()).map_err(|_| invalid(attempt))
}

fn invalid(attempt: String) -> Error {
    Error::os(attempt, io::Error::from_raw_os_error(libc::EINVAL))
}

fn explain(failure: Failure, directory: Option<PathBuf>) -> Error {
    let attempt: Cow<'static, str> = match failure.step {
        Step::Clone => "create a process".into(),
        // The parent is not the child's parent: not there to be seen, that is, as one that had ended could not read this.
        Step::DeathSignal if failure.error.raw_os_error() == Some(libc::ESRCH) => {
            "tie a new process to this one (it may have been put into another PID namespace)".into()
        }
        Step::DeathSignal => "tie a new process to this one".into(),
        Step::Descriptors => "arrange the descriptors of a new process".into(),
        Step::Directory => format!("enter directory {:?} in a new process", directory.unwrap_or_default()).into(),
        Step::Execute => format!("execute {}", spawn::PROGRAM.to_string_lossy()).into(),
    };
    Error::os(attempt, failure.error)
}
