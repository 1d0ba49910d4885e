//! The parent's half of a start.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::message;
use super::{Answer, GO, PREPARE, Prepare, START, STARTED, Start, Zygote, own};
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::heritage::Heritage;
use crate::sys::spawn::Started;
use crate::sys::{pidfd, poll, socket, zygote};

/// Has the zygote fork a child, with these bytes as its environment. Its answer will come to the socket, into which `send`
/// puts what it is to do.
///
/// # Errors
///
/// Why it has to be an exec.
pub(in super::super) fn start(
    environment: &[u8],
    directory: Option<&Path>,
    streams: [Option<BorrowedFd<'_>>; 3],
    send: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
) -> Result<(Started, OwnedFd)> {
    let Some(known) = own().filter(|known| !known.is_gone.load(Ordering::Relaxed)) else { return Err(no_zygote()) };
    if known.did_differ.load(Ordering::Relaxed) {
        known.heritage_of_this_thread()?;
    }
    let directory = open_directory(directory)?;
    let (control, there) = socket::pair().map_err(failed)?;
    let inherited = zygote::inherited_streams();
    let streams = [0, 1, 2].map(|number| streams[number].or(inherited[number]));
    let request = Start { streams: streams.map(|stream| stream.is_some()) };
    let own = [there.as_fd(), directory.as_fd()];
    let descriptors: Vec<_> = own.into_iter().chain(streams.into_iter().flatten()).collect();

    let socket = known.socket.lock().unwrap_or_else(PoisonError::into_inner);
    match message::send(START, socket.as_fd(), &request, &[], &descriptors) {
        Err(error) if !message::nobody_listens(&error) => return Err(error), // nothing has been sent
        Err(_) => return Err(known.bury()),
        Ok(()) => {}
    }
    // The zygote is at it.
    drop(there);
    let told = known.prepare(control.as_fd(), environment).and_then(|()| send(control.as_fd()));
    match (wait_for_answer(known, socket.as_fd()), told) {
        (Ok(Some((Ok(pid), Some(pidfd)))), Ok(())) => {
            // Now that it is known (Z1). One that has been killed already is not told.
            let _ = socket::send(control.as_fd(), &[IoSlice::new(GO)], &[]);
            Ok((Started { pid, pidfd }, control))
        }
        (Ok(Some((Ok(_), Some(pidfd)))), Err(error)) => {
            drop(control);
            end(pidfd.as_fd());
            Err(error)
        }
        (Ok(Some((Err(code), _))), told) => {
            Err(told.err().unwrap_or_else(|| failed(io::Error::from_raw_os_error(code))))
        }
        _ => Err(known.bury()),
    }
}

fn failed(error: io::Error) -> Error {
    Error::os("start a process from the zygote", error)
}

fn no_zygote() -> Error {
    Error::Unsupported { what: "starting a process from a zygote where there is none".into() }
}

/// How long a killed zygote, or child, may take to end, a guess.
const PATIENCE: Duration = Duration::from_secs(1);

/// `None` if the zygote has died.
fn wait_for_answer(known: &Zygote, socket: BorrowedFd<'_>) -> Result<Option<(Answer, Option<OwnedFd>)>> {
    // Its end of the socket may outlive it for a moment, in a child.
    poll::readable(&[socket, known.pidfd.as_fd()], Deadline::NEVER)?;
    let answer = message::receive::<Answer>(STARTED, socket)?;
    Ok(answer.map(|mut answer| (answer.head, answer.descriptors.pop())))
}

/// Ends a process, if it lives at all, and leaves no zombie.
fn end(process: BorrowedFd<'_>) {
    let _ = pidfd::signal(process, libc::SIGKILL);
    // Not for ever: a tracer may keep it.
    pidfd::wait(process, Deadline::after(PATIENCE));
    pidfd::reap(process);
}

impl Zygote {
    pub(super) fn bury(&self) -> Error {
        self.is_gone.store(true, Ordering::Relaxed);
        end(self.pidfd.as_fd());
        no_zygote()
    }

    /// What the calling thread has, if the zygote's children have it, too, or can be given it.
    fn heritage_of_this_thread(&self) -> Result<Heritage> {
        let here = Heritage::of_this_thread().map_err(failed)?;
        let differs = here.fixed != self.heritage.fixed;
        self.did_differ.store(differs, Ordering::Relaxed);
        if differs {
            let what = "starting a process from a zygote that has other privileges or namespaces";
            return Err(Error::Unsupported { what: what.into() });
        }
        Ok(here)
    }

    /// Tells a child what the calling thread has.
    fn prepare(&self, control: BorrowedFd<'_>, environment: &[u8]) -> Result<()> {
        let here = self.heritage_of_this_thread()?;
        let prepare = Prepare {
            mask: here.mask,
            attributes: Some(here.attributes).filter(|attributes| *attributes != self.heritage.attributes),
            environment: environment != self.environment.bytes(),
        };
        message::send(PREPARE, control, &prepare, if prepare.environment { environment } else { &[] }, &[])
    }
}

/// The directory to start in, if a child may enter it: whoever looks up the dot in it needs the same permission.
fn open_directory(directory: Option<&Path>) -> Result<OwnedFd> {
    let open = |path: &Path| OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path);
    let opened = match directory {
        None => open(Path::new(".")),
        Some(path) if path.as_os_str().is_empty() => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        Some(path) => open(&path.join(".")),
    };
    let attempt = || format!("enter directory {:?} in a new process", directory.unwrap_or(Path::new(".")));
    opened.map(File::into).map_err(|error| Error::os(attempt(), error))
}
