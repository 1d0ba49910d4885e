//! Connecting to a Unix socket, within a time: connect(2); sending without waiting: send(2).
//!
//! A server that is stopped lets nobody in, and connect(2) waits for it once its backlog is full: for ever, or as long as may be written
//! (`SO_SNDTIMEO`, socket(7)).

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::clock::Deadline;

/// A connection to the stream socket at a path. What was left of the time stays its write timeout, which [`send`] does not wait for.
pub(crate) fn connect(path: &Path, deadline: Deadline) -> io::Result<UnixStream> {
    let (address, length) = address(path)?;
    // SAFETY: no memory is involved.
    let socket = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if socket == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it for us.
    let socket = UnixStream::from(unsafe { OwnedFd::from_raw_fd(socket) });
    loop {
        let left = deadline.remaining();
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_write_timeout(left)?;
        // SAFETY: so many bytes of the address are set, and it outlives the call.
        if unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) } == 0 {
            return Ok(socket);
        }
        match io::Error::last_os_error() {
            error if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            error => return Err(error),
        }
    }
}

/// How many of the bytes a stream socket takes just now, also one that blocks; [`WouldBlock`](io::ErrorKind::WouldBlock) if none. Whoever
/// has nobody at the other end is told, and gets no signal.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: so many bytes can be read from there.
    match unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) } {
        -1 => Err(io::Error::last_os_error()),
        sent => Ok(sent.cast_unsigned()),
    }
}

fn address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let path = path.as_os_str().as_bytes();
    // SAFETY: integers only; all zeroes is a value.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    // A zero stands behind it.
    if path.len() >= address.sun_path.len() || path.contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path of a socket has 107 bytes at most, and no zero",
        ));
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (place, byte) in address.sun_path.iter_mut().zip(path) {
        *place = byte.cast_signed();
    }
    let length = mem::offset_of!(libc::sockaddr_un, sun_path) + path.len() + 1;
    Ok((address, length as libc::socklen_t))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_not_let_in_gives_up_in_time() {
        let path = std::env::temp_dir().join(format!("crossproc-connect-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        // SAFETY: no memory is involved.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let long = || Deadline::after(Duration::from_secs(20));
        let first = connect(&path, long()).unwrap();
        let refused = connect(&path, Deadline::after(Duration::from_millis(50))).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        let second = thread::spawn({
            let path = path.clone();
            move || connect(&path, long())
        });
        let _accepted = [listener.accept().unwrap(), listener.accept().unwrap()];
        second.join().unwrap().unwrap();
        drop((first, listener));
        let gone = connect(&path, long()).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(connect(&path, long()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(connect(Path::new(&"x".repeat(108)), long()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn who_sends_does_not_wait() {
        let (one, other) = UnixStream::pair().unwrap();
        let mut sent = 0;
        let full = loop {
            match send(one.as_fd(), &[7; 1 << 16]) {
                Ok(count) => sent += count,
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(full, io::ErrorKind::WouldBlock);
        let mut got = vec![0; sent];
        (&other).read_exact(&mut got).unwrap();
        assert_eq!(got, vec![7; sent]);
        drop(other);
        assert_eq!(send(one.as_fd(), b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
