//! `Ring`: messages one by one (small ones copied, large ones written and read in place), and several at a time.

use crossproc::{Ring, TryGetError};

use crate::way::{self, Receiver, Sender, Shape, Waiting, Way};

/// From this many words on, messages are written and read in place: 4 KiB.
const LARGE: usize = 512;

/// How many messages [`Many`] puts and gets at a time.
pub(crate) const BATCH: usize = 64;

/// `put` and `get`, or `reserve` and `take`.
pub(crate) struct Single;

pub(crate) struct SingleSender<const N: usize>(Ring<[u64; N]>);

pub(crate) struct SingleReceiver<const N: usize> {
    ring: Ring<[u64; N]>,
    waiting: Waiting,
}

impl<const N: usize> Way<N> for Single {
    type SenderTicket = Ring<[u64; N]>;
    type ReceiverTicket = Ring<[u64; N]>;
    type Sender = SingleSender<N>;
    type Receiver = SingleReceiver<N>;

    fn new(shape: Shape) -> (Self, Ring<[u64; N]>, Ring<[u64; N]>) {
        let ring = Ring::new(shape.slots).unwrap();
        (Single, ring.clone(), ring)
    }

    fn sender(ring: Ring<[u64; N]>, _: Shape) -> SingleSender<N> {
        SingleSender(ring)
    }

    fn receiver(ring: Ring<[u64; N]>, shape: Shape) -> SingleReceiver<N> {
        SingleReceiver { ring, waiting: shape.waiting }
    }
}

impl<const N: usize> Sender for SingleSender<N> {
    #[inline]
    fn send(&mut self, number: u64) {
        if N < LARGE {
            self.0.put([number; N]).unwrap();
        } else {
            let mut slot = self.0.reserve().unwrap();
            slot.fill(number);
            slot.commit();
        }
    }
}

impl<const N: usize> Receiver for SingleReceiver<N> {
    #[inline]
    fn receive(&mut self) -> u64 {
        match (self.waiting, N < LARGE) {
            (Waiting::Blocking, true) => way::number_of(&self.ring.get().unwrap()),
            (Waiting::Blocking, false) => way::number_of(&self.ring.take().unwrap()[..]),
            (Waiting::Spinning, true) => way::number_of(&found(|| self.ring.try_get())),
            (Waiting::Spinning, false) => way::number_of(&found(|| self.ring.try_take())[..]),
        }
    }
}

#[inline]
fn found<T>(mut look: impl FnMut() -> Result<T, TryGetError>) -> T {
    way::spin(|| match look() {
        Ok(message) => Some(message),
        Err(TryGetError::Empty) => None,
        Err(error) => panic!("{error}"),
    })
}

/// `put_many` and `get_many`.
pub(crate) struct Many;

pub(crate) struct ManySender<const N: usize> {
    ring: Ring<[u64; N]>,
    batch: Vec<[u64; N]>,
}

pub(crate) struct ManyReceiver<const N: usize> {
    ring: Ring<[u64; N]>,
    batch: std::vec::IntoIter<[u64; N]>,
}

impl<const N: usize> Way<N> for Many {
    type SenderTicket = Ring<[u64; N]>;
    type ReceiverTicket = Ring<[u64; N]>;
    type Sender = ManySender<N>;
    type Receiver = ManyReceiver<N>;

    fn new(shape: Shape) -> (Self, Ring<[u64; N]>, Ring<[u64; N]>) {
        let ring = Ring::new(shape.slots).unwrap();
        (Many, ring.clone(), ring)
    }

    fn sender(ring: Ring<[u64; N]>, _: Shape) -> ManySender<N> {
        ManySender { ring, batch: Vec::with_capacity(BATCH) }
    }

    fn receiver(ring: Ring<[u64; N]>, _: Shape) -> ManyReceiver<N> {
        ManyReceiver { ring, batch: Vec::new().into_iter() }
    }
}

impl<const N: usize> Sender for ManySender<N> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.batch.push([number; N]);
        if self.batch.len() == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.ring.put_many(&self.batch).unwrap();
        self.batch.clear();
    }
}

impl<const N: usize> Receiver for ManyReceiver<N> {
    #[inline]
    fn receive(&mut self) -> u64 {
        let message = self.batch.next().unwrap_or_else(|| {
            self.batch = self.ring.get_many(BATCH).unwrap().into_iter();
            self.batch.next().expect("there is one at least")
        });
        way::number_of(&message)
    }
}
