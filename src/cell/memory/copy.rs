//! Bytes copied in and out.

use std::time::Duration;

use super::SharedMemory;
use crate::error::{Error, Kind, Result};
use crate::fault::crash_point;
use crate::segment::{Failure, Region, Wait};

impl SharedMemory {
    /// Fills `bytes` with a copy of those from `offset`. Waits for nobody.
    ///
    /// What others write meanwhile may be in the copy in part: where that matters, read through the guard of
    /// [`lock`](Self::lock).
    ///
    /// # Errors
    ///
    /// [`BytesOutOfRange`](Error::BytesOutOfRange), with what was asked for and what there is; `bytes` is as it was then.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, SharedMemory};
    ///
    /// let memory = SharedMemory::create(10)?;
    /// memory.write_at(6, b"tail")?;
    /// let mut bytes = [0; 5];
    /// memory.read_at(5, &mut bytes)?;
    /// assert_eq!(&bytes, b"\0tail");
    ///
    /// let refused = memory.read_at(6, &mut bytes).unwrap_err();
    /// assert_eq!(refused.to_string(), "5 bytes from 6 are out of range for a SharedMemory of 10 bytes");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.part(offset, bytes.len())?.read_over(bytes);
        Ok(())
    }

    /// A copy of all bytes. Waits for nobody; `lock()?.to_vec()` is one in which nobody's writing is seen in part.
    ///
    /// # Examples
    ///
    /// See [`create`](Self::create).
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.bytes().read_over(&mut bytes);
        bytes
    }

    /// Copies `bytes` to `offset`, under the lock: a slice that somebody has through a guard does not change under his eyes.
    ///
    /// A process killed meanwhile leaves some of them; the next [`lock`](Self::lock) says so.
    ///
    /// # Errors
    ///
    /// [`BytesOutOfRange`](Error::BytesOutOfRange), with what was asked for and what there is; nothing is written then.
    /// [`AlreadyHeld`](Error::AlreadyHeld) if this thread has the guard, through which it should write.
    ///
    /// # Examples
    ///
    /// See [`read_at`](Self::read_at).
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.write(offset, bytes, Wait::FOR_EVER)
    }

    /// [`write_at`](Self::write_at), if nobody else has the lock.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at), and [`Held`](Error::Held) if another thread or process has the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc::SharedMemory::create(10)?.try_write_at(9, b"!")?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.write(offset, bytes, Wait::No)
    }

    /// [`write_at`](Self::write_at), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_write_at`](Self::try_write_at), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc::SharedMemory::create(10)?.write_at_timeout(9, b"!", std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn write_at_timeout(&self, offset: usize, bytes: &[u8], timeout: Duration) -> Result<()> {
        self.write(offset, bytes, Wait::at_most(timeout))
    }

    fn write(&self, offset: usize, bytes: &[u8], wait: Wait) -> Result<()> {
        let part = self.part(offset, bytes.len())?;
        let _turn = self.acquire(wait).map_err(|failure: Failure| failure.into_error(Kind::SharedMemory))?;
        part.write(bytes);
        crash_point!("memory.written");
        Ok(())
    }

    /// `count` bytes from `offset`, if there are so many.
    fn part(&self, offset: usize, count: usize) -> Result<Region<'_>> {
        let is_inside = offset.checked_add(count).is_some_and(|end| end <= self.len());
        let refused = Error::BytesOutOfRange { offset, count, length: self.len() };
        if is_inside { Ok(self.bytes().part(offset, count)) } else { Err(refused) }
    }
}
