//! Results that nobody asks for.

mod common;

use common::watchdog;
use crossproc::{Child, Exit, GetError, Process, Producer, Queue, Receiver, RecvError, SendError, Sender, channel};
use serde::Serialize;
use serde::de::DeserializeOwned;

crossproc::test_support!();

/// Sends `end` to a process that returns it, and asks for nothing: before the process has ended, or only how it ended. The
/// `Child` can still be asked about the process, but not for its result.
fn lose<T: Serialize + DeserializeOwned + Send + 'static>(end: T, wait: bool) -> Child {
    let process = Process::spawn(|end: T| end, (end,)).unwrap();
    let child = process.child().clone();
    if wait {
        assert_eq!(process.wait(), Exit::Code(0));
    }
    child
}

#[test]
fn an_end_in_a_result_that_nobody_asks_for_is_gone() {
    let _watchdog = watchdog();
    for wait in [false, true] {
        let (sender, mut receiver) = channel::<u8>().unwrap();
        let child = lose::<Sender<u8>>(sender, wait);
        assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
        assert_eq!(child.wait(), Exit::Code(0));

        let (mut sender, receiver) = channel::<u8>().unwrap();
        let child = lose::<Receiver<u8>>(receiver, wait);
        while sender.send(1) != Err(SendError::BrokenPipe(1)) {}
        assert_eq!(child.wait(), Exit::Code(0));

        let queue = Queue::<u8>::builder().end_with_producers(true).build().unwrap();
        let (producer, consumer) = (queue.producer(), queue.consumer());
        drop(queue);
        let child = lose::<Producer<u8>>(producer, wait);
        assert_eq!(consumer.get(), Err(GetError::Disconnected));
        assert_eq!(child.wait(), Exit::Code(0));
    }
}
