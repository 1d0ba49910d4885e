//! The zygote's half of a start, and the child's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::de::DeserializeOwned;

use super::super::entry;
use super::super::message::{self, Received};
use super::super::protocol::REQUEST;
use super::{Answer, PREPARE, Prepare, START, STARTED, Start};
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::zygote::{self, Cloner, Descriptors, Side};
use crate::sys::{exit, heritage, poll, socket};

/// What a zygote does until its parent ends. It has one thread, and draws no random number (Z2, Z3).
pub(super) fn serve(socket: OwnedFd, parent: u32, cloner: &Cloner) -> ! {
    let Ok(socket) = zygote::settle(socket, parent) else { exit::now(1) };
    loop {
        // Whatever goes wrong here, the parent sees that there is no zygote any more, and goes on without.
        let Some(start) = next_request(&socket) else { exit::now(0) };
        match cloner.sibling() {
            Ok(Side::Copy) => be_born(start, socket),
            Ok(Side::Original(child)) => {
                let started: Answer = Ok(child.pid);
                if message::send(STARTED, socket.as_fd(), &started, &[], &[child.pidfd.as_fd()]).is_err() {
                    exit::now(1);
                }
            }
            Err(error) => {
                let failed: Answer = Err(error.raw_os_error().unwrap_or(libc::EAGAIN));
                if message::send(STARTED, socket.as_fd(), &failed, &[], &[]).is_err() {
                    exit::now(1);
                }
            }
        }
    }
}

fn next_request(socket: &OwnedFd) -> Option<Received<Start>> {
    poll::readable(&[socket.as_fd()], Deadline::NEVER).ok()?;
    message::receive::<Start>(START, socket.as_fd()).ok()?
}

/// Makes this copy of the zygote what was asked for, and runs what its parent sends then.
fn be_born(mut start: Received<Start>, socket: OwnedFd) -> ! {
    drop(socket);
    let mut descriptors = std::mem::take(&mut start.descriptors).into_iter();
    let (Some(control), Some(directory)) = (descriptors.next(), descriptors.next()) else { exit::now(1) };
    let streams = start.head.streams.map(|is_there| if is_there { descriptors.next() } else { None });
    let entered = zygote::enter(directory.as_fd());
    drop(directory);
    let Ok(control) = Descriptors { control, streams }.keep_only() else { exit::now(1) };
    entry::run(control, move |control| {
        prepare(next(PREPARE, control)?, entered)?;
        let request = next(REQUEST, control)?;
        wait_to_be_known(control)?;
        entry::serve(request)
    })
}

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

/// As [`next`], for the word that the parent knows of this process.
fn wait_to_be_known(control: BorrowedFd<'_>) -> Result<()> {
    poll::readable(&[control], Deadline::NEVER)?;
    match socket::receive(control) {
        Ok(Some(_)) => Ok(()),
        _ => exit::now(0),
    }
}
