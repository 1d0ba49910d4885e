//! `channel` and `pipe`: what one end sees when the other is closed, or its process dies.

mod common;

use std::thread;
use std::time::Duration;

use common::locking::{Stage, wait_for_state};
use common::piping::least;
use common::watchdog;
use crossproc::{PipeBuilder, Process, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError, channel};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

#[test]
fn the_end_comes_after_all_messages() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel().unwrap();
    (0..10).for_each(|number| sender.send(number).unwrap());
    sender.close();
    for number in 0..10 {
        assert_eq!(receiver.try_recv(), Ok(number));
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::EndOfFile));
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
    assert_eq!(receiver.poll(Duration::ZERO), Ok(true));
}

#[test]
fn a_sleeping_receiver_learns_of_a_close_and_of_a_death() {
    let _watchdog = watchdog();
    let wait = |mut receiver: Receiver<u32>| receiver.recv() == Err(RecvError::EndOfFile);
    let (sender, receiver) = channel::<u32>().unwrap();
    let process = Process::spawn(wait, (receiver,)).unwrap();
    wait_for_state(process.pid(), 'S');
    drop(sender);
    assert!(process.join().unwrap());

    let (sender, receiver) = channel::<u32>().unwrap();
    let waiting = Process::spawn(wait, (receiver,)).unwrap();
    let holding = Process::spawn(|_sender: Sender<u32>| thread::park(), (sender,)).unwrap();
    wait_for_state(waiting.pid(), 'S');
    holding.kill().unwrap();
    assert!(waiting.join().unwrap());
}

#[test]
fn a_sleeping_sender_learns_of_a_close_and_of_a_death() {
    let _watchdog = watchdog();
    let fill = |mut sender: Sender<Vec<u8>>| loop {
        if let Err(error) = sender.send(vec![1; 20]) {
            return error == SendError::BrokenPipe(vec![1; 20]);
        }
    };
    let (sender, receiver) = least();
    let process = Process::spawn(fill, (sender,)).unwrap();
    wait_for_state(process.pid(), 'S');
    drop(receiver);
    assert!(process.join().unwrap());

    let (sender, receiver) = least();
    let filling = Process::spawn(fill, (sender,)).unwrap();
    let holding = Process::spawn(|_receiver: Receiver<Vec<u8>>| thread::park(), (receiver,)).unwrap();
    wait_for_state(filling.pid(), 'S');
    holding.kill().unwrap();
    assert!(filling.join().unwrap());
}

#[test]
fn what_a_killed_process_had_sent_is_received_and_then_the_end() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel().unwrap();
    let stage = Stage::new();
    let send = |mut sender: Sender<u32>, stage: Stage| {
        (0..100).for_each(|number| sender.send(number).unwrap());
        stage.advance();
        thread::park();
    };
    let process = Process::spawn(send, (sender, &stage)).unwrap();
    stage.wait_for(1);
    process.kill().unwrap();
    for number in 0..100 {
        assert_eq!(receiver.recv(), Ok(number));
    }
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
}

#[test]
fn a_half_sent_message_of_a_killed_process_is_dropped() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
    let send = |mut sender: Sender<()>| {
        sender.send_bytes(b"whole").unwrap();
        sender.send_bytes(&[1; 10_000]).unwrap();
    };
    let process = Process::spawn(send, (sender,)).unwrap();
    wait_for_state(process.pid(), 'S'); // the ring is full of pieces
    process.kill().unwrap();
    process.wait();
    assert_eq!(receiver.recv_bytes(), Ok(b"whole".to_vec()));
    assert_eq!(receiver.recv_bytes(), Err(RecvError::EndOfFile));
}

#[test]
fn sending_to_nobody_gives_the_message_back() {
    let _watchdog = watchdog();
    let (mut sender, receiver) = channel::<String>().unwrap();
    sender.send("one").unwrap();
    drop(receiver);
    assert_eq!(sender.send("two".to_string()), Err(SendError::BrokenPipe("two".to_string())));
    assert_eq!(sender.try_send("three"), Err(TrySendError::BrokenPipe("three")));
    assert_eq!(sender.send_timeout("four", MOMENT), Err(TrySendError::BrokenPipe("four")));

    let (mut sender, receiver) = channel::<u64>().unwrap();
    let process = Process::spawn(|_receiver: Receiver<u64>| thread::park(), (receiver,)).unwrap();
    process.kill().unwrap();
    process.wait();
    let refused = (0..).find_map(|number| sender.send(number).err().map(|error| (number, error)));
    let (number, error) = refused.unwrap();
    assert_eq!(error, SendError::BrokenPipe(number));
}
