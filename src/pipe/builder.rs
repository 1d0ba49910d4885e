use super::connection::Connection;
use super::end::End;
use super::inlet::Inlet;
use super::outlet::Outlet;
use super::receiver::Receiver;
use super::sender::Sender;
use crate::error::Result;
use crate::ring::bytes::CAPACITY;
use crate::segment::place::{Home, Placed};
use crate::segment::{Arena, Segment, type_stamp};

/// A channel or a pipe with more said about it than [`channel`](crate::channel()) and [`pipe`](crate::pipe()) do.
///
/// # Examples
///
/// ```
/// use crossproc::{Arena, PipeBuilder};
///
/// let arena = Arena::new(1 << 20)?;
/// let builder = PipeBuilder::new().capacity(1 << 12).arena(&arena);
/// let (mut sender, mut receiver) = builder.channel()?;
/// let (mut here, mut there) = builder.pipe()?;
/// sender.send(1)?;
/// here.send(receiver.recv()?)?;
/// there.send(sender.capacity())?;
/// assert_eq!((there.recv()?, here.recv()?), (1, 4096));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing before `channel` or `pipe`"]
pub struct PipeBuilder<'a> {
    capacity: u64,
    arena: Option<&'a Arena>,
}

/// Holds what a sender produces while its receiver sleeps and wakes up (10 us), at a rate of 25 GB/s, and leaves room in a
/// second-level cache for other things. A guess; messages of up to half of it need not be cut.
const CAPACITY_BY_DEFAULT: u64 = 256 << 10;

impl<'a> PipeBuilder<'a> {
    /// What [`channel`](crate::channel()) and [`pipe`](crate::pipe()) have: 256 KiB for each direction, in memory of
    /// its own.
    ///
    /// # Examples
    ///
    /// See [`PipeBuilder`].
    pub fn new() -> Self {
        PipeBuilder { capacity: CAPACITY_BY_DEFAULT, arena: None }
    }

    /// The capacity of each direction: bytes, at least 64, rounded up to a power of two.
    ///
    /// Messages of more than half of it pass in pieces, and are never there as a whole for
    /// [`recv_ref`](Receiver::recv_ref) to lend: for four times the length of most messages, both ends work at once, and nothing is
    /// copied twice.
    ///
    /// # Examples
    ///
    /// See [`PipeBuilder`].
    pub fn capacity(mut self, bytes: usize) -> Self {
        // Beyond what can be, so that creating it says `NoSpace`.
        self.capacity = (bytes as u64).max(*CAPACITY.start()).checked_next_power_of_two().unwrap_or(1 << 63);
        self
    }

    /// Where it is to lie. In an arena, many need only one descriptor.
    ///
    /// # Examples
    ///
    /// See [`PipeBuilder`].
    pub fn arena(mut self, arena: &'a Arena) -> Self {
        self.arena = Some(arena);
        self
    }

    /// A new [`channel`](crate::channel()).
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory, or if the arena is full; [`Os`](crate::Error::Os)
    /// without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`PipeBuilder`].
    pub fn channel<T>(&self) -> Result<(Sender<T>, Receiver<T>)> {
        self.direction(self.arena.map_or(Home::Own, Arena::home))
    }

    /// A new [`pipe`](crate::pipe()).
    ///
    /// # Errors
    ///
    /// As [`channel`](Self::channel).
    ///
    /// # Examples
    ///
    /// See [`PipeBuilder`].
    pub fn pipe<S, R>(&self) -> Result<(Connection<S, R>, Connection<R, S>)> {
        let bytes = Placed::<super::body::ChannelBody>::bytes(super::body::tail(self.capacity))?;
        // Both at once: what is taken of an arena is never given back.
        let both = bytes.saturating_mul(2);
        let own;
        let homes = match self.arena {
            Some(arena) => {
                let first = arena.allocate(both)?;
                [arena.home_at(first), arena.home_at(first + bytes)]
            }
            None => {
                own = Segment::create(both, 0, None)?;
                [Home::In(&own); 2]
            }
        };
        let (to_there, from_here) = self.direction(homes[0])?;
        let (to_here, from_there) = self.direction(homes[1])?;
        Ok((Connection::new(to_there, from_there), Connection::new(to_here, from_here)))
    }

    fn direction<T>(&self, home: Home<'_>) -> Result<(Sender<T>, Receiver<T>)> {
        let (sending, receiving) = End::pair(home, type_stamp::<T>(), self.capacity)?;
        Ok((Sender::new(Inlet::new(sending)), Receiver::new(Outlet::new(receiving))))
    }
}

impl Default for PipeBuilder<'_> {
    fn default() -> Self {
        PipeBuilder::new()
    }
}
