//! The parent's half of a start.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::super::message;
use super::line::{self, Child};
use super::{PREPARE, Prepare, READY, START, Start, Zygote, of_this_process, why_none};
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::heritage::Heritage;
use crate::sys::spawn::{Started, Strings};
use crate::sys::{socket, zygote};

/// Starts a child of the zygote. Its answer will come to the socket, into which `send` puts what it is to do; once more into
/// another, if the first child turns out to have been killed. `environment` is asked for while a child is forked, or wakes up.
///
/// # Errors
///
/// Why it has to be an exec.
pub(in super::super) fn start(
    environment: impl Fn() -> Result<Strings>,
    directory: Option<&Path>,
    streams: [Option<BorrowedFd<'_>>; 3],
    send: impl Fn(BorrowedFd<'_>) -> Result<()>,
) -> Result<(Started, OwnedFd)> {
    let Some(known) = of_this_process().filter(|known| !known.is_gone.load(Ordering::Relaxed)) else {
        return Err(no_zygote());
    };
    let directory = open_directory(directory)?;
    let inherited = zygote::inherited_streams();
    let streams = [0, 1, 2].map(|number| streams[number].or(inherited[number]));
    let start = Start { streams: streams.map(|stream| stream.is_some()) };
    let descriptors: Vec<_> = [directory.as_fd()].into_iter().chain(streams.into_iter().flatten()).collect();

    // After a child that was of no use, the look comes first; where none waits, one is forked meanwhile.
    let mut preparation = None;
    let did_differ = known.did_differ.load(Ordering::Relaxed);
    if did_differ || !known.has_spare() {
        if !did_differ {
            known.ask_ahead();
        }
        preparation = Some(known.preparation(environment()?)?);
    }
    let mut tell = |child: &Child| {
        let control = child.control.as_fd();
        message::send(START, control, &start, &[], &descriptors)?;
        send(control)?;
        let (head, bytes) = match &mut preparation {
            Some(ready) => ready,
            none => none.insert(known.preparation(environment()?)?),
        };
        message::send(PREPARE, control, head, bytes, &[])?;
        wait_until_ready(child)
    };
    let mut fresh = 0;
    loop {
        let (child, is_spare) = known.next_child()?;
        match tell(&child) {
            Ok(()) => {
                known.ask_ahead();
                return Ok((child.started, child.control));
            }
            Err(error) => {
                child.end();
                fresh += u32::from(!is_spare);
                // Somebody has ended it while it waited.
                if !message::nobody_listens(&error) || fresh == MOST_FRESH {
                    return Err(error);
                }
            }
        }
    }
}

/// How many children that were forked for one start may end before it, a guess. Then there is a reason for it.
const MOST_FRESH: u32 = 3;

pub(super) fn failed(error: io::Error) -> Error {
    Error::os("start a process from the zygote", error)
}

pub(super) fn no_zygote() -> Error {
    Error::Unsupported { what: format!("starting a process from a zygote ({})", why_none()).into() }
}

impl Zygote {
    /// What the calling thread has, if the zygote's children have it, too, or can be given it.
    fn heritage_of_this_thread(&self) -> Result<Heritage> {
        let here = Heritage::of_this_thread().map_err(failed)?;
        let can_be_given = here.fixed == self.heritage.fixed && here.attributes.can_replace(&self.heritage.attributes);
        self.did_differ.store(!can_be_given, Ordering::Relaxed);
        if !can_be_given {
            let what =
                "starting a process from a zygote (it has other privileges, namespaces or settings than this thread)";
            return Err(Error::Unsupported { what: what.into() });
        }
        Ok(here)
    }

    /// What a child is to be given, and its environment, if it is not the zygote's.
    fn preparation(&self, environment: Strings) -> Result<(Prepare, Vec<u8>)> {
        let here = self.heritage_of_this_thread()?;
        let environment = Some(environment.into_bytes()).filter(|bytes| *bytes != self.environment.bytes());
        let prepare = Prepare {
            mask: here.mask,
            attributes: Some(here.attributes).filter(|attributes| *attributes != self.heritage.attributes),
            environment: environment.is_some(),
        };
        Ok((prepare, environment.unwrap_or_default()))
    }
}

/// Waits until the child says that it will do what it has been told.
fn wait_until_ready(child: &Child) -> Result<()> {
    let control = child.control.as_fd();
    line::wait_for(&[control], child.started.pidfd.as_fd(), Deadline::NEVER)?;
    match socket::receive(control) {
        Ok(Some((word, _))) if word == READY => Ok(()),
        _ => Err(failed(io::Error::from_raw_os_error(libc::EPIPE))),
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
