//! Boost.Interprocess `message_queue`: a mutex and two condition variables of pthread in named shared memory; messages are
//! copied in and out under the mutex.

use std::ffi::{CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use serde::{Deserialize, Serialize};

use crate::leftovers;
use crate::way::{self, Receiver, Sender, Shape, Waiting, Way};

/// boost::interprocess::message_queue
#[repr(C)]
struct Opaque {
    _bytes: [u8; 0],
    _pinned: PhantomData<*mut u8>,
}

// SAFETY: the signatures are those of shim/boost_queue.cc.
unsafe extern "C" {
    fn boost_queue_create(name: *const c_char, messages: usize, bytes: usize) -> *mut Opaque;
    fn boost_queue_open(name: *const c_char) -> *mut Opaque;
    fn boost_queue_close(queue: *mut Opaque);
    fn boost_queue_remove(name: *const c_char);
    fn boost_queue_send(queue: *mut Opaque, message: *const c_void, bytes: usize) -> bool;
    fn boost_queue_receive(queue: *mut Opaque, message: *mut c_void, bytes: usize) -> bool;
    fn boost_queue_try_receive(queue: *mut Opaque, message: *mut c_void, bytes: usize) -> c_int;
}

/// The name, which is removed with this.
pub(crate) struct Boost(CString);

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Ticket(CString);

/// A queue that is open.
struct Handle(NonNull<Opaque>);

impl Handle {
    fn open(Ticket(name): &Ticket) -> Self {
        // SAFETY: a C string.
        let queue = unsafe { boost_queue_open(name.as_ptr()) };
        Handle(NonNull::new(queue).expect("the first process has created it"))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: open, and closed only here.
        unsafe { boost_queue_close(self.0.as_ptr()) };
    }
}

pub(crate) struct BoostSender<const N: usize> {
    queue: Handle,
    message: Box<[u64; N]>,
}

pub(crate) struct BoostReceiver<const N: usize> {
    queue: Handle,
    message: Box<[u64; N]>,
    waiting: Waiting,
}

impl<const N: usize> Way<N> for Boost {
    type SenderTicket = Ticket;
    type ReceiverTicket = Ticket;
    type Sender = BoostSender<N>;
    type Receiver = BoostReceiver<N>;

    fn new(shape: Shape) -> (Self, Ticket, Ticket) {
        let name = CString::new(leftovers::name()).expect("no zero in it");
        // SAFETY: a C string.
        let queue = unsafe { boost_queue_create(name.as_ptr(), shape.slots, size_of::<[u64; N]>()) };
        // Closed again: whoever uses it opens it.
        drop(Handle(NonNull::new(queue).expect("a new name, and room for the messages")));
        (Boost(name.clone()), Ticket(name.clone()), Ticket(name))
    }

    fn sender(ticket: Ticket, _: Shape) -> BoostSender<N> {
        BoostSender { queue: Handle::open(&ticket), message: way::buffer() }
    }

    fn receiver(ticket: Ticket, shape: Shape) -> BoostReceiver<N> {
        BoostReceiver { queue: Handle::open(&ticket), message: way::buffer(), waiting: shape.waiting }
    }
}

impl Drop for Boost {
    fn drop(&mut self) {
        // SAFETY: a C string.
        unsafe { boost_queue_remove(self.0.as_ptr()) };
    }
}

impl<const N: usize> Sender for BoostSender<N> {
    fn send(&mut self, number: u64) {
        self.message.fill(number);
        let message = self.message.as_ptr().cast();
        // SAFETY: the queue is open; the message has as many bytes.
        let is_sent = unsafe { boost_queue_send(self.queue.0.as_ptr(), message, size_of::<[u64; N]>()) };
        assert!(is_sent);
    }
}

impl<const N: usize> Receiver for BoostReceiver<N> {
    fn receive(&mut self) -> u64 {
        let (queue, bytes) = (self.queue.0.as_ptr(), size_of::<[u64; N]>());
        let message = self.message.as_mut_ptr().cast();
        match self.waiting {
            Waiting::Blocking => {
                // SAFETY: the queue is open; the buffer has as many bytes.
                let is_received = unsafe { boost_queue_receive(queue, message, bytes) };
                assert!(is_received);
            }
            Waiting::Spinning => way::spin(|| {
                // SAFETY: as above.
                match unsafe { boost_queue_try_receive(queue, message, bytes) } {
                    1 => Some(()),
                    0 => None,
                    error => panic!("boost_queue_try_receive: {error}"),
                }
            }),
        }
        way::number_of(&*self.message)
    }
}
