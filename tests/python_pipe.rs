//! What Python's `multiprocessing` promises for its connections and for waiting for them, as far as it applies and other
//! files do not have it: `wait` is in `poll.rs`, ends that move and what is given up half-way in `pipe.rs`.
//!
//! Not here: offsets and lengths of `send_bytes` and `recv_bytes_into` (slices), directions that a one-way pipe does not
//! have and negative timeouts (they do not compile), connections by address, and one connection in two processes.

mod common;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::locking::Stage;
use common::watchdog;
use crossproc::{
    BufferTooShort, Connection, GetError, PipeBuilder, Process, Queue, Receiver, RecvError, RecvIntoError, SendError,
    Sender, channel, pipe,
};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

type Value = (Vec<f64>, Option<String>);

fn echo(mut connection: Connection<Value, Value>) {
    while let Ok(value) = connection.recv() {
        connection.send(&value).unwrap();
        while let Ok(bytes) = connection.recv_bytes() {
            if bytes.is_empty() {
                break;
            }
            connection.send_bytes(&bytes).unwrap();
        }
    }
}

/// `_TestConnection.test_connection`: values and bytes by turns, into parts of buffers and such that are too short, a message
/// that takes its time, and a very long one; then the end, also for whoever has closed first.
#[test]
fn a_connection_carries_values_and_bytes_of_any_length() {
    let _watchdog = watchdog();
    let (mut here, there) = pipe::<Value, Value>().unwrap();
    let child = Process::spawn(echo, (there,)).unwrap();
    for value in [(vec![1.0, 2.25], None), (vec![], Some("text".to_string()))] {
        here.send(&value).unwrap();
        assert_eq!(here.recv(), Ok(value));
        here.send_bytes(b"hello world").unwrap();
        assert_eq!(here.recv_bytes().unwrap(), b"hello world");
        let mut buffer = [0; 10];
        here.send_bytes(&[1, 2, 3, 4]).unwrap();
        assert_eq!(here.recv_bytes_into(&mut buffer[3..]), Ok(4));
        assert_eq!(buffer, [0, 0, 0, 1, 2, 3, 4, 0, 0, 0]);
        here.send_bytes(&[7; 110]).unwrap();
        let refused = here.recv_bytes_into(&mut buffer);
        assert_eq!(refused, Err(RecvIntoError::BufferTooShort(BufferTooShort { message: 110, buffer: 10 })));
        assert_eq!(here.recv_bytes().unwrap(), [7; 110], "it has stayed");
        let start = Instant::now();
        assert_eq!((here.poll(Duration::ZERO), here.poll(MOMENT)), (Ok(false), Ok(false)));
        assert!(start.elapsed() >= MOMENT);
        here.send_bytes(b"x").unwrap();
        assert_eq!(here.poll(LONG), Ok(true));
        assert_eq!(here.recv_bytes().unwrap(), b"x");
        let long = vec![b'X'; 16 << 20];
        let (sender, receiver) = here.halves();
        thread::scope(|scope| {
            scope.spawn(|| sender.send_bytes(&long).unwrap());
            assert!(receiver.recv_bytes().unwrap() == long);
        });
        here.send_bytes(&[]).unwrap();
    }
    let (sender, mut receiver) = here.split();
    sender.close();
    child.join().unwrap();
    assert_eq!(receiver.recv(), Err(RecvError::EndOfFile));
    assert_eq!(receiver.recv_bytes(), Err(RecvError::EndOfFile));
}

/// `_TestConnection.test_duplex_false`, `test_spawn_close`: an end that was given away is gone here, and nobody notices there.
#[test]
fn one_way_to_a_child_that_has_not_begun() {
    let _watchdog = watchdog();
    let (mut sender, receiver) = channel::<u32>().unwrap();
    let child = Process::spawn(|mut receiver: Receiver<u32>| receiver.recv().unwrap(), (receiver,)).unwrap();
    sender.send(1).unwrap();
    sender.close();
    assert_eq!(child.join(), Ok(1));
}

/// `_TestPoll.test_empty_string`: a message without bytes is one, and polling takes nothing.
#[test]
fn an_empty_message_is_there_to_be_polled() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel::<()>().unwrap();
    assert_eq!(receiver.poll(Duration::ZERO), Ok(false));
    sender.send_bytes(&[]).unwrap();
    assert_eq!([receiver.poll(Duration::ZERO), receiver.poll(LONG)], [Ok(true), Ok(true)]);
    assert_eq!(receiver.recv_bytes().unwrap(), []);
    assert_eq!(receiver.poll(Duration::ZERO), Ok(false));
}

