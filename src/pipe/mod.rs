//! Streams of messages between two ends, each with one owner.
//!
//! | file | subject |
//! |---|---|
//! | `sender`, `receiver`, `connection`, `builder` | what the program sees, with the types of the messages |
//! | `receive_bytes`, `messages`, `stream` | what else a receiver and a sender can be: of bytes, an iterator, `Read` and `Write` |
//! | `inlet`, `outlet`, `receiving`, `collecting` | the two ends of a direction, without them: bytes to records and back |
//! | `readable` | whether there is something to be received, for who polls |
//! | `end` | what the two have in common: ownership, closing, the way to another process |
//! | `body` | what lies in shared memory |

mod body;
mod builder;
mod collecting;
mod connection;
mod end;
mod inlet;
mod messages;
mod outlet;
mod readable;
mod receive_bytes;
mod receiver;
mod receiving;
mod sender;
mod stream;

pub use builder::PipeBuilder;
pub use connection::Connection;
pub use messages::Messages;
pub use receive_bytes::BytesRef;
pub use receiver::Receiver;
pub use sender::Sender;
pub use stream::{Reader, Writer};

use crate::error::Result;

/// A one-way stream of messages of type `T`: its sending and its receiving end.
///
/// Each end has one owner, and is moved to another process by passing it in the arguments or the result of a
/// [`Process`](crate::Process), at any depth. Messages arrive in the order in which they were sent, once each. See
/// [`Sender`] and [`Receiver`] for what happens when a process dies, and [`Sends`](crate::Sends) for what a message may be.
///
/// # Errors
///
/// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, Receiver, channel};
///
/// fn sum(mut numbers: Receiver<u64>) -> u64 {
///     std::iter::from_fn(|| numbers.recv().ok()).sum()
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let (mut sender, receiver) = channel()?;
/// let process = Process::spawn(sum, (receiver,))?;
/// for number in 1..=10 {
///     sender.send(number)?;
/// }
/// drop(sender);
/// assert_eq!(process.join()?, 55);
/// # Ok(())
/// # }
/// ```
pub fn channel<T>() -> Result<(Sender<T>, Receiver<T>)> {
    PipeBuilder::new().channel()
}

/// A two-way stream: two [`Connection`]s, of which each receives what the other one sends. The first sends `S` and receives
/// `R`.
///
/// A send waits while there is no room for its message. Two processes that send each other more than a direction holds
/// ([`capacity`](PipeBuilder::capacity)), and only then receive, wait for each other for ever: [`split`](Connection::split) the
/// connection, and send from a thread of its own. So in an event loop, which is told when there is something to receive, not when there is
/// room.
///
/// # Errors
///
/// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
///
/// # Examples
///
/// ```
/// use crossproc::{Connection, Process, pipe};
///
/// fn answer(mut connection: Connection<String, u32>) -> crossproc::Result<()> {
///     let number = connection.recv()?;
///     connection.send(format!("{number}!"))?;
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let (mut here, there) = pipe()?;
/// let process = Process::spawn(answer, (there,))?;
/// here.send(42)?;
/// assert_eq!(here.recv()?, "42!");
/// process.join()?
/// # }
/// ```
pub fn pipe<S, R>() -> Result<(Connection<S, R>, Connection<R, S>)> {
    PipeBuilder::new().pipe()
}
