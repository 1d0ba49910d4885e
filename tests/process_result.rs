//! Results that nobody asks for, or that nobody can get.

mod common;

use std::io::Read;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use common::watchdog;
use crossproc::{
    Child, Error, Exit, Function, GetError, Process, ProcessError, Producer, Queue, Receiver, RecvError, SendError,
    Sender, channel,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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

/// What a process that runs `f` after its parent has given up asking writes to its standard error.
fn last_words<R, F: Function<(), (), Output = R>>(f: F) -> String {
    let (errors, writer) = std::io::pipe().unwrap();
    let (input, to_child) = std::io::pipe().unwrap();
    let process = Process::builder().name("worker").stdin(input).stderr(writer).spawn(f, ()).unwrap();
    let pid = process.pid();
    drop(process);
    drop(to_child);
    std::io::read_to_string(errors).unwrap().replace(&format!("({pid})"), "(PID)")
}

fn wait_for_input() {
    std::io::read_to_string(std::io::stdin()).unwrap();
}

#[derive(Serialize, Deserialize)]
struct OwnError;

#[test]
fn an_error_that_nobody_can_ask_for_is_printed() {
    let _watchdog = watchdog();
    let fail = || {
        wait_for_input();
        Err::<(), _>(Error::Exiting)
    };
    let expected = format!("crossproc: process worker (PID) failed: {}\n", Error::Exiting);
    assert_eq!(last_words(fail), expected);

    let fail = || {
        wait_for_input();
        Err::<u8, _>("no luck".to_string())
    };
    assert_eq!(last_words(fail), "crossproc: process worker (PID) failed: no luck\n");

    let fail = || {
        wait_for_input();
        Err::<(), _>(OwnError)
    };
    let words = last_words(fail);
    assert!(words.contains("worker (PID) failed: ") && words.contains("OwnError"), "{words}");

    let succeed = || {
        wait_for_input();
        Ok::<_, String>(1)
    };
    assert_eq!(last_words(succeed), "");
}

#[test]
fn a_panic_names_its_process() {
    let _watchdog = watchdog();
    let words = last_words(|| {
        wait_for_input();
        if true {
            panic!("no luck")
        }
    });
    assert!(words.starts_with("crossproc: in process worker (PID):\n") && words.contains("no luck"), "{words}");
}

/// A child that has closed all that it did not open may have opened something else since, of the same number.
#[test]
fn a_result_goes_to_nobody_but_the_parent() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let tell = |address: SocketAddr| {
        // SAFETY: not ours to close, which is the point; no memory is involved.
        assert_eq!(unsafe { libc::close_range(3, libc::c_uint::MAX, 0) }, 0);
        mem::forget(TcpStream::connect(address).unwrap());
        "secret".to_string()
    };
    let process = Process::spawn(tell, (listener.local_addr().unwrap(),)).unwrap();
    let (mut stranger, _) = listener.accept().unwrap();
    let outcome = process.join();
    assert!(matches!(outcome, Err(ProcessError::Ended { exit: Exit::Code(1), .. })), "{outcome:?}");
    let mut received = Vec::new();
    stranger.read_to_end(&mut received).unwrap();
    assert_eq!(received, []);
}

#[test]
fn a_child_that_forbids_itself_to_ask_about_sockets_answers_all_the_same() {
    let _watchdog = watchdog();
    const LOAD_WORD: u16 = 0x20;
    const SKIP_UNLESS_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let forbid = || {
        let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
        let mut steps = [
            step(LOAD_WORD, 0, 0), // the number of the system call
            step(SKIP_UNLESS_EQUAL, 1, libc::SYS_getsockopt as u32),
            step(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
        // SAFETY: changes an attribute of this thread.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
        // SAFETY: the kernel reads a program of four steps.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }, 0);
        "an answer".to_string()
    };
    assert_eq!(Process::spawn(forbid, ()).unwrap().join().unwrap(), "an answer");
}
