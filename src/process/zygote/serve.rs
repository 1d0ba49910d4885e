//! The zygote's half of a start, and the child's.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::de::DeserializeOwned;

use super::super::entry::{self, Child};
use super::super::message::{self, Received};
use super::super::protocol::REQUEST;
use super::{Answer, CHILD, PREPARE, Prepare, READY, START, Start};
use crate::error::{Error, Result};
use crate::message::codec::{pack, unpack};
use crate::sys::clock::Deadline;
use crate::sys::zygote::{self, Cloner, Side};
use crate::sys::{exit, heritage, pidfd, poll, socket, spin};

/// What a zygote does until its parent ends. It has one thread, and draws no random number (Z2, Z3).
pub(super) fn serve(socket: OwnedFd, parent: u32, cloner: &Cloner) -> ! {
    let Ok((socket, parent_end)) = zygote::settle(socket, parent) else { exit::now(1) };
    let own = std::process::id();
    warm_up();
    let gives_way = zygote::give_way();
    loop {
        // Whatever goes wrong here, the parent sees that there is no zygote any more, and goes on without.
        let Some(control) = next_request(socket.as_fd(), parent_end.as_fd()) else { exit::now(0) };
        let sent = match cloner.sibling() {
            Ok(Side::Copy) => {
                std::mem::forget((socket, parent_end)); // closed with all others
                wait_for_a_start(control, own, parent, gives_way)
            }
            Ok(Side::Original(child)) => {
                let started: Answer = Ok(child.pid);
                message::send(CHILD, socket.as_fd(), &started, &[], &[])
            }
            Err(error) => {
                let failed: Answer = Err(error.raw_os_error().unwrap_or(libc::EAGAIN));
                message::send(CHILD, socket.as_fd(), &failed, &[], &[])
            }
        };
        if sent.is_err() {
            exit::now(1);
        }
    }
}

/// A child's end of its socket. A parent that has other privileges ends without a signal to its zygote, and copies of it may have
/// the socket open.
fn next_request(socket: BorrowedFd<'_>, parent: BorrowedFd<'_>) -> Option<OwnedFd> {
    if poll::readable(&[socket, parent], Deadline::NEVER).ok()?.contains(&1) {
        return None;
    }
    socket::receive(socket).ok().flatten()?.1.pop()
}

/// What a spare does: nothing, until it is started, or its zygote ends (Z5).
fn wait_for_a_start(control: OwnedFd, zygote: u32, parent: u32, gives_way: bool) -> ! {
    let Ok(control) = zygote::keep_only(control) else { exit::now(1) };
    // A zygote that has ended keeps its number until the parent has collected it, which ends its spare first; but for one of
    // which it does not know, whose socket it has shut.
    let Ok(zygote) = pidfd::open(zygote) else { exit::now(0) };
    // Somebody may stop it, and then it does not see the end of the zygote.
    exit::die_with_parent(parent);
    let child = Child::new(control);
    let control = child.control();
    if gives_way {
        zygote::stop_giving_way();
    }
    let start = next::<Start>(START, control, zygote.as_fd()).unwrap_or_else(|_| exit::now(1));
    zygote::forget_signals();
    exit::outlive_parent();
    if socket::send(control, &[IoSlice::new(READY)], &[]).is_err() {
        exit::now(0);
    }
    be_born(start, child, zygote)
}

/// Does, with nothing, what every child does: so it is not each of them for which the C library has to look up what it calls.
fn warm_up() {
    let _ = spin::processors(); // a file of the kernel's says it
    if let Ok(nothing) = pack(REQUEST, &()) {
        let _ = unpack::<()>(REQUEST, &nothing.bytes, Vec::new());
    }
}

/// Makes this copy of the zygote what was asked for, and runs what its parent sends then.
fn be_born(mut start: Received<Start>, child: Child, zygote: OwnedFd) -> ! {
    let mut descriptors = std::mem::take(&mut start.descriptors).into_iter();
    let Some(directory) = descriptors.next() else { exit::now(1) };
    let streams = start.head.streams.map(|is_there| if is_there { descriptors.next() } else { None });
    let entered = zygote::enter(directory.as_fd());
    drop(directory);
    let Ok(zygote) = zygote::take_streams(streams, zygote) else { exit::now(1) };
    child.run(move |control| {
        let request = next(REQUEST, control, zygote.as_fd())?;
        look_out(control);
        let given = next(PREPARE, control, zygote.as_fd())?;
        drop(zygote);
        prepare(given, entered)?;
        entry::serve(request)
    })
}

/// How often to look for what comes in a moment before sleeping: 30 us, as long as it takes to be woken up. A guess.
const LOOKS: u32 = 60;

/// Looks whether there is a message, for a moment: the parent is about to send the rest, if it has a processor to itself.
fn look_out(control: BorrowedFd<'_>) {
    let looks = if spin::processors() > 1 { LOOKS } else { 0 };
    let _ = (0..looks).any(|_| matches!(socket::peek(control, &mut []), Ok(Some(_))));
}

/// The parent's next message. Ends this process if there is none, as the parent has given it up; or has died, and with it the
/// zygote: copies of the parent may have the other end of the socket, too (Z1, Z5).
fn next<H: DeserializeOwned>(
    what: &'static str,
    control: BorrowedFd<'_>,
    zygote: BorrowedFd<'_>,
) -> Result<Received<H>> {
    poll::readable(&[control, zygote], Deadline::NEVER)?;
    if let Some(message) = message::receive(what, control)? {
        return Ok(message);
    }
    // From now on the parent sees that there is nobody; but it may have been faster.
    zygote::stop_receiving(control);
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
