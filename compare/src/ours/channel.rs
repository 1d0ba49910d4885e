//! `channel`: the bytes of each message. Small ones are copied into a buffer, large ones are borrowed where they lie; to
//! send is to copy.

use crossproc::{PipeBuilder, TryRecvError, TryRecvIntoError};
use zerocopy::IntoBytes;

use crate::way::{self, Receiver, Sender, Shape, Waiting, Way};

/// From this many words on, a message is borrowed and not copied: 4 KiB.
const LARGE: usize = 512;

/// What `channel` has by default. Less would do for few small messages, and nobody would ask for it.
const LEAST_CAPACITY: usize = 256 << 10;

pub(crate) struct Channel;

pub(crate) struct ChannelSender<const N: usize> {
    end: crossproc::Sender<()>,
    message: Box<[u64; N]>,
}

pub(crate) struct ChannelReceiver<const N: usize> {
    end: crossproc::Receiver<()>,
    message: Box<[u64; N]>,
    waiting: Waiting,
}

impl<const N: usize> Way<N> for Channel {
    type SenderTicket = crossproc::Sender<()>;
    type ReceiverTicket = crossproc::Receiver<()>;
    type Sender = ChannelSender<N>;
    type Receiver = ChannelReceiver<N>;

    fn new(_: Shape) -> (Self, crossproc::Sender<()>, crossproc::Receiver<()>) {
        // At least four messages: of those that fill more than half of it, none can be lent.
        let capacity = LEAST_CAPACITY.max(4 * size_of::<[u64; N]>());
        let (sender, receiver) = PipeBuilder::new().capacity(capacity).channel().unwrap();
        (Channel, sender, receiver)
    }

    fn sender(end: crossproc::Sender<()>, _: Shape) -> ChannelSender<N> {
        ChannelSender { end, message: way::buffer() }
    }

    fn receiver(end: crossproc::Receiver<()>, shape: Shape) -> ChannelReceiver<N> {
        ChannelReceiver { end, message: way::buffer(), waiting: shape.waiting }
    }
}

impl<const N: usize> Sender for ChannelSender<N> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.message.fill(number);
        self.end.send_bytes(self.message.as_bytes()).unwrap();
    }
}

impl<const N: usize> Receiver for ChannelReceiver<N> {
    #[inline]
    fn receive(&mut self) -> u64 {
        match (self.waiting, N < LARGE) {
            (Waiting::Blocking, true) => {
                let length = self.end.recv_bytes_into(self.message.as_mut_bytes()).unwrap();
                assert_eq!(length, size_of::<[u64; N]>());
                way::number_of(&*self.message)
            }
            (Waiting::Blocking, false) => way::number_of_bytes(&self.end.recv_ref().unwrap()),
            (Waiting::Spinning, true) => {
                let (end, message) = (&mut self.end, &mut self.message);
                way::spin(|| match end.try_recv_bytes_into(message.as_mut_bytes()) {
                    Ok(_) => Some(()),
                    Err(TryRecvIntoError::Empty) => None,
                    Err(error) => panic!("{error}"),
                });
                way::number_of(&*self.message)
            }
            (Waiting::Spinning, false) => way::spin(|| match self.end.try_recv_ref() {
                Ok(message) => Some(way::number_of_bytes(&message)),
                Err(TryRecvError::Empty) => None,
                Err(error) => panic!("{error}"),
            }),
        }
    }
}