/// `_TestPoll.test_strings`, `test_dont_merge`: what is sent in one message comes in one, however often it was polled for.
#[test]
fn polled_messages_stay_apart() {
    let _watchdog = watchdog();
    const TEXTS: [&str; 8] = ["hello", "", "a", "b", "", "bye", "", "lop"];
    let send = |mut sender: Sender<()>, stage: Stage| {
        for (text, turn) in TEXTS.into_iter().zip(1..) {
            stage.wait_for(turn);
            sender.send_bytes(text.as_bytes()).unwrap();
        }
    };
    for is_slow in [true, false] {
        let stage = Stage::new();
        if !is_slow {
            TEXTS.iter().for_each(|_| stage.advance());
        }
        let (sender, mut receiver) = channel::<()>().unwrap();
        let child = Process::spawn(send, (sender, &stage)).unwrap();
        for text in TEXTS {
            if is_slow {
                assert_eq!(receiver.poll(Duration::ZERO), Ok(false));
                stage.advance();
            }
            for timeout in [LONG, LONG, Duration::ZERO] {
                assert_eq!(receiver.poll(timeout), Ok(true));
            }
            assert_eq!(receiver.recv_bytes().unwrap(), text.as_bytes());
        }
        child.join().unwrap();
        assert_eq!(receiver.poll(LONG), Ok(true), "the end");
    }
}

/// `_TestPoll.test_boundaries`: who polls in another process takes no part of a message out, be it in pieces.
#[test]
fn a_poll_elsewhere_leaves_messages_whole() {
    let _watchdog = watchdog();
    for length in [5, 5_000] {
        let (mut sender, receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
        let poll = |mut receiver: Receiver<()>| {
            assert_eq!(receiver.poll(LONG), Ok(true));
            receiver
        };
        let child = Process::spawn(poll, (receiver,)).unwrap();
        sender.send_bytes(&vec![1; length]).unwrap();
        let mut receiver = child.join().unwrap();
        sender.send_bytes(b"second").unwrap();
        sender.close();
        assert_eq!(receiver.recv_bytes().unwrap(), vec![1; length]);
        assert_eq!(receiver.recv_bytes().unwrap(), b"second");
        assert_eq!(receiver.recv_bytes(), Err(RecvError::EndOfFile));
    }
}

static SIGNALS: AtomicU32 = AtomicU32::new(0);

/// Runs `wait` in a thread that is sent signals, and `end` when it has got some.
fn among_signals<R: Send>(wait: impl FnOnce() -> R + Send, end: impl FnOnce()) -> R {
    extern "C" fn count(_: i32) {
        SIGNALS.fetch_add(1, SeqCst);
    }
    // SAFETY: the handler changes an atomic; no SA_RESTART.
    unsafe { libc::signal(libc::SIGUSR1, count as extern "C" fn(i32) as libc::sighandler_t) };
    let (report, waiter) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            // SAFETY: has no preconditions.
            report.send(unsafe { libc::pthread_self() }).unwrap();
            wait()
        });
        let waiter = waiter.recv().unwrap();
        let most = SIGNALS.load(SeqCst) + 50;
        while SIGNALS.load(SeqCst) < most {
            assert!(!waiting.is_finished(), "a signal has ended it");
            // SAFETY: the thread has not been joined.
            unsafe { libc::pthread_kill(waiter, libc::SIGUSR1) };
            thread::yield_now();
        }
        end();
        waiting.join().unwrap()
    })
}

/// `TestIgnoreEINTR.test_ignore`: a signal ends no wait, be it for a message, for room, or for a poll.
#[test]
fn signals_end_no_receive_and_no_send() {
    let _watchdog = watchdog();
    let (mut here, mut there) = PipeBuilder::new().capacity(64).pipe::<u32, u32>().unwrap();
    assert_eq!(among_signals(|| here.recv(), || there.send(1234).unwrap()), Ok(1234));
    assert_eq!(among_signals(|| here.poll(LONG), || there.send(5).unwrap()), Ok(true));
    assert_eq!(here.recv(), Ok(5));
    let long = vec![b'x'; 1000];
    let mut received = Vec::new();
    let sent = among_signals(|| here.send_bytes(&long).is_ok(), || received = there.recv_bytes().unwrap());
    assert!(sent && received == long);
    let queue = Queue::<u32>::new(1).unwrap();
    assert_eq!(among_signals(|| queue.get(), || queue.put(7).unwrap()), Ok(7));
    queue.put(1).unwrap();
    assert!(among_signals(|| queue.put(2).is_ok(), || assert_eq!(queue.get(), Ok(1))));
    let done = || {
        queue.task_done().unwrap();
        queue.get().unwrap();
        queue.task_done().unwrap();
        queue.task_done().unwrap();
    };
    among_signals(|| queue.join(), done);
    queue.close();
    assert_eq!(queue.get(), Err(GetError::Closed));
}

/// `_TestPicklingConnections`, which crossproc does otherwise: an end travels with a process's arguments or result, and one
/// that somebody tries to send comes back as good as before.
#[test]
fn an_end_that_cannot_be_sent_comes_back() {
    let _watchdog = watchdog();
    let (mut carrier, _other) = channel::<Sender<u32>>().unwrap();
    let (sender, mut receiver) = channel::<u32>().unwrap();
    let Err(SendError::Failed { message: mut sender, .. }) = carrier.send(sender) else { panic!("it was sent") };
    sender.send(3).unwrap();
    assert_eq!(receiver.recv(), Ok(3));
}
