//! ipc-channel's channel of bytes: datagrams of a Unix socket, cut into pieces if they are large. Ends go from process to
//! process through a one-shot server.

use std::cell::RefCell;
use std::rc::Rc;

use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender};
use serde::{Deserialize, Serialize};
use zerocopy::IntoBytes;

use crate::way::{self, Receiver, Sender, Shape, Way};

pub(crate) struct IpcChannel;

/// The end that one process makes for the other one.
#[derive(Serialize, Deserialize)]
enum End {
    Sender(IpcBytesSender),
    Receiver(IpcBytesReceiver),
}

/// Opened where the server is, it waits for its end; in another process, it makes both ends and gives one away.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ticket {
    name: String,
    #[serde(skip)]
    server: Rc<RefCell<Option<IpcOneShotServer<End>>>>,
}

impl Ticket {
    fn open(self) -> End {
        match self.server.take() {
            Some(server) => server.accept().expect("the other side connects").1,
            None => unreachable!("`give` is for the process without the server"),
        }
    }

    fn has_server(&self) -> bool {
        self.server.borrow().is_some()
    }

    fn give(&self, end: End) {
        IpcSender::connect(self.name.clone()).expect("the other side serves").send(end).expect("it is there");
    }
}

pub(crate) struct BytesSender<const N: usize> {
    end: IpcBytesSender,
    message: Box<[u64; N]>,
}

pub(crate) struct BytesReceiver(IpcBytesReceiver);

impl<const N: usize> Way<N> for IpcChannel {
    type SenderTicket = Ticket;
    type ReceiverTicket = Ticket;
    type Sender = BytesSender<N>;
    type Receiver = BytesReceiver;

    fn new(_: Shape) -> (Self, Ticket, Ticket) {
        let (server, name) = IpcOneShotServer::new().expect("a name of this process's own");
        let server = Rc::new(RefCell::new(Some(server)));
        (IpcChannel, Ticket { name: name.clone(), server: Rc::clone(&server) }, Ticket { name, server })
    }

    fn sender(ticket: Ticket, _: Shape) -> BytesSender<N> {
        let end = if ticket.has_server() {
            let End::Sender(sender) = ticket.open() else { panic!("two senders") };
            sender
        } else {
            let (sender, receiver) = ipc::bytes_channel().expect("a pair of sockets");
            ticket.give(End::Receiver(receiver));
            sender
        };
        BytesSender { end, message: way::buffer() }
    }

    fn receiver(ticket: Ticket, _: Shape) -> BytesReceiver {
        if ticket.has_server() {
            let End::Receiver(receiver) = ticket.open() else { panic!("two receivers") };
            return BytesReceiver(receiver);
        }
        let (sender, receiver) = ipc::bytes_channel().expect("a pair of sockets");
        ticket.give(End::Sender(sender));
        BytesReceiver(receiver)
    }
}

impl<const N: usize> Sender for BytesSender<N> {
    fn send(&mut self, number: u64) {
        self.message.fill(number);
        self.end.send(self.message.as_bytes()).unwrap();
    }
}

impl Receiver for BytesReceiver {
    fn receive(&mut self) -> u64 {
        way::number_of_bytes(&self.0.recv().unwrap())
    }
}
