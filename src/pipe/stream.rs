//! Streams of bytes without boundaries, for whatever reads and writes those.

use std::fmt;
use std::io::{self, Read, Write};

use super::inlet::{FOR_EVER, Inlet, Refusal};
use super::outlet::Outlet;
use crate::error::Error;

/// A [`Write`] into a channel; see [`Sender::writer`](crate::Sender::writer).
///
/// A write sends one message of at most half the channel's capacity, and waits for room. It is
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) if nobody will receive it. There is nothing to flush.
///
/// # Examples
///
/// See [`Sender::writer`](crate::Sender::writer).
pub struct Writer<'a> {
    inlet: &'a mut Inlet,
}

/// A [`Read`] of the bytes of a channel's messages; see [`Receiver::reader`](crate::Receiver::reader).
///
/// A read waits for a message that is not empty, and gives no more than the rest of one. It gives nothing when nobody will
/// send any more.
///
/// # Examples
///
/// See [`Receiver::reader`](crate::Receiver::reader).
pub struct Reader<'a> {
    outlet: &'a mut Outlet,
}

impl<'a> Writer<'a> {
    pub(super) fn new(inlet: &'a mut Inlet) -> Self {
        Writer { inlet }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(outlet: &'a mut Outlet) -> Self {
        Reader { outlet }
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.inlet.most());
        if count == 0 {
            return Ok(0);
        }
        match self.inlet.send(&bytes[..count], FOR_EVER) {
            Ok(()) => Ok(count),
            Err(Refusal::Failed { error, .. }) => Err(io::Error::other(error)),
            Err(refusal) => Err(io::Error::new(io::ErrorKind::BrokenPipe, Error::from(refusal))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.outlet.read(buffer).map_err(io::Error::from)
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
