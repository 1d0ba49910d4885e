//! `channel` and `pipe`: within a process, across processes, on their way, after a death.

mod common;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::locking::{Stage, wait_for_state};
use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{
    Arena, BufferTooShort, Connection, Error, PipeBuilder, Process, ProcessError, Receiver, RecvError, RecvIntoError,
    SendError, Sender, TryRecvError, TrySendError, channel, pipe,
};
use serde::{Deserialize, Serialize};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + seed * 13) as u8).collect()
}

/// A channel of the least capacity.
fn least() -> (Sender<Vec<u8>>, Receiver<Vec<u8>>) {
    PipeBuilder::new().capacity(1).channel().unwrap()
}

#[test]
fn messages_arrive_in_order_within_a_process() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel().unwrap();
    let sending = thread::spawn(move || (0..100_000_u32).for_each(|number| sender.send(number).unwrap()));
    for number in 0..100_000 {
        assert_eq!(receiver.recv(), Ok(number));
    }
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
    sending.join().unwrap();
}

#[test]
fn messages_arrive_in_order_across_processes() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel().unwrap();
    let send = |mut sender: Sender<(u32, String)>| {
        (0..20_000).for_each(|number| sender.send((number, number.to_string())).unwrap());
    };
    let process = Process::spawn(send, (sender,)).unwrap();
    for number in 0..20_000 {
        assert_eq!(receiver.recv(), Ok((number, number.to_string())));
    }
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
    process.join().unwrap();
}

fn echo(mut connection: Connection<Vec<u8>, Vec<u8>>) -> usize {
    let mut count = 0;
    while let Ok(message) = connection.recv() {
        connection.send(&message).unwrap();
        count += 1;
    }
    count
}

#[test]
fn both_ways_across_processes_in_every_size() {
    let _watchdog = watchdog();
    let (mut here, there) = PipeBuilder::new().capacity(4096).pipe::<Vec<u8>, Vec<u8>>().unwrap();
    let process = Process::spawn(echo, (there,)).unwrap();
    let sizes = [0, 1, 7, 8, 9, 63, 64, 255, 256, 257, 2000, 2039, 2040, 2041, 4095, 4096, 4097, 100_000, 3_000_000];
    for (seed, &size) in sizes.iter().enumerate() {
        // More than both directions hold: who echoes must not wait for us while we wait for it.
        let message = bytes(size, seed);
        let received = thread::scope(|scope| {
            let sent = message.clone();
            let (sender, receiver) = here.halves();
            scope.spawn(move || sender.send(sent).unwrap());
            receiver.recv().unwrap()
        });
        assert_eq!(received, message, "{size} bytes");
    }
    drop(here);
    assert_eq!(process.join().unwrap(), sizes.len());
}

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
fn a_long_message_arrives_through_many_short_waits() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
    let message = bytes(2_000_000, 5);
    thread::scope(|scope| {
        scope.spawn(|| sender.send_bytes(&message).unwrap());
        let received = std::iter::repeat_with(|| match receiver.recv_bytes_timeout(Duration::from_micros(50)) {
            Err(TryRecvError::Empty) => receiver.try_recv_bytes(),
            other => other,
        });
        assert_eq!(received.into_iter().find(|one| *one != Err(TryRecvError::Empty)), Some(Ok(message.clone())));
    });
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

#[test]
fn a_full_channel_gives_the_message_back() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = least();
    sender.try_send(vec![1; 22]).unwrap();
    assert_eq!(sender.try_send(vec![2; 22]), Err(TrySendError::Full(vec![2; 22])));
    let began = Instant::now();
    assert_eq!(sender.send_timeout(vec![3; 22], MOMENT), Err(TrySendError::Full(vec![3; 22])));
    assert!(began.elapsed() >= MOMENT);
    assert_eq!(receiver.try_recv(), Ok(vec![1; 22]));
    sender.try_send(vec![4; 22]).unwrap();
    assert_eq!(receiver.try_recv(), Ok(vec![4; 22]));
}

#[test]
fn a_try_of_what_never_fits_says_so() {
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
    let Err(TrySendError::Failed { error, .. }) = sender.try_send_bytes(&[0; 1024]) else { panic!("sent") };
    assert_eq!(error.to_string(), "a message of 1024 bytes is too large for a channel of messages up to 960 bytes");
    sender.try_send_bytes(&[1; 900]).unwrap();
    assert_eq!(sender.try_send_bytes(&[2; 900]), Err(TrySendError::Full(())));
    assert_eq!(receiver.try_recv_bytes(), Ok(vec![1; 900]));
}

