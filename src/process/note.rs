//! What a parent and its child say to each other while the child's function runs.

use std::os::fd::BorrowedFd;
use std::time::Duration;

pub(crate) use super::message::Begun;
use super::message::{self, Received};
pub(crate) use super::protocol::Panic;
use super::protocol::{ANSWER, Answer};
use crate::error::{Error, OsError, Result};
use crate::segment::handle::Parcel;
use crate::sys::clock::Deadline;
use crate::sys::{poll, socket};

/// What has come through a socket.
pub(crate) enum Heard {
    /// The child has recognised itself.
    Hello,
    Note(Received<()>),
    /// The child's last words.
    Panicked(Panic),
    /// Why the child's function never ran, or did not get rid of its result.
    Failed(Error),
    /// The child's function has returned.
    Returned,
}

/// Sends a note with the handles that were packed with it. Does not wait before it begins.
pub(crate) fn send(socket: BorrowedFd<'_>, parcel: &Parcel) -> Result<()> {
    message::send_to_reader(ANSWER, socket, &Answer::Note, &parcel.bytes, &parcel.descriptors())
}

/// Whether a note was not sent because the other side has not read earlier ones yet.
pub(crate) fn is_full(error: &Error) -> bool {
    matches!(error, Error::Os { source, .. } if *source == OsError::from_code(libc::EAGAIN))
}

/// Whether a note was not sent because the other side is gone.
pub(crate) fn nobody_listens(error: &Error) -> bool {
    message::nobody_listens(error)
}

/// Takes what is there; `None` if nothing is, or never will be. A part of a message waits in `begun` for the rest.
pub(crate) fn receive(socket: BorrowedFd<'_>, begun: &mut Begun) -> Result<Option<Heard>> {
    let Some(received) = begun.receive::<Answer>(ANSWER, socket)? else { return Ok(None) };
    let (head, rest) = received.split();
    Ok(Some(match head {
        Answer::Hello => Heard::Hello,
        Answer::Note => Heard::Note(rest),
        Answer::Panicked(panic) => Heard::Panicked(panic),
        Answer::Failed(error) => Heard::Failed(error),
        Answer::Returned => Heard::Returned,
    }))
}

/// Whether nothing is there, nor ever will be; nobody may take anything meanwhile.
pub(crate) fn is_at_end(socket: BorrowedFd<'_>) -> bool {
    // In this order: what comes in between is there.
    let is_readable = poll::readable(&[socket], Deadline::after(Duration::ZERO)).is_ok_and(|ready| !ready.is_empty());
    is_readable && !matches!(socket::peek(socket, &mut []), Ok(Some(_)))
}

/// Waits for a note; `None` if the other side is gone.
pub(crate) fn wait(socket: BorrowedFd<'_>) -> Result<Option<Received<()>>> {
    let mut begun = Begun::default();
    loop {
        poll::readable(&[socket], Deadline::NEVER)?;
        match receive(socket, &mut begun)? {
            Some(Heard::Note(note)) => return Ok(Some(note)),
            Some(_) => return Err(Error::Decode { what: ANSWER.into(), reason: "not a note".into() }),
            None if is_at_end(socket) => return Ok(None),
            None => {}
        }
    }
}
