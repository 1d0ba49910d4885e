//! SIGKILL at each crash point of a channel: a child dies there, and what the other end finds is what the table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use common::processes::dies_at;
use common::watchdog;
use crossproc::{Connection, PipeBuilder, Process, Receiver, RecvError, SendError, Sender, channel, pipe};

crossproc::test_support!();

/// What the receiver gets before the end.
fn received(mut receiver: Receiver<()>) -> Vec<Vec<u8>> {
    let messages = std::iter::from_fn(|| receiver.recv_bytes().ok()).collect();
    assert_eq!(receiver.recv_bytes(), Err(RecvError::EndOfFile));
    messages
}

#[test]
fn a_channel_after_a_death_at_each_point_of_a_send() {
    let _watchdog = watchdog();
    for (point, passes, expected) in [
        ("channel.arriving", 0, 0),
        ("channel.arrived", 0, 0),
        ("channel.written", 0, 0),
        ("channel.published", 0, 1),
        ("channel.written", 1, 1),
        ("channel.published", 1, 2),
        ("channel.skipped", 0, 2),
        ("channel.written", 2, 2),
        ("channel.published", 2, 3),
        ("channel.closed", 0, 3),
    ] {
        let (sender, mut receiver) = PipeBuilder::new().capacity(64).channel::<()>().unwrap();
        let send = |mut sender: Sender<()>| {
            for number in 0..3 {
                sender.send_bytes(&[number; 16]).unwrap();
            }
        };
        // The third one finds room when the receiver has taken one.
        let receiving = std::thread::spawn(move || {
            let mut messages = Vec::new();
            while let Ok(message) = receiver.recv_bytes() {
                messages.push(message);
            }
            assert_eq!(receiver.recv_bytes(), Err(RecvError::EndOfFile));
            messages
        });
        dies_at!(point, passes, send, (sender,));
        let expected: Vec<_> = (0..expected).map(|number| vec![number; 16]).collect();
        assert_eq!(receiving.join().unwrap(), expected, "{point}, pass {passes}");
    }
}

#[test]
fn a_message_in_pieces_after_a_death_at_each_piece() {
    let _watchdog = watchdog();
    for (point, passes) in [("channel.written", 1), ("channel.published", 1), ("channel.published", 2)] {
        let (sender, receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
        let send = |mut sender: Sender<()>| {
            sender.send_bytes(b"whole").unwrap();
            sender.send_bytes(&[1; 700]).unwrap();
        };
        dies_at!(point, passes, send, (sender,));
        assert_eq!(received(receiver), [b"whole"], "{point}, pass {passes}");
    }
}

#[test]
fn a_sender_after_a_death_at_each_point_of_a_receive() {
    let _watchdog = watchdog();
    for point in ["channel.arriving", "channel.arrived", "channel.released", "event.announced", "channel.closed"] {
        let (mut sender, receiver) = PipeBuilder::new().capacity(64).channel::<()>().unwrap();
        let receive = |mut receiver: Receiver<()>| {
            let _ = receiver.recv_bytes();
            let _ = receiver.recv_bytes_timeout(std::time::Duration::from_millis(5));
        };
        sender.send_bytes(&[1; 20]).unwrap();
        dies_at!(point, 0, receive, (receiver,));
        let refused = std::iter::repeat_with(|| sender.send_bytes(&[2; 20])).find(Result::is_err);
        assert_eq!(refused, Some(Err(SendError::BrokenPipe(()))), "{point}");
    }
}

#[test]
fn an_end_after_the_death_of_its_giver() {
    let _watchdog = watchdog();
    for point in ["channel.departing", "channel.departed", "channel.arrived"] {
        let (sender, mut receiver) = channel::<u32>().unwrap();
        // As an argument for a child's child, and as a result.
        let pass_on = |sender: Sender<u32>| {
            let _ = Process::spawn(|_sender: Sender<u32>| (), (sender,)).unwrap().join();
        };
        dies_at!(point, 0, pass_on, (sender,));
        assert_eq!(receiver.recv(), Err(RecvError::EndOfFile), "{point}, given on");

        let (mut here, there) = pipe::<u32, u32>().unwrap();
        dies_at!(point, 0, |there: Connection<u32, u32>| there, (there,));
        assert_eq!(here.recv(), Err(RecvError::EndOfFile), "{point}, returned");
        // A child that another thread starts meanwhile has the descriptors of this process until it executes: also that of an end
        // on its way.
        let refused = std::iter::repeat_with(|| here.send(1)).find(Result::is_err);
        assert_eq!(refused, Some(Err(SendError::BrokenPipe(1))), "{point}, returned");
    }
}

/// The identity that an end travels under takes a place in the table of peers only while it travels.
#[test]
fn no_places_among_the_peers_are_lost_with_those_who_die() {
    let _watchdog = watchdog();
    let arena = crossproc::Arena::new(1 << 20).unwrap();
    for round in 0..300 {
        let (sender, mut receiver) = PipeBuilder::new().capacity(64).arena(&arena).channel::<u32>().unwrap();
        let point = ["channel.arriving", "channel.arrived", "channel.departed"][round % 3];
        dies_at!(point, 0, |sender: Sender<u32>| sender, (sender,));
        assert_eq!(receiver.recv(), Err(RecvError::EndOfFile), "round {round}");
    }
}