#[test]
fn waits_end_when_the_time_is_up_and_not_before() {
    let _watchdog = watchdog();
    let (_sender, mut receiver) = channel::<u32>().unwrap();
    let timed = |wait: &mut dyn FnMut()| {
        let began = Instant::now();
        wait();
        assert!(began.elapsed() >= MOMENT);
    };
    timed(&mut || assert_eq!(receiver.recv_timeout(MOMENT), Err(TryRecvError::Empty)));
    timed(&mut || assert_eq!(receiver.recv_bytes_timeout(MOMENT), Err(TryRecvError::Empty)));
    timed(&mut || assert_eq!(receiver.poll(MOMENT), Ok(false)));
    timed(&mut || assert!(receiver.recv_ref_timeout(MOMENT).is_err()));
}

#[test]
fn a_message_given_up_half_way_is_not_received() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
    assert_eq!(sender.send_bytes_timeout(&[1; 5000], MOMENT), Err(TrySendError::Full(())));
    assert_eq!(receiver.recv_bytes_timeout(MOMENT), Err(TryRecvError::Empty));
    sender.send_bytes(b"next").unwrap();
    assert_eq!(receiver.recv_bytes(), Ok(b"next".to_vec()));
    assert_eq!(sender.send_bytes_timeout(&[1; 5000], MOMENT), Err(TrySendError::Full(())));
    let sending = thread::spawn(move || sender.send_bytes(&[3; 7000]));
    assert_eq!(receiver.recv_bytes(), Ok(vec![3; 7000]));
    sending.join().unwrap().unwrap();
}

#[test]
fn a_buffer_that_is_too_short_keeps_the_message() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
    let mut buffer = [0; 4000];
    for length in [5, 3000] {
        thread::scope(|scope| {
            scope.spawn(|| sender.send_bytes(&bytes(length, 1)).unwrap());
            let too_short = BufferTooShort { message: length, buffer: length - 1 };
            for _ in 0..2 {
                let refused = receiver.recv_bytes_into(&mut buffer[..length - 1]);
                assert_eq!(refused, Err(RecvIntoError::BufferTooShort(too_short)));
            }
            assert_eq!(receiver.recv_bytes_into(&mut buffer), Ok(length));
            assert_eq!(buffer[..length], bytes(length, 1));
        });
    }
}

#[test]
fn a_message_in_place_is_there_until_its_reference_goes() {
    let (mut sender, mut receiver) = least();
    sender.send_bytes(&[1; 24]).unwrap();
    let message = receiver.recv_ref().unwrap();
    assert_eq!(sender.try_send_bytes(&[2; 24]), Err(TrySendError::Full(())));
    assert_eq!(*message, [1; 24]);
    drop(message);
    sender.try_send_bytes(&[2; 24]).unwrap();
    assert_eq!(*receiver.recv_ref().unwrap(), [2; 24]);
    assert!(receiver.try_recv_ref().is_err());
}

#[test]
fn readers_and_writers_know_no_boundaries() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(256).channel::<()>().unwrap();
    let text = bytes(10_000, 3);
    thread::scope(|scope| {
        scope.spawn(|| {
            sender.send_bytes(b"").unwrap();
            sender.writer().write_all(&text).unwrap();
            sender.send_bytes(&text).unwrap();
            drop(sender);
        });
        let mut beginning = [0; 7];
        receiver.reader().read_exact(&mut beginning).unwrap();
        assert_eq!(beginning, text[..7]);
        let mut rest = receiver.recv_bytes().unwrap();
        receiver.reader().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [&text[7..], &text].concat());
    });
    let (mut sender, receiver) = channel::<()>().unwrap();
    drop(receiver);
    assert_eq!(sender.writer().write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn a_message_that_is_no_such_value_is_an_error_and_gone() {
    let (mut sender, mut receiver) = channel::<bool>().unwrap();
    sender.send_bytes(&[7]).unwrap();
    sender.send(true).unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Failed(Error::Decode { .. }))));
    assert_eq!(receiver.recv(), Ok(true));
}

