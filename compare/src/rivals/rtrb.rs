//! rtrb between two threads of one process, for one producer and one consumer: single messages, and chunks. Both sides
//! spin. What a stream costs without processes.

use rtrb::{Consumer, Producer, RingBuffer};

use crate::ours::ring::BATCH;
use crate::way::{self, Passage, Receiver, Sender};

/// `push` and `pop`.
pub(crate) struct Single;

pub(crate) struct SingleSender<const N: usize>(Producer<[u64; N]>);

pub(crate) struct SingleReceiver<const N: usize>(Consumer<[u64; N]>);

impl<const N: usize> Passage<N> for Single {
    type Sender = SingleSender<N>;
    type Receiver = SingleReceiver<N>;

    fn new(slots: usize) -> (SingleSender<N>, SingleReceiver<N>) {
        let (producer, consumer) = RingBuffer::new(slots);
        (SingleSender(producer), SingleReceiver(consumer))
    }
}

impl<const N: usize> Sender for SingleSender<N> {
    #[inline]
    fn send(&mut self, number: u64) {
        way::spin(|| self.0.push([number; N]).ok());
    }
}

impl<const N: usize> Receiver for SingleReceiver<N> {
    #[inline]
    fn receive(&mut self) -> u64 {
        way::number_of(&way::spin(|| self.0.pop().ok()))
    }
}

/// Slices of as many messages as our `put_many` puts.
pub(crate) struct Chunks;

pub(crate) struct ChunksSender<const N: usize> {
    producer: Producer<[u64; N]>,
    batch: Vec<[u64; N]>,
}

pub(crate) struct ChunksReceiver<const N: usize> {
    consumer: Consumer<[u64; N]>,
    batch: Box<[[u64; N]]>,
    /// How many of the batch are there, and how many of these have been received.
    filled: usize,
    received: usize,
}

impl<const N: usize> Passage<N> for Chunks {
    type Sender = ChunksSender<N>;
    type Receiver = ChunksReceiver<N>;

    fn new(slots: usize) -> (ChunksSender<N>, ChunksReceiver<N>) {
        let (producer, consumer) = RingBuffer::new(slots);
        let sender = ChunksSender { producer, batch: Vec::with_capacity(BATCH) };
        let batch = vec![[0; N]; BATCH].into_boxed_slice();
        (sender, ChunksReceiver { consumer, batch, filled: 0, received: 0 })
    }
}

impl<const N: usize> Sender for ChunksSender<N> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.batch.push([number; N]);
        if self.batch.len() == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut rest = &self.batch[..];
        while !rest.is_empty() {
            rest = way::spin(|| {
                let (pushed, rest) = self.producer.push_partial_slice(rest);
                (!pushed.is_empty()).then_some(rest)
            });
        }
        self.batch.clear();
    }
}

impl<const N: usize> Receiver for ChunksReceiver<N> {
    #[inline]
    fn receive(&mut self) -> u64 {
        if self.received == self.filled {
            let (consumer, batch) = (&mut self.consumer, &mut self.batch);
            self.filled = way::spin(|| {
                let (popped, _) = consumer.pop_partial_slice(batch);
                (!popped.is_empty()).then_some(popped.len())
            });
            self.received = 0;
        }
        self.received += 1;
        way::number_of(&self.batch[self.received - 1])
    }
}
