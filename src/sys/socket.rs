//! Sequenced-packet sockets between a parent and its child: messages with descriptors, none of whose ends ever waits
//! (unix(7)).

#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::memory::user;

/// The most descriptors that one message carries: the kernel's SCM_MAX_FD.
pub(crate) const MOST_DESCRIPTORS: usize = 253;

/// Two connected sockets, both close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) } != 0
    {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it for us.
    let here = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let there = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((here, there))
}

/// A control message with room for all the descriptors it can carry. The data begin right after the header, which is
/// as aligned as they need to be (cmsg(3)).
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    descriptors: [RawFd; MOST_DESCRIPTORS],
}

const CONTROL_HEADER: usize = mem::offset_of!(Control, descriptors);
const _: () = assert!(CONTROL_HEADER == mem::size_of::<libc::cmsghdr>() && CONTROL_HEADER.is_multiple_of(8));

impl Control {
    fn empty() -> Self {
        // SAFETY: integers only; all zeroes is a value.
        unsafe { mem::zeroed() }
    }
}

/// Sends one message made of `pieces`, with at most [`MOST_DESCRIPTORS`] descriptors; fails rather than wait.
pub(crate) fn send(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    assert!(descriptors.len() <= MOST_DESCRIPTORS);
    let mut control = Control::empty();
    let length = CONTROL_HEADER + mem::size_of_val(descriptors);
    control.header.cmsg_len = length as _;
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    for (place, descriptor) in control.descriptors.iter_mut().zip(descriptors) {
        *place = descriptor.as_raw_fd();
    }
    // SAFETY: pointers and integers only; all zeroes is a value, that of a message without anything.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len() as _;
    if !descriptors.is_empty() {
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = length.next_multiple_of(8) as _;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `message` points to `pieces` and `control`, which outlive the call; the kernel only reads them, and
    // `IoSlice` has the layout of `iovec`.
    retry(|| unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) }).map(drop)
}

/// The next message, if there is one: its bytes, and its descriptors, close-on-exec.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    // A look at its length costs less than a buffer for the longest message.
    let Some(length) = peek(socket, &mut [])? else { return Ok(None) };
    let mut bytes = vec![0; length];
    let mut control = Control::empty();
    // SAFETY: pointers and integers only; all zeroes is a value, that of a message without anything.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    let mut piece = IoSliceMut::new(&mut bytes);
    message.msg_iov = (&raw mut piece).cast();
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = mem::size_of::<Control>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // A call that fails leaves `message` as it was, for the next.
    // SAFETY: `message` points to `bytes` and `control`, with their lengths; they outlive the call, and nothing else
    // uses them meanwhile. `IoSliceMut` has the layout of `iovec`.
    let received = retry(|| unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) })?;
    let rights = message.msg_controllen as usize >= CONTROL_HEADER
        && control.header.cmsg_level == libc::SOL_SOCKET
        && control.header.cmsg_type == libc::SCM_RIGHTS;
    let count = if rights { control.header.cmsg_len.saturating_sub(CONTROL_HEADER) / 4 } else { 0 };
    // SAFETY: the kernel just put these descriptors into this process, each once.
    let take = |&descriptor: &RawFd| unsafe { OwnedFd::from_raw_fd(descriptor) };
    let descriptors = control.descriptors.iter().take(count).map(take).collect();
    // The kernel drops the descriptors for which this process has no room, and says no more than this.
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    bytes.truncate(received);
    Ok(Some((bytes, descriptors)))
}

/// Copies the beginning of the next message without taking it; its whole length, or `None` if there is no message.
pub(crate) fn peek(socket: BorrowedFd<'_>, beginning: &mut [u8]) -> io::Result<Option<usize>> {
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    let (start, room) = (beginning.as_mut_ptr().cast(), beginning.len());
    // SAFETY: the kernel writes at most as many bytes as `beginning` has.
    match retry(|| unsafe { libc::recv(socket.as_raw_fd(), start, room, flags) }) {
        // No message of ours is empty: that is the end of the stream.
        Ok(0) => Ok(None),
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Repeats a system call that a signal interrupted, or that failed with ECONNRESET: a peer that closed its end, or
/// died, before it had read everything leaves this error once, in front of the messages it had sent.
fn retry(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(count) = usize::try_from(call()) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::ECONNRESET)) {
            return Err(error);
        }
    }
}

