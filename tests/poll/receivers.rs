//! The receiving ends of channels and pipes.

use std::io::Read;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use crossproc::{Connection, Error, PipeBuilder, Process, Receiver, Sender, TryRecvError, channel, pipe};

use crate::common::processes::forked;
use crate::common::watchdog;
use crate::{ROUNDS, is_readable, wait_for};

#[test]
fn a_send_of_another_process_makes_a_receiver_readable() {
    let _watchdog = watchdog();
    let (mut here, there) = pipe::<u32, u32>().unwrap();
    let echo = |mut there: Connection<u32, u32>| {
        while let Ok(number) = there.recv() {
            there.send(number).unwrap();
        }
    };
    let process = Process::spawn(echo, (there,)).unwrap();
    for round in 0..ROUNDS {
        assert!(!is_readable(&here));
        here.send(round).unwrap();
        wait_for(&here);
        assert_eq!(here.try_recv(), Ok(round));
    }
    drop(here);
    process.join().unwrap();
}

#[test]
fn a_receiver_is_readable_until_it_is_drained() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel::<u32>().unwrap();
    assert!(!is_readable(&receiver));
    (0..3).for_each(|number| sender.send(number).unwrap());
    wait_for(&receiver);
    assert_eq!(receiver.recv(), Ok(0));
    assert!(is_readable(&receiver));
    assert_eq!(receiver.recv_bytes(), Ok(vec![1]));
    assert!(is_readable(&receiver));
    assert_eq!(*receiver.recv_ref().unwrap(), [2]);
    assert!(!is_readable(&receiver));
    sender.send_bytes(b"five").unwrap();
    wait_for(&receiver);
    // A message that stays, and one of which a part stays.
    assert!(receiver.recv_bytes_into(&mut [0; 1]).is_err() && is_readable(&receiver));
    receiver.reader().read_exact(&mut [0; 2]).unwrap();
    assert!(is_readable(&receiver));
    assert!(receiver.poll(Duration::ZERO).unwrap() && is_readable(&receiver));
    assert_eq!(receiver.recv_bytes(), Ok(b"ve".to_vec()));
    assert!(!is_readable(&receiver));
}

#[test]
fn a_sender_that_closes_or_dies_makes_its_receiver_readable_for_ever() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel::<u32>().unwrap();
    assert!(!is_readable(&receiver));
    let linger = |mut sender: Sender<u32>| {
        sender.send(1).unwrap();
        thread::park();
    };
    let process = Process::spawn(linger, (sender,)).unwrap();
    wait_for(&receiver);
    assert_eq!(receiver.recv(), Ok(1));
    assert!(!is_readable(&receiver));
    process.kill().unwrap();
    wait_for(&receiver);
    while receiver.try_recv() != Err(TryRecvError::EndOfFile) {}
    assert!(is_readable(&receiver));

    let (sender, mut receiver) = channel::<u32>().unwrap();
    assert!(!is_readable(&receiver));
    drop(sender);
    wait_for(&receiver);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::EndOfFile));
    assert!(is_readable(&receiver));
}

#[test]
fn a_message_in_pieces_is_received_by_an_event_loop() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = PipeBuilder::new().capacity(4096).channel::<Vec<u8>>().unwrap();
    let send = |mut sender: Sender<Vec<u8>>| (0..20_u8).for_each(|n| sender.send(vec![n; 50_000]).unwrap());
    let process = Process::spawn(send, (sender,)).unwrap();
    let mut number = 0;
    loop {
        wait_for(&receiver);
        match receiver.try_recv() {
            Ok(message) => {
                assert!(message == vec![number; 50_000]);
                number += 1;
            }
            Err(TryRecvError::Empty) => {} // a part
            Err(error) => break assert_eq!((error, number), (TryRecvError::EndOfFile, 20)),
        }
    }
    process.join().unwrap();
}

#[test]
fn a_receiver_that_moves_is_readable_where_it_is() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel::<u32>().unwrap();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    wait_for(&receiver);
    assert_eq!(receiver.recv(), Ok(1));
    let next = |mut receiver: Receiver<u32>| {
        wait_for(&receiver);
        let number = receiver.recv().unwrap();
        assert!(!is_readable(&receiver));
        (number, receiver)
    };
    let (number, mut receiver) = Process::spawn(next, (receiver,)).unwrap().join().unwrap();
    assert_eq!(number, 2);
    assert!(!is_readable(&receiver));
    sender.send(3).unwrap();
    wait_for(&receiver);
    assert_eq!(receiver.recv(), Ok(3));
}

#[test]
fn a_copy_of_a_receiver_has_no_descriptor() {
    let _watchdog = watchdog();
    let (_sender, receiver) = channel::<u32>().unwrap();
    receiver.as_fd();
    assert!(forked(|| matches!(receiver.readiness(), Err(Error::GivenAway { .. }))));
}
