//! Messages between a parent and its child: a head, a body, and descriptors, of any size and number.
//!
//! A message is one packet:
//!
//! ```text
//! MAGIC | envelope (postcard) | head (postcard) | body
//! ```
//!
//! and its first 253 descriptors; further ones follow in packets of one byte. If head and body are too large for a
//! packet, they travel as a sealed file, whose descriptor is then the first. The packets of a message are sent in one
//! system call: a process that is stopped does not stop in between. Sending never waits: what a socket does not take at
//! once is an error, so that neither end depends on the other's reading. Only where the other end is known to read,
//! the rest of a message that was begun waits for room.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use memmap2::Mmap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, OsError, Result};
use crate::sys::clock::Deadline;
use crate::sys::{poll, sealed, socket};

/// What every message begins with; the last byte counts versions of this format.
pub(super) const MAGIC: [u8; 8] = *b"crossp\0\x01";

/// The most bytes of head and body that travel in the packet itself. A socket takes about 200 KiB before somebody
/// reads (net.core.wmem_default), and both of a child's messages must fit.
const INLINE: usize = 64 << 10;

/// How long the rest of a message whose beginning is there may take for who waits for it: its sender is in the midst of a system
/// call. A guess.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a sender waits before it looks again whether there is room. A guess.
const PAUSE: Duration = Duration::from_millis(1);

/// What a packet of further descriptors contains.
const MORE: &[u8] = b"+";

#[derive(Serialize, Deserialize)]
struct Envelope {
    /// How many descriptors belong to the message, besides that of the sealed file.
    descriptors: u32,
    /// The size of the sealed file, if there is one.
    sealed: Option<u64>,
}

/// A message as it arrived.
pub(crate) struct Received<H> {
    pub(crate) head: H,
    payload: Payload,
    /// Where the body begins in `payload`.
    body: usize,
    pub(crate) descriptors: Vec<OwnedFd>,
}

enum Payload {
    Packet(Vec<u8>),
    Sealed(Mmap),
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Payload::Packet(bytes) => bytes,
            Payload::Sealed(mapping) => mapping,
        }
    }
}

impl<H> Received<H> {
    /// The head, and all the rest.
    pub(super) fn split(self) -> (H, Received<()>) {
        let Received { head, payload, body, descriptors } = self;
        (head, Received { head: (), payload, body, descriptors })
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.payload[self.body..]
    }
}

