//! Sequenced-packet sockets between a parent and its child: messages with descriptors, none of whose ends ever waits
//! (unix(7)).

#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

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

    fn of(descriptors: &[BorrowedFd<'_>]) -> Self {
        assert!(descriptors.len() <= MOST_DESCRIPTORS);
        let mut control = Control::empty();
        control.header.cmsg_len = (CONTROL_HEADER + mem::size_of_val(descriptors)) as _;
        control.header.cmsg_level = libc::SOL_SOCKET;
        control.header.cmsg_type = libc::SCM_RIGHTS;
        for (place, descriptor) in control.descriptors.iter_mut().zip(descriptors) {
            *place = descriptor.as_raw_fd();
        }
        control
    }
}

/// Sends one message made of `pieces`, with at most [`MOST_DESCRIPTORS`] descriptors; fails rather than wait.
pub(crate) fn send(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_all(socket, &[(pieces, descriptors)]).map(drop)
}

/// Sends messages, each with its descriptors, and says how many went, in one system call (sendmmsg(2)): no signal stops or ends
/// this process between two of them, since signals are looked at on the way out of the kernel. Fails if not even the first went.
pub(crate) fn send_all(socket: BorrowedFd<'_>, messages: &[(&[IoSlice<'_>], &[BorrowedFd<'_>])]) -> io::Result<usize> {
    let mut controls: Vec<_> = messages.iter().map(|(_, descriptors)| Control::of(descriptors)).collect();
    let header = |((pieces, descriptors), control): (&(&[IoSlice<'_>], &[BorrowedFd<'_>]), &mut Control)| {
        // SAFETY: pointers and integers only; all zeroes is a value, that of a message without anything.
        let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
        message.msg_hdr.msg_iov = pieces.as_ptr().cast_mut().cast();
        message.msg_hdr.msg_iovlen = pieces.len() as _;
        if !descriptors.is_empty() {
            message.msg_hdr.msg_controllen = (CONTROL_HEADER + mem::size_of_val(*descriptors)).next_multiple_of(8) as _;
            message.msg_hdr.msg_control = ptr::from_mut(control).cast();
        }
        message
    };
    let mut headers: Vec<_> = messages.iter().zip(&mut controls).map(header).collect();
    let (first, count) = (headers.as_mut_ptr(), headers.len() as libc::c_uint);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: so many headers, which point to `pieces` and `controls`; all outlive the call. The kernel writes nothing but how
    // much of each message went into its header, and `IoSlice` has the layout of `iovec`.
    retry(|| unsafe { libc::sendmmsg(socket.as_raw_fd(), first, count, flags as _) as isize })
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::super::clock::Deadline;
    use super::super::poll;
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

    /// Wherever a process is stopped, what belongs together is there or is not.
    #[test]
    fn messages_that_are_sent_together_are_not_torn_apart_by_a_stop() {
        const TOGETHER: usize = 5;
        let (here, there) = pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let descriptors = [null.as_fd(); 10];
        // SAFETY: the copy sends, and ends with _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(there);
            let byte = [IoSlice::new(b"+")];
            let messages = [(&byte[..], &descriptors[..]); TOGETHER];
            // Once more for each message that comes back, until nobody is there to send one.
            while send_all(here.as_fd(), &messages).is_ok_and(|sent| sent == TOGETHER)
                && poll::readable(&[here.as_fd()], Deadline::NEVER).is_ok()
                && matches!(receive(here.as_fd()), Ok(Some(_)))
            {}
            // SAFETY: ends the copy at once.
            unsafe { libc::_exit(0) };
        }
        drop(here);
        let signal = |signal| {
            // SAFETY: involves no memory; nobody has waited for our child's end.
            assert_eq!(unsafe { libc::kill(child, signal) }, 0);
        };
        let take = || std::iter::from_fn(|| receive(there.as_fd()).unwrap()).count();
        let (mut begun, mut taken) = (0, 0);
        for round in 0..2_000 {
            (0..round % 100 * 200).for_each(|_| std::hint::spin_loop()); // sooner or later
            signal(libc::SIGSTOP);
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, libc::WUNTRACED) }, child);
            assert!(libc::WIFSTOPPED(status), "{status:#x}");
            taken += take();
            if !taken.is_multiple_of(TOGETHER) {
                break;
            }
            if begun < taken {
                begun = taken;
                send(there.as_fd(), &[IoSlice::new(b"next")], &[]).unwrap();
            }
            signal(libc::SIGCONT);
        }
        signal(libc::SIGKILL);
        // SAFETY: our child; no status is wanted.
        assert_eq!(unsafe { libc::waitpid(child, ptr::null_mut(), 0) }, child);
        assert!(taken > 0 && taken.is_multiple_of(TOGETHER), "{taken} messages, by {TOGETHER}");
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
}
