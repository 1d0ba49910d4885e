//! The zygote's half of a start, and the child's.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::super::entry::{self, Child};
use super::super::message::{self, Received};
use super::super::protocol::REQUEST;
use super::{Answer, CHILD, PREPARE, Prepare, READY, START, Start};
use crate::error::{Error, Result};
use crate::message::codec::{pack, unpack};
use crate::sys::clock::Deadline;
use crate::sys::zygote::{self, Cloner, Side};
use crate::sys::{exit, heritage, pidfd, poll, socket};

/// What a zygote does until its parent ends. It has one thread, and draws no random number (Z2, Z3).
pub(super) fn serve(socket: OwnedFd, parent: u32, cloner: &Cloner) -> ! {
    let Ok(socket) = zygote::settle(socket, parent) else { exit::now(1) };
    let own = std::process::id();
    warm_up();
    loop {
        // Whatever goes wrong here, the parent sees that there is no zygote any more, and goes on without.
        if !is_asked(socket.as_fd()) {
            exit::now(0);
        }
        let (answer, descriptors) = match socket::pair().and_then(|(here, there)| Ok((cloner.sibling()?, here, there)))
        {
            Ok((Side::Copy, here, there)) => {
                std::mem::forget((socket, here)); // closed with all others
                wait_for_a_start(there, own, parent)
            }
            Ok((Side::Original(child), here, _)) => (Ok(child.pid), vec![child.pidfd, here]),
            Err(error) => (Err(error.raw_os_error().unwrap_or(libc::EAGAIN)), Vec::new()),
        };
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        if message::send::<Answer>(CHILD, socket.as_fd(), &answer, &[], &descriptors).is_err() {
            exit::now(1);
        }
    }
}

fn is_asked(socket: BorrowedFd<'_>) -> bool {
    poll::readable(&[socket], Deadline::NEVER).is_ok() && matches!(socket::receive(socket), Ok(Some(_)))
}

/// What a spare does: nothing, until it is started, or its zygote ends (Z5).
fn wait_for_a_start(control: OwnedFd, zygote: u32, parent: u32) -> ! {
    let Ok(control) = zygote::keep_only(control) else { exit::now(1) };
    // A zygote that has ended keeps its number until the parent has collected it, which ends its spare first.
    let zygote = pidfd::open(zygote);
    let (Ok(zygote), true) = (zygote, std::os::unix::process::parent_id() == parent) else { exit::now(1) };
    let child = Child::new(control);
    let control = child.control();
    if poll::readable(&[control, zygote.as_fd()], Deadline::NEVER).is_err() {
        exit::now(1);
    }
    let take = || message::receive::<Start>(START, control).ok().flatten();
    let start = take().or_else(|| {
        // From now on the parent sees that there is nobody; but it may have been faster.
        zygote::refuse(control);
        take()
    });
    let Some(start) = start else { exit::now(0) };
    zygote::forget_signals();
    if socket::send(control, &[IoSlice::new(READY)], &[]).is_err() {
        exit::now(0);
    }
    std::mem::forget(zygote); // closed with all others
    be_born(start, child)
}

/// Does, with nothing, what every child does: so it is not each of them for which the C library has to look up what it calls.
fn warm_up() {
    if let Ok(nothing) = pack(REQUEST, &()) {
        let _ = unpack::<()>(REQUEST, &nothing.bytes, Vec::new());
    }
}

/// Makes this copy of the zygote what was asked for, and runs what its parent sends then.
fn be_born(mut start: Received<Start>, child: Child) -> ! {
    let mut descriptors = std::mem::take(&mut start.descriptors).into_iter();
    let Some(directory) = descriptors.next() else { exit::now(1) };
    let streams = start.head.streams.map(|is_there| if is_there { descriptors.next() } else { None });
    let entered = zygote::enter(directory.as_fd());
    drop(directory);
    if zygote::take_streams(streams).is_err() {
        exit::now(1);
    }
    child.run(move |control| {
        let request = next(REQUEST, control)?;
        zygote::linger(PATIENCE, || socket::peek(control, &mut []).is_ok_and(|length| length.is_some()));
        prepare(next(PREPARE, control)?, entered)?;
        entry::serve(request)
    })
}

/// How long a child looks for the last message before it sleeps: about as long as the parent takes to find out what it needs to
/// be told.
const PATIENCE: Duration = Duration::from_micros(100);

/// The parent's next message. Ends this process if there is none, as the parent has given it up, or has died (Z1).
fn next<H: DeserializeOwned>(what: &'static str, control: BorrowedFd<'_>) -> Result<Received<H>> {
    poll::readable(&[control], Deadline::NEVER)?;
    Ok(message::receive(what, control)?.unwrap_or_else(|| exit::now(0)))
}

/// Gives this process what the thread has that starts it. `entered`: whether it could enter its directory.
fn prepare(prepare: Received<Prepare>, entered: io::Result<()>) -> Result<()> {
    if prepare.head.environment {
        heritage::replace_environment(prepare.body());
    }
    let Prepare { mask, attributes, .. } = prepare.head;
    let prepared = entered.and_then(|()| attributes.map_or(Ok(()), |attributes| attributes.apply()));
    prepared.map_err(|error| Error::os("prepare a new process", error))?;
    heritage::block(mask);
    Ok(())
}