/// Sends a message into the socket's buffer; `what` names it in errors.
pub(super) fn send<H: Serialize>(
    what: &'static str,
    socket: BorrowedFd<'_>,
    head: &H,
    body: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<()> {
    deliver(what, socket, head, body, descriptors, false)
}

/// The same, to somebody who reads: if not all of the message has room, it waits with the rest of it.
pub(super) fn send_to_reader<H: Serialize>(
    what: &'static str,
    socket: BorrowedFd<'_>,
    head: &H,
    body: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<()> {
    deliver(what, socket, head, body, descriptors, true)
}

fn deliver<H: Serialize>(
    what: &'static str,
    socket: BorrowedFd<'_>,
    head: &H,
    body: &[u8],
    descriptors: &[BorrowedFd<'_>],
    is_read: bool,
) -> Result<()> {
    let encode = |error: postcard::Error| Error::Encode { what: what.into(), reason: error.to_string() };
    let failed = |error: io::Error| Error::os(format!("send {what}"), error);
    let head = postcard::to_stdvec(head).map_err(encode)?;
    let length = head.len() + body.len();
    let file = if length > INLINE { Some(sealed::write(&[&head, body])?) } else { None };
    let envelope = Envelope {
        descriptors: u32::try_from(descriptors.len())
            .map_err(|_| failed(io::Error::from_raw_os_error(libc::EMFILE)))?,
        sealed: file.is_some().then_some(length as u64),
    };
    let envelope = postcard::to_stdvec(&envelope).map_err(encode)?;
    let (head, body) = if file.is_some() { (&[][..], &[][..]) } else { (&head[..], body) };

    let descriptors: Vec<_> = file.iter().map(AsFd::as_fd).chain(descriptors.iter().copied()).collect();
    let (first, further) = descriptors.split_at(descriptors.len().min(socket::MOST_DESCRIPTORS));
    let (pieces, more) = ([&MAGIC[..], &envelope, head, body].map(IoSlice::new), [IoSlice::new(MORE)]);
    let mut packets = vec![(&pieces[..], first)];
    packets.extend(further.chunks(socket::MOST_DESCRIPTORS).map(|descriptors| (&more[..], descriptors)));
    let mut sent = socket::send_all(socket, &packets).map_err(failed)?;
    while sent < packets.len() {
        match socket::send_all(socket, &packets[sent..]) {
            Ok(count) => sent += count,
            Err(error) if is_read && error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// Takes the next message, if there is one; `what` names it in errors. Trusts nothing in it.
pub(super) fn receive<H: DeserializeOwned>(what: &'static str, socket: BorrowedFd<'_>) -> Result<Option<Received<H>>> {
    let mut begun = Begun::default();
    loop {
        let received = begun.receive(what, socket)?;
        if received.is_some() || begun.0.is_none() {
            return Ok(received);
        }
        // Its packets were sent together, but not at once.
        if poll::readable(&[socket], Deadline::after(PATIENCE))?.is_empty()
            || socket::peek(socket, &mut []).is_ok_and(|next| next.is_none())
        {
            return Err(Error::Decode { what: what.into(), reason: "some of its descriptors are missing".into() });
        }
    }
}

/// A message that may not be there as a whole, so that nobody has to wait for the rest of it.
#[derive(Default)]
pub(crate) struct Begun(Option<(Vec<u8>, Vec<OwnedFd>)>);

impl Begun {
    /// As [`receive`], but `None` as long as there is only a part of it. One whose rest does not come before another message is none.
    pub(super) fn receive<H: DeserializeOwned>(
        &mut self,
        what: &'static str,
        socket: BorrowedFd<'_>,
    ) -> Result<Option<Received<H>>> {
        let malformed = |reason: String| Error::Decode { what: what.into(), reason };
        let failed = |error: io::Error| Error::os(format!("receive {what}"), error);
        while let Some((packet, descriptors)) = socket::receive(socket).map_err(failed)? {
            let (mut packet, mut descriptors) = match self.0.take() {
                Some((first, mut before)) if packet == MORE && !descriptors.is_empty() => {
                    before.extend(descriptors);
                    (first, before)
                }
                _ => (packet, descriptors),
            };
            let Some(rest) = packet.strip_prefix(&MAGIC) else {
                return Err(malformed(format!("magic {:02x?}, expected {MAGIC:02x?}", &packet[..packet.len().min(8)])));
            };
            let (envelope, rest): (Envelope, _) =
                postcard::take_from_bytes(rest).map_err(|error| malformed(format!("its envelope: {error}")))?;
            let start = packet.len() - rest.len();
            let expected = envelope.descriptors as usize + usize::from(envelope.sealed.is_some());
            if descriptors.len() < expected {
                self.0 = Some((packet, descriptors));
                continue;
            }
            if descriptors.len() > expected {
                return Err(malformed(format!("{} descriptors, expected {expected}", descriptors.len())));
            }
            let payload = match envelope.sealed {
                Some(length) => Payload::Sealed(sealed::map(descriptors.remove(0), length)?),
                None => {
                    packet.drain(..start);
                    Payload::Packet(packet)
                }
            };
            let (head, body) =
                postcard::take_from_bytes(&payload).map_err(|error| malformed(format!("its head: {error}")))?;
            let body = payload.len() - body.len();
            return Ok(Some(Received { head, payload, body, descriptors }));
        }
        Ok(None)
    }
}

/// Whether sending failed because nobody is there to receive.
pub(super) fn nobody_listens(error: &Error) -> bool {
    matches!(error, Error::Os { source, .. } if *source == OsError::from_code(libc::EPIPE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Segment;

    fn sent(body: &[u8], segments: usize) -> (Vec<u8>, usize) {
        let (here, there) = socket::pair().unwrap();
        let segments: Vec<_> = (0..segments).map(|_| Segment::create(0, 0, None).unwrap()).collect();
        let descriptors: Vec<_> = segments.iter().map(AsFd::as_fd).collect();
        send("a message", here.as_fd(), &"head".to_string(), body, &descriptors).unwrap();
        drop(here);
        let received = receive::<String>("a message", there.as_fd()).unwrap().unwrap();
        assert_eq!(received.head, "head");
        assert!(receive::<String>("a message", there.as_fd()).unwrap().is_none());
        (received.body().to_vec(), received.descriptors.len())
    }

    #[test]
    fn bodies_and_descriptors_of_every_size_arrive() {
        for length in [0, 1, INLINE - 5, INLINE - 4, 3 << 20] {
            for count in [0, 1, 252, 253, 254, 506, 507] {
                let body: Vec<u8> = (0..length).map(|index| index as u8).collect();
                assert_eq!(sent(&body, count), (body, count), "{length} bytes, {count} descriptors");
            }
        }
    }

    /// Of so many descriptors, `packets` packets.
    fn beginning(descriptors: usize, packets: usize) -> (OwnedFd, OwnedFd) {
        let (here, there) = socket::pair().unwrap();
        let (before, after) = socket::pair().unwrap();
        let segment = Segment::create(0, 0, None).unwrap();
        send("a message", before.as_fd(), &"head".to_string(), b"body", &vec![segment.as_fd(); descriptors]).unwrap();
        for _ in 0..packets {
            let (packet, descriptors) = socket::receive(after.as_fd()).unwrap().unwrap();
            let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            socket::send(here.as_fd(), &[IoSlice::new(&packet)], &descriptors).unwrap();
        }
        (here, there)
    }

    #[test]
    fn nobody_waits_for_the_rest_of_a_message() {
        let (here, there) = beginning(600, 1);
        let mut begun = Begun::default();
        assert!(begun.receive::<String>("a message", there.as_fd()).unwrap().is_none());
        let (_here, more) = beginning(600, 3);
        let mut packets = std::iter::from_fn(|| socket::receive(more.as_fd()).unwrap()).skip(1);
        for is_last in [false, true] {
            let (packet, descriptors) = packets.next().unwrap();
            let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            socket::send(here.as_fd(), &[IoSlice::new(&packet)], &descriptors).unwrap();
            let received = begun.receive::<String>("a message", there.as_fd()).unwrap();
            assert_eq!(
                received.map(|received| (received.head, received.descriptors.len())),
                is_last.then(|| ("head".to_string(), 600))
            );
        }
    }

    #[test]
    fn a_message_without_its_rest_takes_no_other_one_away() {
        for packets in [1, 2] {
            let (here, there) = beginning(600, packets);
            send("a message", here.as_fd(), &"next".to_string(), b"", &[]).unwrap();
            let mut begun = Begun::default();
            let received = begun.receive::<String>("a message", there.as_fd()).unwrap();
            assert_eq!(received.map(|received| received.head).as_deref(), Some("next"));
            assert!(begun.receive::<String>("a message", there.as_fd()).unwrap().is_none());
        }
        let (here, there) = beginning(600, 2);
        drop(here);
        assert!(receive::<String>("a message", there.as_fd()).is_err());
    }

    #[test]
    fn packets_that_are_no_messages_are_refused() {
        let whole = [&MAGIC[..], &[0, 0], b"\x01a", b"body"].concat();
        let mut tampered: Vec<Vec<u8>> = (1..12).map(|length| whole[..length].to_vec()).collect();
        tampered.extend((0..10).map(|at| {
            let mut packet = whole.clone();
            packet[at] ^= 0x55;
            packet
        }));
        for packet in tampered {
            let (here, there) = socket::pair().unwrap();
            socket::send(here.as_fd(), &[IoSlice::new(&packet)], &[]).unwrap();
            assert!(receive::<String>("a message", there.as_fd()).is_err(), "{packet:02x?}");
        }
    }
}
