//! The kernel's pipe with room for 1 MiB: one `write` and one `read` for a message, unless it comes in pieces.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process;

use crate::common::wire::{self, Wire};
use crate::way::{self, Receiver, Sender, Shape, Waiting, Way};

/// Both ends, which others open by their paths.
pub(crate) struct KernelPipe {
    _writer: File,
    _reader: File,
}

pub(crate) struct WireSender<const N: usize> {
    pub(crate) wire: File,
    pub(crate) message: Box<[u64; N]>,
}

pub(crate) struct WireReceiver<const N: usize> {
    wire: File,
    message: Box<[u64; N]>,
    waiting: Waiting,
}

impl<const N: usize> Way<N> for KernelPipe {
    type SenderTicket = String;
    type ReceiverTicket = String;
    type Sender = WireSender<N>;
    type Receiver = WireReceiver<N>;

    fn new(_: Shape) -> (Self, String, String) {
        let (writer, reader) = Wire::Pipe.open();
        let path = |end: &File| format!("/proc/{}/fd/{}", process::id(), end.as_raw_fd());
        let (to_write, to_read) = (path(&writer), path(&reader));
        (KernelPipe { _writer: writer, _reader: reader }, to_write, to_read)
    }

    fn sender(path: String, _: Shape) -> WireSender<N> {
        let wire = File::options().write(true).open(path).expect("the parent has it open");
        WireSender { wire, message: way::buffer() }
    }

    fn receiver(path: String, shape: Shape) -> WireReceiver<N> {
        WireReceiver::new(File::open(path).expect("the parent has it open"), shape)
    }
}

impl<const N: usize> WireReceiver<N> {
    pub(crate) fn new(wire: File, shape: Shape) -> Self {
        if shape.waiting == Waiting::Spinning {
            wire::never_wait(&wire);
        }
        WireReceiver { wire, message: way::buffer(), waiting: shape.waiting }
    }
}

impl<const N: usize> Sender for WireSender<N> {
    fn send(&mut self, number: u64) {
        self.message.fill(number);
        wire::send(&self.wire, &*self.message);
    }
}

impl<const N: usize> Receiver for WireReceiver<N> {
    fn receive(&mut self) -> u64 {
        match self.waiting {
            Waiting::Spinning => wire::receive_spinning(&self.wire, &mut *self.message),
            Waiting::Blocking => assert!(wire::receive(&self.wire, &mut *self.message), "the writer is gone"),
        }
        way::number_of(&*self.message)
    }
}
