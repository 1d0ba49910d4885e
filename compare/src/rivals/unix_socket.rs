//! Unix stream sockets as they come, one pair for each way. The name is an abstract one, which ends with its listener.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::kernel_pipe::{WireReceiver, WireSender};
use crate::leftovers;
use crate::way::{self, Shape, Way};

pub(crate) struct UnixSocket;

/// Opened where the listener is, it accepts; in another process, it connects.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ticket {
    name: String,
    #[serde(skip)]
    listener: Option<Rc<UnixListener>>,
}

impl Ticket {
    fn open(self) -> File {
        let stream = match self.listener {
            Some(listener) => listener.accept().expect("the other side connects").0,
            None => UnixStream::connect_addr(&address(&self.name)).expect("the other side listens"),
        };
        OwnedFd::from(stream).into()
    }
}

fn address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).expect("a short name")
}

impl<const N: usize> Way<N> for UnixSocket {
    type SenderTicket = Ticket;
    type ReceiverTicket = Ticket;
    type Sender = WireSender<N>;
    type Receiver = WireReceiver<N>;

    fn new(_: Shape) -> (Self, Ticket, Ticket) {
        let name = leftovers::name();
        let listener = Some(Rc::new(UnixListener::bind_addr(&address(&name)).expect("a name of this process's own")));
        (UnixSocket, Ticket { name: name.clone(), listener: listener.clone() }, Ticket { name, listener })
    }

    fn sender(ticket: Ticket, _: Shape) -> WireSender<N> {
        WireSender { wire: ticket.open(), message: way::buffer() }
    }

    fn receiver(ticket: Ticket, shape: Shape) -> WireReceiver<N> {
        WireReceiver::new(ticket.open(), shape)
    }
}
