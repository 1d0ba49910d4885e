//! The socket that a parent leaves at one of its child's descriptors: how it is recognised, and that it is still there.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::memory::user;
use super::program::privileged_by_exec;
use super::socket::peek;

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

/// A socket whose descriptor others may close, and whose number may then be another file's.
pub(crate) struct Kept {
    socket: OwnedFd,
    /// The kernel's number of this very socket, which no other one gets; `None` if a filter forbids to ask.
    cookie: Option<u64>,
}

impl Kept {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        let cookie = cookie(socket.as_fd()).ok();
        Kept { socket, cookie }
    }

    /// As long as nobody can have closed it.
    pub(crate) fn as_it_began(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// `None` if it was closed, whatever is at its descriptor now; stale at once where other threads close what is not theirs.
    pub(crate) fn get(&self) -> Option<BorrowedFd<'_>> {
        let socket = self.socket.as_fd();
        let is_kept = match cookie(socket) {
            Ok(cookie) => self.cookie.is_none_or(|kept| kept == cookie),
            // A program may forbid itself the question: that says nothing of the socket.
            Err(error) => !matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK)),
        };
        is_kept.then_some(socket)
    }
}

fn cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    option(socket, libc::SO_COOKIE, 0)
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
impl SocketOption for u64 {}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{IoSlice, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::IntoRawFd;

    use super::super::socket::{pair, send};
    use super::*;

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

    #[test]
    fn another_file_under_the_number_of_a_socket_is_not_that_socket() {
        let (here, _there) = pair().unwrap();
        let number = here.as_raw_fd();
        let kept = Kept::new(here);
        assert_eq!(kept.get().map(|socket| socket.as_raw_fd()), Some(number));
        let others: [OwnedFd; 2] = [pair().unwrap().0, File::open("/dev/null").unwrap().into()];
        for other in others {
            // SAFETY: both are open; what was at the number is closed, which nobody uses meanwhile.
            assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), number) }, number);
            assert!(kept.get().is_none());
        }
    }
}
