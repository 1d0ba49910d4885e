//! Which connections are used again, and what is said of strange answers, by a server that says what it is told to say.

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redis::{Parser, Value};

use super::{Server, until, watchdog};
use crate::error::Error;
use crate::remote::address::Address;
use crate::remote::client::{Client, Effect, Failed};
use crate::remote::event::Event;
use crate::remote::lua::lua;
use crate::remote::session::Session;
use crate::sys::clock::Deadline;
use crate::sys::connect::connect;

/// It lets everybody in, and answers to scripts what it is told.
struct Parrot {
    socket: PathBuf,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    answers: Mutex<VecDeque<&'static str>>,
    /// Over which connections scripts were asked for.
    asked: Mutex<Vec<usize>>,
    is_over: AtomicBool,
}

impl Parrot {
    fn new(answers: &[&'static str]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let socket = std::env::temp_dir().join(format!("crossproc-parrot-{}-{number}", std::process::id()));
        let listener = UnixListener::bind(&socket).unwrap();
        let answers = Mutex::new(answers.iter().copied().collect());
        let shared = Arc::new(Shared { answers, asked: Mutex::default(), is_over: AtomicBool::new(false) });
        let for_clients = Arc::clone(&shared);
        let listener = thread::spawn(move || {
            thread::scope(|scope| {
                for (number, client) in listener.incoming().enumerate() {
                    if for_clients.is_over.load(Relaxed) {
                        break;
                    }
                    let shared = &for_clients;
                    scope.spawn(move || shared.serve(number, client.unwrap()));
                }
            });
        });
        Parrot { socket, shared, listener: Some(listener) }
    }
}

impl Drop for Parrot {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        let _ = UnixStream::connect(&self.socket);
        let _ = self.listener.take().map(JoinHandle::join);
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Shared {
    fn serve(&self, number: usize, mut client: UnixStream) {
        let mut parser = Parser::new();
        while let Ok(Value::Array(words)) = parser.parse_value(&mut client) {
            let answer = match &words[0] {
                Value::BulkString(word) if word == b"CLIENT" => ":1\r\n",
                Value::BulkString(word) if word == b"INFO" => "$8\r\nrun_id:x\r\n",
                _ => {
                    self.asked.lock().unwrap().push(number);
                    self.answers.lock().unwrap().pop_front().unwrap_or("-ERR no more\r\n")
                }
            };
            if client.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

#[test]
fn only_a_connection_in_step_is_used_again() {
    let parrot =
        Parrot::new(&[":1\r\n", "-ERR Protocol error: what\r\n", ":2\r\n", ":3\r\n", ">1\r\n:4\r\n", ":5\r\n"]);
    let address = Address::parse(&format!("unix://{}", parrot.socket.display())).unwrap();
    let client = Client::new(address).unwrap();
    let ask = || match client.run(lua!("anything", "semaphore/numbers.lua"), Effect::Nothing, |_| {}) {
        Ok(answer) => answer,
        Err(Failed::Other(Error::Refused { .. })) => Value::Nil,
        Err(_) => panic!("another error"),
    };
    assert_eq!(ask(), Value::Int(1));
    assert_eq!(ask(), Value::Nil); // it lost its place
    assert_eq!(ask(), Value::Int(2));
    let strange = client.distrust("anything", &Value::Int(2));
    assert!(matches!(strange, Error::Unanswered { .. }), "nobody knows what it has done");
    assert!(strange.to_string().ends_with("it says a number, which is no answer to that"), "{strange}");
    assert_eq!(ask(), Value::Int(3));
    assert_eq!(ask(), Value::Int(5), "what was not asked for is no answer");
    assert_eq!(*parrot.shared.asked.lock().unwrap(), [0, 0, 1, 2, 2, 3]);
    drop(client);
}

#[test]
fn an_answer_of_another_form_is_none() {
    let server = Server::start();
    let session = Session::at(&server.address("")).unwrap();
    let event = Event::make(&session).unwrap();
    let key = format!("crossproc:o:{}", event.hold().object());
    server.ask(&format!("EVAL return(redis.call('HSET','{key}','times','\\255')) 0"));
    let strange = event.is_set().unwrap_err();
    assert!(matches!(strange, Error::Unanswered { .. }), "{strange}");
    server.ask(&format!("HSET {key} times 0"));
    assert_eq!(event.is_set(), Ok(false));
}

/// The connections that a thread has of servers that others have done with go.
#[test]
fn a_thread_keeps_no_connections_of_those_who_have_gone() {
    let server = Server::start();
    let clients = || {
        let Value::BulkString(text) = server.ask("INFO clients") else { panic!("no text") };
        let text = String::from_utf8(text).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("connected_clients:"));
        count.unwrap().parse::<u32>().unwrap()
    };
    let (give, given) = std::sync::mpsc::channel::<Arc<Event>>();
    let (told, heard) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for event in given {
                told.send(event.is_set()).unwrap();
            }
        });
        for turn in 0..20 {
            let session = Session::at(&server.address(&format!("lease_ms={}", 10_000 + turn))).unwrap();
            let event = Arc::new(Event::make(&session).unwrap());
            give.send(Arc::clone(&event)).unwrap();
            assert_eq!(heard.recv().unwrap(), Ok(false));
            until("it to be ours alone", || Arc::strong_count(&event) == 1);
        }
        // The one that asks, and the thread's last.
        until("the connections to go", || clients() <= 3);
        drop(give);
    });
}

