//! crossbeam's `ArrayQueue` between two threads of one process; both sides spin. What a queue costs without processes.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use crate::way::{self, Passage, Receiver, Sender};

pub(crate) struct Crossbeam;

pub(crate) struct End<const N: usize>(Arc<ArrayQueue<[u64; N]>>);

impl<const N: usize> Passage<N> for Crossbeam {
    type Sender = End<N>;
    type Receiver = End<N>;

    fn new(slots: usize) -> (End<N>, End<N>) {
        let queue = Arc::new(ArrayQueue::new(slots));
        (End(Arc::clone(&queue)), End(queue))
    }
}

impl<const N: usize> Sender for End<N> {
    #[inline]
    fn send(&mut self, number: u64) {
        way::spin(|| self.0.push([number; N]).ok());
    }
}

impl<const N: usize> Receiver for End<N> {
    #[inline]
    fn receive(&mut self) -> u64 {
        way::number_of(&way::spin(|| self.0.pop()))
    }
}
