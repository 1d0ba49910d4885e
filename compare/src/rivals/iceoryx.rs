//! iceoryx2: publish and subscribe, samples loaned and written in place, nothing overwritten. A subscriber that spins looks
//! again and again; one that blocks waits for an event, of which the publisher sends one after each sample.

use std::thread;

use crossproc::Ring;
use iceoryx2::config::Config;
use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::backpressure_strategy::BackpressureStrategy;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{FileName, LogLevel, Path, PortFactory, SemanticString, ServiceName, ipc, set_log_level};
use iceoryx2::service::port_factory::{event, publish_subscribe};
use serde::{Deserialize, Serialize};

use crate::leftovers;
use crate::way::{self, Receiver, Sender, Shape, Waiting, Way};

/// Between 16 and 256 they made no difference.
const MOST_SLOTS: usize = 64;

/// The services, whose files are removed with the last process's.
pub(crate) struct Iceoryx {
    _services: Services,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Ticket {
    /// Where this run's files lie, what their names begin with, and the name of the way.
    folder: String,
    prefix: String,
    name: String,
    /// Put once the subscriber has mapped the publisher's samples. Until then the publisher does not wait for room, and what
    /// does not fit is lost.
    connected: Ring<u64>,
}

/// What a process opens; dropped before the node.
struct Services {
    samples: publish_subscribe::PortFactory<ipc::Service, [u64], ()>,
    events: event::PortFactory<ipc::Service>,
    _node: Node<ipc::Service>,
}

impl Services {
    fn open_or_create(ticket: &Ticket, shape: Shape) -> Self {
        set_log_level(LogLevel::Error);
        let mut config = Config::default();
        config.global.set_root_path(&Path::new(ticket.folder.as_bytes()).expect("a path"));
        config.global.prefix = FileName::new(ticket.prefix.as_bytes()).expect("a short name");
        let node = NodeBuilder::new().config(&config).create::<ipc::Service>().expect("a node");
        let name: ServiceName = ticket.name.as_str().try_into().expect("a short name");
        let samples = node
            .service_builder(&name)
            .publish_subscribe::<[u64]>()
            .max_publishers(1)
            .max_subscribers(1)
            .history_size(0)
            .subscriber_max_buffer_size(shape.slots.min(MOST_SLOTS))
            .enable_safe_overflow(false)
            .open_or_create()
            .expect("a service");
        let events = node.service_builder(&name).event().open_or_create().expect("a service");
        Services { samples, events, _node: node }
    }
}

pub(crate) struct LoaningSender<const N: usize> {
    publisher: Publisher<ipc::Service, [u64], ()>,
    notifier: Option<Notifier<ipc::Service>>,
    _services: Services,
}

pub(crate) struct SampleReceiver {
    subscriber: Subscriber<ipc::Service, [u64], ()>,
    listener: Option<Listener<ipc::Service>>,
    _services: Services,
}

impl<const N: usize> Way<N> for Iceoryx {
    type SenderTicket = Ticket;
    type ReceiverTicket = Ticket;
    type Sender = LoaningSender<N>;
    type Receiver = SampleReceiver;

    fn new(shape: Shape) -> (Self, Ticket, Ticket) {
        let folder = leftovers::folder().to_str().expect("a path in UTF-8").to_string();
        let (prefix, name) = (leftovers::prefix(), leftovers::name());
        let connected = Ring::new(1).unwrap();
        let ticket = || Ticket {
            folder: folder.clone(),
            prefix: prefix.clone(),
            name: name.clone(),
            connected: connected.clone(),
        };
        (Iceoryx { _services: Services::open_or_create(&ticket(), shape) }, ticket(), ticket())
    }

    fn sender(ticket: Ticket, shape: Shape) -> LoaningSender<N> {
        let services = Services::open_or_create(&ticket, shape);
        let publisher = services
            .samples
            .publisher_builder()
            .initial_max_slice_len(N)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("the only publisher");
        let notifier = (shape.waiting == Waiting::Blocking)
            .then(|| services.events.notifier_builder().create().expect("the only notifier"));
        ticket.connected.get().unwrap();
        LoaningSender { publisher, notifier, _services: services }
    }

    fn receiver(ticket: Ticket, shape: Shape) -> SampleReceiver {
        let services = Services::open_or_create(&ticket, shape);
        let subscriber = services.samples.subscriber_builder().create().expect("the only subscriber");
        let listener = (shape.waiting == Waiting::Blocking)
            .then(|| services.events.listener_builder().create().expect("the only listener"));
        while services.samples.dynamic_config().number_of_publishers() == 0 {
            thread::yield_now();
        }
        // Connects, too.
        subscriber.has_samples().expect("a publisher");
        ticket.connected.put(0).unwrap();
        SampleReceiver { subscriber, listener, _services: services }
    }
}

impl<const N: usize> Sender for LoaningSender<N> {
    #[inline]
    fn send(&mut self, number: u64) {
        let sample = self.publisher.loan_slice_uninit(N).expect("one loan at a time");
        sample.write_from_fn(|_| number).send().expect("sent");
        if let Some(notifier) = &self.notifier {
            notifier.notify().expect("told");
        }
    }
}

impl Receiver for SampleReceiver {
    #[inline]
    fn receive(&mut self) -> u64 {
        let look = || self.subscriber.receive().expect("received").map(|sample| way::number_of(&sample));
        let Some(listener) = &self.listener else { return way::spin(look) };
        loop {
            if let Some(number) = look() {
                return number;
            }
            listener.blocking_wait(|_| {}).expect("waited");
        }
    }
}
