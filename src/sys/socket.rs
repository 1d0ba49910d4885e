//! Sequenced-packet sockets between a parent and its child: messages with descriptors, none of whose ends ever waits
//! (unix(7)).

#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::memory::user;
use super::program::privileged_by_exec;

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

/// What a process finds at a descriptor that it inherited.
#[derive(Debug)]
pub(crate) enum Inherited {
    /// Nothing, or something else, which stays untouched.
    Other,
    /// A message for a child that this process must not be: another user wrote it, or this process has privileges that
    /// its parent had not.
    Untrusted,
    Control(OwnedFd),
}

/// Takes over the socket at `descriptor` if this process inherited one there whose next message begins with `magic`,
/// made by a process of this user; makes it close-on-exec.
pub(crate) fn take_inherited(descriptor: RawFd, magic: &[u8; 8]) -> Inherited {
    // What came through exec is not close-on-exec, but everything that Rust's library opens is: such a descriptor has
    // an owner already.
    // SAFETY: asks for the flags of a descriptor, or is told EBADF; no memory is involved.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    if flags == -1 || flags & libc::FD_CLOEXEC != 0 {
        return Inherited::Other;
    }
    // SAFETY: the descriptor is open, and nobody in this process, which inherited it, closes what it does not know.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    // Even a look takes something away: the error that waits in a connection. So it comes last, and only ours get it.
    if option(socket, libc::SO_DOMAIN, 0).ok() != Some(libc::AF_UNIX)
        || option(socket, libc::SO_TYPE, 0).ok() != Some(libc::SOCK_SEQPACKET)
    {
        return Inherited::Other;
    }
    let nobody = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let Ok(maker) = option(socket, libc::SO_PEERCRED, nobody) else { return Inherited::Other };
    let mut beginning = [0; 8];
    match peek(socket, &mut beginning) {
        Ok(Some(length)) if length >= beginning.len() && beginning == *magic => {}
        _ => return Inherited::Other,
    }
    if maker.uid != user() || privileged_by_exec() {
        return Inherited::Untrusted;
    }
    // SAFETY: sets a flag of a descriptor; no memory is involved.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: inherited, and left here for us by a parent, as its message says: nobody else in this process owns it.
    // Nobody takes it over a second time, either, as it is close-on-exec from now on.
    Inherited::Control(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// An option of the socket layer; `answer` is overwritten. The credentials are those of the process that made the pair,
/// with its effective user.
fn option<T: SocketOption>(socket: BorrowedFd<'_>, name: libc::c_int, mut answer: T) -> io::Result<T> {
    let mut length = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `answer`, any of which make a `T` (`SocketOption`).
    let code = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, ptr::from_mut(&mut answer).cast(), &raw mut length)
    };
    if code == 0 { Ok(answer) } else { Err(io::Error::last_os_error()) }
}

/// Types that any bytes make.
trait SocketOption {}
impl SocketOption for libc::c_int {}
impl SocketOption for libc::ucred {}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, IntoRawFd};

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

    /// Has a descriptor look as if it came through exec.
    fn inherit(descriptor: OwnedFd) -> RawFd {
        let descriptor = descriptor.into_raw_fd();
        // SAFETY: changes a flag of a descriptor; no memory is involved.
        assert_eq!(unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) }, 0);
        descriptor
    }

    fn is_other(descriptor: RawFd) -> bool {
        matches!(take_inherited(descriptor, b"12345678"), Inherited::Other)
    }

    #[test]
    fn only_a_socket_with_the_magic_is_taken_over() {
        let (here, there) = pair().unwrap();
        let there = inherit(there);
        assert!(is_other(there));
        send(here.as_fd(), &[IoSlice::new(b"12345679")], &[]).unwrap();
        assert!(is_other(there));
        assert!(is_other(inherit(File::open("/dev/null").unwrap().into())));
        assert!(is_other(RawFd::MAX));
        let Inherited::Control(taken) = take_inherited(there, b"12345679") else { panic!("not taken") };
        assert!(matches!(take_inherited(taken.as_raw_fd(), b"12345679"), Inherited::Other), "a second time");
    }

    #[test]
    fn what_this_process_opened_is_not_taken_over() {
        let (here, there) = pair().unwrap();
        send(here.as_fd(), &[IoSlice::new(b"12345678")], &[]).unwrap();
        assert!(is_other(there.as_raw_fd()));
    }

    #[test]
    fn a_foreign_connection_keeps_its_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.write_all(b"unread").unwrap();
        let (accepted, _) = listener.accept().unwrap();
        // Its end, with bytes that it has not read, resets the connection.
        accepted.peek(&mut [0]).unwrap();
        drop(accepted);
        let stream = inherit(stream.into());
        let mut entry = libc::pollfd { fd: stream, events: 0, revents: 0 };
        // SAFETY: one entry, which outlives the call.
        while unsafe { libc::poll(&raw mut entry, 1, -1) } != 1 {}
        assert!(is_other(stream));
        // SAFETY: `inherit` made it nobody's.
        let mut stream = unsafe { TcpStream::from_raw_fd(stream) };
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
