//! `channel` and `pipe`: what arrives, in every form, within a process and across processes.

mod common;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::piping::{bytes, echo, least};
use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{
    BufferTooShort, Error, PipeBuilder, Process, RecvError, RecvIntoError, SendError, Sender, TryRecvError,
    TrySendError, channel,
};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

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

    // So small that what fits in one record is more than what would in pieces.
    for (capacity, most) in [(64, 24), (128, 64), (256, 192)] {
        let (mut sender, _receiver) = PipeBuilder::new().capacity(capacity).channel::<()>().unwrap();
        let refused = sender.try_send_bytes(&[0; 256][..most + 1]);
        let Err(TrySendError::Failed { error: Error::TooLarge { limit, .. }, .. }) = refused else { panic!("sent") };
        assert_eq!(limit, most);
        assert_eq!(sender.try_send_bytes(&[0; 256][..most]), Ok(()));
    }
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
fn an_iterator_gives_all_messages_up_to_the_end() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel::<bool>().unwrap();
    sender.send(true).unwrap();
    sender.send_bytes(&[7]).unwrap();
    sender.send(false).unwrap();
    drop(sender);
    let mut messages = receiver.iter();
    assert_eq!(messages.next(), Some(Ok(true)));
    assert!(matches!(messages.next(), Some(Err(RecvError::Failed(Error::Decode { .. })))));
    assert_eq!([messages.next(), messages.next(), messages.next()], [Some(Ok(false)), None, None]);
    assert_eq!((&mut receiver).into_iter().count(), 0);
}

#[test]
fn what_a_try_found_is_an_error_of_input() {
    let (sender, mut receiver) = channel::<u8>().unwrap();
    let mut kind = || io::Error::from(receiver.try_recv().unwrap_err()).kind();
    assert_eq!(kind(), io::ErrorKind::WouldBlock);
    drop(sender);
    assert_eq!(kind(), io::ErrorKind::UnexpectedEof);
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
