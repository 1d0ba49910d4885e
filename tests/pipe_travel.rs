//! `channel` and `pipe`: their ends on the way to another process and back.

mod common;

use std::thread;
use std::time::Duration;

use common::locking::Stage;
use common::piping::{bytes, echo};
use common::watchdog;
use crossproc::{
    Arena, Connection, Error, PipeBuilder, Process, ProcessError, Receiver, RecvError, SendError, Sender, TryRecvError,
    channel, pipe,
};
use serde::{Deserialize, Serialize};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

#[test]
fn both_ends_move_to_children() {
    let _watchdog = watchdog();
    let (here, there) = pipe::<Vec<u8>, Vec<u8>>().unwrap();
    let ask = |mut connection: Connection<Vec<u8>, Vec<u8>>| {
        (0..1000_u32).all(|number| {
            let message = number.to_le_bytes().to_vec();
            connection.send(&message).unwrap();
            connection.recv() == Ok(message)
        })
    };
    let echoing = Process::spawn(echo, (there,)).unwrap();
    let asking = Process::spawn(ask, (here,)).unwrap();
    assert!(asking.join().unwrap());
    assert_eq!(echoing.join().unwrap(), 1000);
}

#[derive(Serialize, Deserialize)]
struct Deep {
    ends: Vec<(u8, Option<Sender<u32>>)>,
    receiver: Option<Receiver<u32>>,
}

#[test]
fn ends_travel_at_any_depth() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel().unwrap();
    let (mut questions, asked) = channel().unwrap();
    let deep = Deep { ends: vec![(1, None), (2, Some(sender))], receiver: Some(asked) };
    let work = |mut deep: Deep| {
        let number = deep.receiver.as_mut().unwrap().recv().unwrap();
        deep.ends[1].1.as_mut().unwrap().send(number + 1).unwrap();
    };
    let process = Process::spawn(work, (deep,)).unwrap();
    questions.send(41).unwrap();
    assert_eq!(receiver.recv(), Ok(42));
    process.join().unwrap();
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
    assert!(matches!(questions.send(1), Err(SendError::BrokenPipe(1))));
}

#[test]
fn ends_come_back_from_a_child_in_the_middle_of_a_stream() {
    let _watchdog = watchdog();
    let (mut sender, receiver) = PipeBuilder::new().capacity(1024).channel::<Vec<u8>>().unwrap();
    sender.send(bytes(10, 0)).unwrap();
    sender.send(bytes(20, 1)).unwrap();
    let take_one = |mut receiver: Receiver<Vec<u8>>| (receiver.recv().unwrap(), receiver);
    let (first, mut receiver) = Process::spawn(take_one, (receiver,)).unwrap().join().unwrap();
    assert_eq!(first, bytes(10, 0));
    assert_eq!(receiver.recv(), Ok(bytes(20, 1)));

    let send_one = |mut sender: Sender<Vec<u8>>| {
        sender.send(bytes(30, 2)).unwrap();
        sender
    };
    let mut sender = Process::spawn(send_one, (sender,)).unwrap().join().unwrap();
    sender.send(bytes(40, 3)).unwrap();
    assert_eq!((receiver.recv(), receiver.recv()), (Ok(bytes(30, 2)), Ok(bytes(40, 3))));
    drop(sender);
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
}

#[test]
fn a_child_makes_a_pipe_for_its_parent() {
    let _watchdog = watchdog();
    let make = || -> crossproc::Result<_> {
        let (mut here, there) = pipe::<u8, u8>()?;
        here.send(7)?;
        Ok((there, here))
    };
    let (mut there, mut here) = Process::spawn(make, ()).unwrap().join().unwrap().unwrap();
    assert_eq!(there.recv(), Ok(7));
    there.send(8).unwrap();
    assert_eq!(here.recv(), Ok(8));
}

#[test]
fn an_end_brings_no_descriptor_but_that_of_its_memory() {
    let _watchdog = watchdog();
    let list = |_ends: (Sender<u8>, Receiver<u8>), _pipe: Connection<u8, u8>| {
        std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
    };
    let (_here, there) = pipe().unwrap();
    let found = Process::spawn(list, (channel().unwrap(), there)).unwrap().join().unwrap();
    assert_eq!(found, 4 + 2, "streams and control, a channel, a pipe");
}

#[test]
fn what_was_received_in_part_travels_along() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<Vec<u8>>().unwrap();
    let message = bytes(5000, 1);
    let sending = thread::spawn({
        let message = message.clone();
        move || sender.send_bytes(&message).map(|()| sender)
    });
    // The first pieces are taken out of the ring, and the time is up before the rest comes: it may also be all.
    while receiver.poll(Duration::from_micros(1)) == Ok(false) {
        let passed_on = |receiver: Receiver<Vec<u8>>| receiver;
        receiver = Process::spawn(passed_on, (receiver,)).unwrap().join().unwrap();
    }
    assert_eq!(receiver.recv_bytes(), Ok(message));
    sending.join().unwrap().unwrap();
}

#[test]
fn an_end_is_not_gone_while_it_travels() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel().unwrap();
    let stage = Stage::new();
    let return_it = |sender: Sender<u32>, stage: Stage| {
        stage.advance();
        sender
    };
    let process = Process::spawn(return_it, (sender, &stage)).unwrap();
    process.wait();
    // The child has ended, and the sender lies in its answer.
    assert_eq!(receiver.recv_timeout(MOMENT * 10), Err(TryRecvError::Empty));
    let mut sender = process.join().unwrap();
    sender.send(1).unwrap();
    assert_eq!(receiver.recv(), Ok(1));
}

#[test]
fn an_end_in_an_answer_that_nobody_takes_is_gone() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel::<u32>().unwrap();
    let process = Process::spawn(|sender: Sender<u32>| sender, (sender,)).unwrap();
    process.wait();
    drop(process);
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
}

#[test]
fn an_end_for_a_child_that_was_never_started_is_gone() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel::<u32>().unwrap();
    let refused = Process::builder().current_dir("/nowhere").spawn(|_: Sender<u32>| (), (sender,));
    assert!(matches!(refused, Err(Error::Os { .. })));
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
}

#[test]
fn an_end_of_another_type_is_an_error_and_gone() {
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Mistaken(Sender<u32>);
    impl<'de> Deserialize<'de> for Mistaken {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Sender::<i64>::deserialize(deserializer).map(|_| panic!("a u32 is no i64"))
        }
    }
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel::<u32>().unwrap();
    let process = Process::spawn(|_: Mistaken| (), (Mistaken(sender),)).unwrap();
    let Err(ProcessError::Failed { source, .. }) = process.join() else { panic!("arrived") };
    assert!(matches!(*source, Error::Attach(_)), "{source:?}");
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
}

#[test]
fn many_channels_lie_in_one_arena() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 20).unwrap();
    let builder = PipeBuilder::new().capacity(1024).arena(&arena);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..100).map(|_| builder.channel::<usize>().unwrap()).unzip();
    let send = |senders: Vec<Sender<usize>>| {
        for (index, mut sender) in senders.into_iter().enumerate() {
            sender.send(index).unwrap();
        }
    };
    Process::spawn(send, (senders,)).unwrap().join().unwrap();
    for (index, mut receiver) in receivers.into_iter().enumerate() {
        assert_eq!(receiver.recv(), Ok(index));
        assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
    }
}
