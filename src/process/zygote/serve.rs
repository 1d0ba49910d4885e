//! The zygote's half of a start, and the child's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::entry;
use super::super::message::{self, Received};
use super::{Answer, START, STARTED, Start};
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
    if start.head.environment {
        heritage::replace_environment(start.body());
    }
    let Start { mask, attributes, .. } = start.head;
    entry::run(control, move |control| {
        let prepared = entered.and_then(|()| attributes.map_or(Ok(()), |attributes| attributes.apply()));
        prepared.map_err(|error| Error::os("prepare a new process", error))?;
        heritage::block(mask);
        let request = entry::request(control)?;
        wait_to_be_known(control)?;
        entry::serve(request)
    })
}

/// Ends this process if its parent has given it up, or has died (Z1).
fn wait_to_be_known(control: BorrowedFd<'_>) -> Result<()> {
    poll::readable(&[control], Deadline::NEVER)?;
    match socket::receive(control) {
        Ok(Some(_)) => Ok(()),
        _ => exit::now(0),
    }
}