/// Takes over the socket at `descriptor` if this process inherited one there whose next message begins with `magic`,
/// made by a process of this user; makes it close-on-exec. Whatever else is there, or nothing, stays untouched.
pub(crate) fn take_inherited(descriptor: RawFd, magic: &[u8; 8]) -> Option<OwnedFd> {
    // SAFETY: reads a word that the kernel left at the start of the process.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return None;
    }
    // What came through exec is not close-on-exec, but everything that Rust's library opens is: such a descriptor has
    // an owner already.
    // SAFETY: asks for the flags of a descriptor, or is told EBADF; no memory is involved.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    if flags == -1 || flags & libc::FD_CLOEXEC != 0 {
        return None;
    }
    // SAFETY: the descriptor is open, and nobody in this process, which inherited it, closes what it does not know.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let mut beginning = [0; 8];
    let length = peek(socket, &mut beginning).ok()??;
    if length < beginning.len() || beginning != *magic || maker_of(socket).ok()? != user() {
        return None;
    }
    // SAFETY: sets a flag of a descriptor; no memory is involved.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: inherited, and left here for us by a parent, as its message says: nobody else in this process owns it.
    // Nobody takes it over a second time, either, as it is close-on-exec from now on.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The effective user of the process that made the pair.
fn maker_of(socket: BorrowedFd<'_>) -> io::Result<libc::uid_t> {
    let mut maker = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = mem::size_of_val(&maker) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `maker`, any of which make a `ucred`.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            ptr::from_mut(&mut maker).cast(),
            &raw mut length,
        )
    };
    if answer == 0 { Ok(maker.uid) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsFd, IntoRawFd};

    use super::*;

    #[test]
    fn a_message_keeps_its_boundaries_and_descriptors() {
        let (here, there) = pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let descriptors = vec![null.as_fd(); MOST_DESCRIPTORS];
        send(here.as_fd(), &[IoSlice::new(b"ab"), IoSlice::new(b"c")], &descriptors).unwrap();
        send(here.as_fd(), &[IoSlice::new(b"d")], &[]).unwrap();
        let (bytes, received) = receive(there.as_fd()).unwrap().unwrap();
        assert_eq!((bytes.as_slice(), received.len()), (b"abc".as_slice(), MOST_DESCRIPTORS));
        let (bytes, received) = receive(there.as_fd()).unwrap().unwrap();
        assert_eq!((bytes.as_slice(), received.len()), (b"d".as_slice(), 0));
        assert!(receive(there.as_fd()).unwrap().is_none());
    }

    #[test]
    fn messages_outlive_a_sender_that_left_without_reading() {
        let (here, there) = pair().unwrap();
        send(there.as_fd(), &[IoSlice::new(b"unread")], &[]).unwrap();
        send(here.as_fd(), &[IoSlice::new(b"last words")], &[]).unwrap();
        drop(here);
        assert_eq!(receive(there.as_fd()).unwrap().unwrap().0, b"last words");
        assert!(receive(there.as_fd()).unwrap().is_none());
    }

    /// Has a descriptor look as if it came through exec.
    fn inherit(descriptor: OwnedFd) -> RawFd {
        let descriptor = descriptor.into_raw_fd();
        // SAFETY: changes a flag of a descriptor; no memory is involved.
        assert_eq!(unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) }, 0);
        descriptor
    }

    #[test]
    fn only_a_socket_with_the_magic_is_taken_over() {
        let (here, there) = pair().unwrap();
        let there = inherit(there);
        assert!(take_inherited(there, b"12345678").is_none());
        send(here.as_fd(), &[IoSlice::new(b"12345679")], &[]).unwrap();
        assert!(take_inherited(there, b"12345678").is_none());
        let null = inherit(File::open("/dev/null").unwrap().into());
        assert!(take_inherited(null, b"12345678").is_none());
        assert!(take_inherited(RawFd::MAX, b"12345678").is_none());
        let taken = take_inherited(there, b"12345679").unwrap();
        assert!(take_inherited(taken.as_raw_fd(), b"12345679").is_none(), "a second time");
    }

    #[test]
    fn what_this_process_opened_is_not_taken_over() {
        let (here, there) = pair().unwrap();
        send(here.as_fd(), &[IoSlice::new(b"12345678")], &[]).unwrap();
        assert!(take_inherited(there.as_raw_fd(), b"12345678").is_none());
    }
}