/// A server that is stopped lets nobody in once so many wait that it has no room for more.
#[test]
fn a_stopped_server_is_waited_for_no_longer_than_told() {
    let server = Server::start();
    let client = Client::new(server.address("timeout_ms=200")).unwrap();
    server.stop();
    let mut waiting = Vec::new();
    while let Ok(connection) = connect(&server.socket(), Deadline::after(Duration::from_millis(50))) {
        waiting.push(connection);
    }
    let told = client.run(lua!("anything", "semaphore/numbers.lua"), Effect::Once, |_| {});
    assert!(matches!(told, Err(Failed::Other(Error::Unreachable { .. }))));
    server.go_on();
    drop(waiting);
}

/// Each byte comes in time, and the answer does not.
#[test]
fn a_server_that_drips_is_waited_for_no_longer_than_told() {
    let _watchdog = watchdog();
    let socket = std::env::temp_dir().join(format!("crossproc-drip-{}", std::process::id()));
    let listener = UnixListener::bind(&socket).unwrap();
    let address = Address::parse(&format!("unix://{}?timeout_ms=300", socket.display())).unwrap();
    thread::scope(|scope| {
        let asking = scope.spawn(move || {
            let client = Client::new(address).unwrap();
            client.run(lua!("anything", "semaphore/numbers.lua"), Effect::Once, |_| {})
        });
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"$1000000\r\n").unwrap();
        // Until it hangs up.
        while client.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        let told = asking.join().unwrap();
        assert!(matches!(told, Err(Failed::Other(Error::Unreachable { .. }))));
    });
    std::fs::remove_file(&socket).unwrap();
}

#[test]
fn a_server_that_has_no_room_for_more_clients_is_asked_again() {
    let parrot = Parrot::new(&["-ERR max number of clients reached\r\n", "+OK\r\n", ":7\r\n"]);
    let address = Address::parse(&format!("unix://{}?pass=secret", parrot.socket.display())).unwrap();
    let client = Client::new(address).unwrap();
    let told = client.run(lua!("anything", "semaphore/numbers.lua"), Effect::Nothing, |_| {});
    assert!(matches!(told, Ok(Value::Int(7))));
    drop(client);
}

#[test]
fn a_server_that_lets_nobody_in_is_asked_once() {
    let parrot = Parrot::new(&["-ERR invalid password\r\n", "+OK\r\n", ":7\r\n"]);
    let address = Address::parse(&format!("unix://{}?pass=secret", parrot.socket.display())).unwrap();
    let client = Client::new(address).unwrap();
    let told = client.run(lua!("anything", "semaphore/numbers.lua"), Effect::Nothing, |_| {});
    assert!(matches!(told, Err(Failed::Other(Error::Refused { .. }))));
    drop(client);
}
