//! Any sequence of operations on a channel or a pipe, compared with a queue of messages that does the same in plain sight;
//! or with a peer that writes into the live memory, where they give errors or values, never a panic, a crash or a hang.

#![no_main]

mod scribbling;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::thread;
use std::time::Duration;

use arbitrary::Arbitrary;
use crossproc::{
    Arena, BufferTooShort, Connection, Error, PipeBuilder, Receiver, Sender, TryRecvError, TryRecvIntoError,
    TrySendError,
};
use libfuzzer_sys::fuzz_target;

use self::scribbling::{BODY, Word, scribbled};

#[derive(Arbitrary, Debug)]
struct Input {
    is_pipe: bool,
    capacity: u16,
    steps: Vec<Step>,
    peer: Option<Peer>,
}

/// One that does not keep to the protocol.
#[derive(Arbitrary, Debug)]
struct Peer {
    /// What it writes before each step.
    between: Vec<Scribble>,
    /// What it writes again and again.
    meanwhile: Vec<Scribble>,
}

/// `side`: which of both.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Step {
    Send {
        side: bool,
        length: u16,
        form: Form,
        is_raw: bool,
    },
    /// Longer than there is room; somebody receives meanwhile.
    SendLong {
        side: bool,
        length: u16,
        is_raw: bool,
    },
    Write {
        side: bool,
        length: u16,
    },
    Recv {
        side: bool,
        form: Form,
    },
    RecvBytes {
        side: bool,
        form: Form,
    },
    RecvInto {
        side: bool,
        form: Form,
        buffer: u16,
    },
    RecvRef {
        side: bool,
        form: Form,
        is_forgotten: bool,
    },
    Read {
        side: bool,
        buffer: u8,
    },
    Poll {
        side: bool,
    },
    Split {
        side: bool,
    },
    CloseSender {
        side: bool,
    },
    CloseReceiver {
        side: bool,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Form {
    Plain,
    Try,
    Timeout,
}

/// What a peer writes, and where.
type Scribble = (Place, Content);

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Place {
    /// Words that both ends share.
    Track(u8),
    /// The ring of bytes, and what follows it.
    Bytes(u16),
    /// The first words of the segment, and its table of peers.
    Header(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Content {
    Any(u64),
    Record { kind: u8, length: u16 },
    Position(u16),
    Owner { slot: u8, generation: u8 },
}

fn word((place, content): Scribble) -> Word {
    // The arena is the first object, and takes no more than its header.
    let offset = match place {
        Place::Track(word) => BODY + 128 + u64::from(word % 32) * 8,
        Place::Bytes(word) => BODY + 128 + 256 + u64::from(word) * 8,
        Place::Header(word) => u64::from(word) * 8,
    };
    let content = match content {
        Content::Any(word) => word,
        Content::Record { kind, length } => u64::from(kind % 8) << 48 | u64::from(length),
        Content::Position(words) => u64::from(words) * 8,
        Content::Owner { slot, generation } => u64::from(slot % 4) | u64::from(generation % 4) << 10,
    };
    Word { offset, content }
}

const MOMENT: Duration = Duration::from_millis(1);

type Message = Vec<u8>;

/// What one process has of a channel or a pipe.
enum Side {
    Whole(Connection<Message, Message>),
    Halves(Option<Sender<Message>>, Option<Receiver<Message>>),
}

impl Side {
    fn sender(&mut self) -> Option<&mut Sender<Message>> {
        match self {
            Side::Whole(connection) => Some(connection.halves().0),
            Side::Halves(sender, _) => sender.as_mut(),
        }
    }

    fn receiver(&mut self) -> Option<&mut Receiver<Message>> {
        match self {
            Side::Whole(connection) => Some(connection.halves().1),
            Side::Halves(_, receiver) => receiver.as_mut(),
        }
    }

    fn split(&mut self) {
        if let Side::Whole(connection) = mem::replace(self, Side::Halves(None, None)) {
            let (sender, receiver) = connection.split();
            *self = Side::Halves(Some(sender), Some(receiver));
        }
    }

    fn take_sender(&mut self) -> Option<Sender<Message>> {
        self.split_if_whole();
        let Side::Halves(sender, _) = self else { unreachable!("it was split") };
        sender.take()
    }

    fn take_receiver(&mut self) -> Option<Receiver<Message>> {
        self.split_if_whole();
        let Side::Halves(_, receiver) = self else { unreachable!("it was split") };
        receiver.take()
    }

    fn split_if_whole(&mut self) {
        if let Side::Whole(_) = self {
            self.split();
        }
    }
}

/// One direction, in plain sight.
struct Oracle {
    capacity: usize,
    messages: VecDeque<Sent>,
    /// Read of the first one.
    read: usize,
    /// Parts of messages that were given up may lie in the ring.
    has_litter: bool,
    is_sent: bool,
    is_received: bool,
}

struct Sent {
    bytes: Vec<u8>,
    /// What a `recv` decodes it to.
    message: Option<Message>,
}

impl Oracle {
    /// Whether there is no room for a message. The first one does not count if it may have been collected: if it was looked at
    /// in pieces, or read in part.
    fn is_full_for(&self, length: usize) -> bool {
        let lengths = self.messages.iter().map(|sent| sent.bytes.len()).enumerate();
        let in_ring = lengths.filter(|&(at, length)| at > 0 || self.read == 0 && length <= self.most());
        in_ring.map(|(_, length)| record(length)).sum::<usize>() + record(length) > self.capacity
    }

    /// The longest that goes in one piece.
    fn most(&self) -> usize {
        self.capacity / 2 - 8
    }

    fn is_idle(&self) -> bool {
        self.messages.is_empty() && !self.has_litter
    }

    /// Whether a message would find room without anybody receiving.
    fn has_room_for_sure(&self, length: usize) -> bool {
        !self.is_received || self.is_idle() && (length <= self.most() || length <= self.capacity - 64)
    }

    fn rest(&self) -> Option<&[u8]> {
        self.messages.front().map(|sent| &sent.bytes[self.read..])
    }

    fn pop(&mut self) -> (Vec<u8>, Option<Message>) {
        let Sent { bytes, message } = self.messages.pop_front().expect("there is one");
        let read = mem::take(&mut self.read);
        (bytes[read..].to_vec(), message.filter(|_| read == 0))
    }

    /// Nothing was received.
    fn refused(&mut self, is_end: bool) {
        assert!(self.messages.is_empty(), "a message is lost");
        let was_litter = mem::take(&mut self.has_litter);
        assert!(is_end == !self.is_sent || was_litter && !is_end, "the end, or none");
    }
}

/// Bytes that a message of so many takes in the ring, in one piece.
fn record(length: usize) -> usize {
    8 + length.next_multiple_of(8)
}

/// As postcard encodes bytes: their number in groups of seven bits, and they themselves.
fn encoded(message: &[u8]) -> Vec<u8> {
    let (mut bytes, mut length) = (Vec::new(), message.len());
    while length >= 128 {
        bytes.push(length as u8 | 128);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(message);
    bytes
}

struct World {
    sides: [Side; 2],
    /// From each side to the other.
    oracles: [Oracle; 2],
    sent: u8,
}

impl World {
    fn next(&mut self, length: usize, is_raw: bool) -> (Message, Sent) {
        self.sent = self.sent.wrapping_add(1);
        let message = vec![self.sent; length];
        let sent = match is_raw {
            true => Sent { bytes: message.clone(), message: None },
            false => Sent { bytes: encoded(&message), message: Some(message.clone()) },
        };
        (message, sent)
    }

    fn send(&mut self, side: usize, length: usize, form: Form, is_raw: bool) {
        let (message, sent) = self.next(length, is_raw);
        let (oracle, Some(sender)) = (&mut self.oracles[side], self.sides[side].sender()) else { return };
        let (size, plain) = (sent.bytes.len(), form == Form::Plain && oracle.has_room_for_sure(sent.bytes.len()));
        let result = match (plain, form, is_raw) {
            (true, _, true) => sender.send_bytes(&message).map_err(forced),
            (true, _, false) => sender.send(&message).map_err(forced),
            (_, Form::Timeout, true) => sender.send_bytes_timeout(&message, MOMENT),
            (_, Form::Timeout, false) => sender.send_timeout(&message, MOMENT).map_err(without),
            (_, _, true) => sender.try_send_bytes(&message),
            (_, _, false) => sender.try_send(&message).map_err(without),
        };
        match result {
            Ok(()) => {
                assert!(oracle.is_received, "sent to nobody");
                assert!(!oracle.is_full_for(size), "more than there is room for");
                oracle.messages.push_back(sent);
            }
            Err(TrySendError::BrokenPipe(())) => assert!(!oracle.is_received, "there is a receiver"),
            Err(TrySendError::Full(())) => {
                assert!(oracle.is_received && !oracle.has_room_for_sure(size), "there is room");
                oracle.has_litter |= form == Form::Timeout && size > oracle.most();
            }
            Err(TrySendError::Failed { error: Error::TooLarge { size: said, limit, .. }, .. }) => {
                assert!(said == size && limit == oracle.most().max(oracle.capacity - 64) && size > limit);
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn send_long(&mut self, side: usize, length: usize, is_raw: bool) {
        let (message, sent) = self.next(length, is_raw);
        let [first, second] = &mut self.sides;
        let (from, to) = if side == 0 { (first, second) } else { (second, first) };
        let (Some(sender), Some(receiver)) = (from.sender(), to.receiver()) else { return };
        let oracle = &mut self.oracles[side];
        oracle.messages.push_back(sent);
        thread::scope(|scope| {
            let sending = scope.spawn(|| match is_raw {
                true => sender.send_bytes(&message).unwrap(),
                false => sender.send(&message).unwrap(),
            });
            while !oracle.messages.is_empty() {
                assert_eq!(receiver.recv_bytes().unwrap(), oracle.pop().0);
            }
            sending.join().unwrap();
        });
        oracle.has_litter = false;
    }

    fn write(&mut self, side: usize, length: usize) {
        let (bytes, mut sent) = self.next(length, true);
        let (oracle, Some(sender)) = (&mut self.oracles[side], self.sides[side].sender()) else { return };
        let count = length.min(oracle.most());
        if !oracle.has_room_for_sure(count) {
            return;
        }
        match sender.writer().write(&bytes) {
            Ok(written) => {
                assert!(written == count && (oracle.is_received || count == 0));
                if count > 0 {
                    sent.bytes.truncate(count);
                    oracle.messages.push_back(sent);
                }
            }
            Err(error) => assert!(!oracle.is_received && error.kind() == ErrorKind::BrokenPipe, "{error}"),
        }
    }

    /// The receiver at a side, and what comes to it; the plain forms wait for ever, if there is nothing.
    fn receiving(&mut self, side: usize, form: Form) -> Option<(&mut Receiver<Message>, &mut Oracle, Form)> {
        let oracle = &mut self.oracles[1 - side];
        let would_wait = oracle.messages.is_empty() && oracle.is_sent;
        let form = if form == Form::Plain && would_wait { Form::Try } else { form };
        Some((self.sides[side].receiver()?, oracle, form))
    }

    fn recv(&mut self, side: usize, form: Form) {
        let Some((receiver, oracle, form)) = self.receiving(side, form) else { return };
        let received = match form {
            Form::Plain => receiver.recv().map_err(ended),
            Form::Try => receiver.try_recv(),
            Form::Timeout => receiver.recv_timeout(MOMENT),
        };
        match received {
            Ok(message) => {
                if let (_, Some(expected)) = oracle.pop() {
                    assert_eq!(message, expected);
                }
            }
            Err(TryRecvError::Failed(Error::Decode { .. })) => assert_eq!(oracle.pop().1, None, "it was a message"),
            Err(error) => oracle.refused(is_end(&error)),
        }
    }

    fn recv_bytes(&mut self, side: usize, form: Form) {
        let Some((receiver, oracle, form)) = self.receiving(side, form) else { return };
        let received = match form {
            Form::Plain => receiver.recv_bytes().map_err(ended),
            Form::Try => receiver.try_recv_bytes(),
            Form::Timeout => receiver.recv_bytes_timeout(MOMENT),
        };
        match received {
            Ok(bytes) => assert_eq!(bytes, oracle.pop().0),
            Err(error) => oracle.refused(is_end(&error)),
        }
    }

    fn recv_into(&mut self, side: usize, form: Form, length: usize) {
        let Some((receiver, oracle, form)) = self.receiving(side, form) else { return };
        let mut buffer = vec![0xee; length];
        let received = match form {
            Form::Timeout => receiver.recv_bytes_into_timeout(&mut buffer, MOMENT),
            _ => receiver.try_recv_bytes_into(&mut buffer),
        };
        match received {
            Ok(count) => {
                assert_eq!(&buffer[..count], oracle.pop().0);
                assert!(buffer[count..].iter().all(|&byte| byte == 0xee), "written behind the message");
            }
            Err(TryRecvIntoError::BufferTooShort(BufferTooShort { message, buffer })) => {
                assert!(Some(message) == oracle.rest().map(<[u8]>::len) && buffer == length && buffer < message);
            }
            Err(TryRecvIntoError::EndOfFile) => oracle.refused(true),
            Err(TryRecvIntoError::Empty) => oracle.refused(false),
            Err(other) => panic!("{other}"),
        }
    }

    fn recv_ref(&mut self, side: usize, form: Form, is_forgotten: bool) {
        let Some((receiver, oracle, form)) = self.receiving(side, form) else { return };
        let received = match form {
            Form::Plain => receiver.recv_ref().map_err(ended),
            Form::Try => receiver.try_recv_ref(),
            Form::Timeout => receiver.recv_ref_timeout(MOMENT),
        };
        match received {
            Ok(bytes) => {
                assert_eq!(Some(&*bytes), oracle.rest());
                if is_forgotten {
                    mem::forget(bytes); // it was not received
                } else {
                    drop(bytes);
                    oracle.pop();
                }
            }
            Err(error) => oracle.refused(is_end(&error)),
        }
    }

    fn read(&mut self, side: usize, length: usize) {
        let oracle = &mut self.oracles[1 - side];
        let is_there = oracle.messages.iter().enumerate().any(|(at, sent)| at > 0 || sent.bytes.len() > oracle.read);
        let has_bytes = is_there && oracle.messages.iter().any(|sent| !sent.bytes.is_empty());
        if !has_bytes && oracle.is_sent && length > 0 {
            return; // it would wait
        }
        let Some(receiver) = self.sides[side].receiver() else { return };
        let mut buffer = vec![0; length];
        let count = receiver.reader().read(&mut buffer).unwrap();
        if length == 0 {
            return assert_eq!(count, 0);
        }
        while oracle.rest().is_some_and(<[u8]>::is_empty) {
            oracle.pop();
        }
        let Some(rest) = oracle.rest() else { return assert_eq!(count, 0) };
        assert_eq!(buffer[..count], rest[..length.min(rest.len())]);
        match count == rest.len() {
            true => drop(oracle.pop()),
            false => oracle.read += count,
        }
    }

    fn poll(&mut self, side: usize) {
        let oracle = &mut self.oracles[1 - side];
        let Some(receiver) = self.sides[side].receiver() else { return };
        let is_ready = receiver.poll(Duration::ZERO).unwrap();
        let was_litter = oracle.messages.is_empty() && mem::take(&mut oracle.has_litter);
        assert!(is_ready != (oracle.messages.is_empty() && oracle.is_sent) || was_litter && !is_ready);
    }

    fn step(&mut self, step: Step) {
        let capacity = self.oracles[0].capacity;
        let short = |length: u16| usize::from(length) % (capacity + 10);
        match step {
            Step::Send { side, length, form, is_raw } => self.send(side.into(), short(length), form, is_raw),
            Step::SendLong { side, length, is_raw } => {
                self.send_long(side.into(), usize::from(length) % (6 * capacity), is_raw);
            }
            Step::Write { side, length } => self.write(side.into(), short(length)),
            Step::Recv { side, form } => self.recv(side.into(), form),
            Step::RecvBytes { side, form } => self.recv_bytes(side.into(), form),
            Step::RecvInto { side, form, buffer } => self.recv_into(side.into(), form, short(buffer)),
            Step::RecvRef { side, form, is_forgotten } => self.recv_ref(side.into(), form, is_forgotten),
            Step::Read { side, buffer } => self.read(side.into(), buffer.into()),
            Step::Poll { side } => self.poll(side.into()),
            Step::Split { side } => self.sides[usize::from(side)].split_if_whole(),
            Step::CloseSender { side } => {
                if let Some(sender) = self.sides[usize::from(side)].take_sender() {
                    sender.close();
                    self.oracles[usize::from(side)].is_sent = false;
                }
            }
            Step::CloseReceiver { side } => {
                drop(self.sides[usize::from(side)].take_receiver());
                self.oracles[1 - usize::from(side)].is_received = false;
            }
        }
    }
}

/// A wait without a deadline does not end with `Full`.
fn forced<M>(error: crossproc::SendError<M>) -> TrySendError<()> {
    match error {
        crossproc::SendError::BrokenPipe(_) => TrySendError::BrokenPipe(()),
        crossproc::SendError::Failed { error, .. } => TrySendError::Failed { message: (), error },
    }
}

fn without<M>(error: TrySendError<M>) -> TrySendError<()> {
    match error {
        TrySendError::Full(_) => TrySendError::Full(()),
        TrySendError::BrokenPipe(_) => TrySendError::BrokenPipe(()),
        TrySendError::Failed { error, .. } => TrySendError::Failed { message: (), error },
    }
}

fn ended(error: crossproc::RecvError) -> TryRecvError {
    match error {
        crossproc::RecvError::EndOfFile => TryRecvError::EndOfFile,
        crossproc::RecvError::Failed(error) => TryRecvError::Failed(error),
    }
}

fn is_end(error: &TryRecvError) -> bool {
    match error {
        TryRecvError::EndOfFile => true,
        TryRecvError::Empty => false,
        TryRecvError::Failed(error) => panic!("{error}"),
    }
}

/// Without an oracle, and without what may wait for ever.
fn step_among_scribbles(sides: &mut [Side; 2], capacity: usize, step: Step, may_look: bool) {
    let bytes = |length: u16| vec![7; usize::from(length) % (capacity + 10)];
    match step {
        Step::Send { side, length, form, is_raw } => {
            let Some(sender) = sides[usize::from(side)].sender() else { return };
            drop(match (form, is_raw) {
                (Form::Try, true) => sender.try_send_bytes(&bytes(length)),
                (Form::Try, false) => sender.try_send(&bytes(length)).map_err(without),
                (_, true) => sender.send_bytes_timeout(&bytes(length), MOMENT),
                (_, false) => sender.send_timeout(&bytes(length), MOMENT).map_err(without),
            });
        }
        Step::SendLong { side, length, .. } | Step::Write { side, length } => {
            let Some(sender) = sides[usize::from(side)].sender() else { return };
            drop(sender.send_bytes_timeout(&vec![9; usize::from(length) % (6 * capacity)], MOMENT));
        }
        Step::Recv { side, form } => {
            let Some(receiver) = sides[usize::from(side)].receiver() else { return };
            drop(if form == Form::Try { receiver.try_recv() } else { receiver.recv_timeout(MOMENT) });
        }
        Step::RecvBytes { side, form } => {
            let Some(receiver) = sides[usize::from(side)].receiver() else { return };
            drop(if form == Form::Try { receiver.try_recv_bytes() } else { receiver.recv_bytes_timeout(MOMENT) });
        }
        Step::RecvInto { side, buffer, .. } => {
            let Some(receiver) = sides[usize::from(side)].receiver() else { return };
            let _ = receiver.try_recv_bytes_into(&mut bytes(buffer));
        }
        Step::RecvRef { side, .. } => {
            let Some(receiver) = sides[usize::from(side)].receiver() else { return };
            if let Ok(bytes) = receiver.try_recv_ref() {
                assert!(bytes.len() < 1 << 30);
                // Who lends trusts the sender: nobody may write there meanwhile.
                if may_look {
                    std::hint::black_box(bytes.iter().fold(0, |sum, byte| sum ^ byte));
                }
            }
        }
        Step::Read { side, .. } | Step::Poll { side } => {
            let Some(receiver) = sides[usize::from(side)].receiver() else { return };
            let _ = receiver.poll(MOMENT);
        }
        Step::Split { side } => sides[usize::from(side)].split_if_whole(),
        Step::CloseSender { side } => drop(sides[usize::from(side)].take_sender()),
        Step::CloseReceiver { side } => drop(sides[usize::from(side)].take_receiver()),
    }
}

fuzz_target!(|input: Input| {
    let capacity = 64_usize << (input.capacity % 5);
    let arena = Arena::new(2 * (capacity + 1024)).unwrap();
    let mut builder = PipeBuilder::new().capacity(capacity);
    if input.peer.is_some() {
        builder = builder.arena(&arena);
    }
    let mut sides = match input.is_pipe {
        true => {
            let (first, second) = builder.pipe().unwrap();
            [Side::Whole(first), Side::Whole(second)]
        }
        false => {
            let (sender, receiver) = builder.channel().unwrap();
            [Side::Halves(Some(sender), None), Side::Halves(None, Some(receiver))]
        }
    };
    if let Some(peer) = &input.peer {
        let meanwhile: Vec<Word> = peer.meanwhile.iter().copied().map(word).collect();
        scribbled(&arena.memory_fd(), &meanwhile, |file| {
            let mut between = peer.between.iter();
            for &step in &input.steps {
                between.next().into_iter().for_each(|&scribble| word(scribble).write(file));
                step_among_scribbles(&mut sides, capacity, step, meanwhile.is_empty());
            }
        });
        return;
    }
    let oracle =
        || Oracle { capacity, messages: VecDeque::new(), read: 0, has_litter: false, is_sent: true, is_received: true };
    let mut world = World { sides, oracles: [oracle(), oracle()], sent: 0 };
    input.steps.iter().for_each(|&step| world.step(step));
});