#[test]
fn a_message_that_cannot_be_encoded_comes_back() {
    let (mut sender, mut receiver) = channel::<Option<Sender<u8>>>().unwrap();
    let (inner, mut other) = channel::<u8>().unwrap();
    let Err(SendError::Failed { message, error: Error::HandleOutsideTransfer }) = sender.send(Some(inner)) else {
        panic!("an end travels with processes only");
    };
    message.unwrap().send(3).unwrap();
    assert_eq!(other.recv(), Ok(3));
    assert_eq!(receiver.try_recv().map(drop), Err(TryRecvError::Empty));
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

#[test]
fn a_forked_copy_is_no_end() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel::<u32>().unwrap();
    // SAFETY: the child calls nothing that another thread may have locked, and exits.
    match unsafe { libc::fork() } {
        0 => {
            let refused = matches!(sender.send(1), Err(SendError::Failed { error: Error::GivenAway { .. }, .. }))
                && matches!(receiver.try_recv(), Err(TryRecvError::Failed(Error::GivenAway { .. })));
            drop(sender);
            drop(receiver);
            // SAFETY: ends the child at once, without destructors.
            unsafe { libc::_exit(i32::from(!refused)) }
        }
        child => {
            let mut status = -1;
            // SAFETY: `child` is ours, and `status` outlives the call.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0);
        }
    }
    sender.send(2).unwrap();
    assert_eq!(receiver.recv(), Ok(2));
}

/// Numbers that look random, from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn random_operations_agree_with_a_plain_queue() {
    let _watchdog = watchdog();
    let seed = std::env::var("CROSSPROC_SEED").map_or_else(
        |_| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1,
        |seed| seed.parse().unwrap(),
    );
    println!("CROSSPROC_SEED={seed}");
    let mut random = Random(seed);
    for round in 0..if cfg!(debug_assertions) { 30 } else { 300 } {
        let capacity = 64 << random.below(6);
        let (mut sender, mut receiver) = PipeBuilder::new().capacity(capacity).channel::<()>().unwrap();
        let mut expected: VecDeque<Vec<u8>> = VecDeque::new();
        let mut buffer = vec![0; 2 * capacity];
        for step in 0..1000 {
            let message = bytes(random.below(capacity as u64 + 16) as usize, step);
            match random.below(7) {
                0..3 => match sender.try_send_bytes(&message) {
                    Ok(()) => expected.push_back(message),
                    Err(TrySendError::Full(())) => assert!(!expected.is_empty() || message.len() > capacity / 2 - 8),
                    Err(TrySendError::Failed { error: Error::TooLarge { .. }, .. }) => {
                        assert!(message.len() > capacity / 2 - 8);
                    }
                    other => panic!("round {round}, step {step}: {other:?}"),
                },
                3 => assert_eq!(receiver.try_recv_bytes().ok(), expected.pop_front()),
                4 => {
                    let length = receiver.try_recv_bytes_into(&mut buffer).ok();
                    assert_eq!(length.map(|length| buffer[..length].to_vec()), expected.pop_front());
                }
                5 => assert_eq!(receiver.try_recv_ref().ok().map(|message| message.to_vec()), expected.pop_front()),
                _ => assert_eq!(receiver.poll(Duration::ZERO), Ok(!expected.is_empty())),
            }
        }
        drop(sender);
        for message in expected {
            assert_eq!(receiver.recv_bytes(), Ok(message));
        }
        assert_eq!(receiver.recv_bytes(), Err(RecvError::EndOfFile));
    }
}

#[test]
fn a_stream_makes_no_system_call_for_a_message() {
    let _watchdog = watchdog();
    const MESSAGES: u64 = common::queueing::many(100_000);
    let calls = system_calls(|| {
        // Made in the copy, since an end of ours is none of its own.
        let (mut sender, mut receiver) = channel::<u64>().unwrap();
        let bytes = [7; 500];
        let mut buffer = [0; 500];
        (0..MESSAGES).all(|number| {
            sender.send(number).unwrap();
            sender.send_bytes(&bytes).unwrap();
            receiver.recv() == Ok(number) && receiver.recv_bytes_into(&mut buffer) == Ok(500) && buffer == bytes
        })
    });
    assert!(calls < 1_000, "{calls} system calls for {} messages", 2 * MESSAGES);
}
