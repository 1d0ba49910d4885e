//! Somebody between a server's clients and the server, who loses what he is told to lose.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// It listens on a socket next to the server's, and ends with this.
pub(crate) struct Proxy {
    socket: PathBuf,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Requests,
    Answers,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    is_over: AtomicBool,
}

#[derive(Default)]
struct State {
    /// After so many more bytes that way all connections are cut.
    cut: Option<(Way, usize)>,
    swallows_answers: bool,
    /// Of connections up to this one, requests are held back.
    held: u64,
    connections: u64,
    /// Both ends of each, by number.
    open: Vec<(u64, UnixStream, UnixStream)>,
    cuts: u32,
    /// What comes before a cut is still on its way.
    is_cutting: bool,
    /// Requests that are on their way through here, or held back.
    inside: u32,
}

impl Proxy {
    pub(crate) fn start(server: &Path) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let (server, socket) = (server.to_owned(), server.with_file_name(format!("proxy-{number}")));
        let shared =
            Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), is_over: AtomicBool::new(false) });
        let (listener, for_clients) = (UnixListener::bind(&socket).unwrap(), Arc::clone(&shared));
        let listener = thread::spawn(move || for_clients.listen(&listener, &server));
        Proxy { socket, shared, listener: Some(listener) }
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Cuts all connections once so many more bytes have got through on this way: the rest is lost. One time.
    pub(crate) fn cut_after(&self, way: Way, bytes: usize) {
        self.shared.lock().cut = Some((way, bytes));
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.shared.lock().sever();
    }

    /// How often it has cut them after so many bytes; it does so no more, and loses no answers.
    pub(crate) fn heal(&self) -> u32 {
        let mut state = self.shared.lock();
        while state.is_cutting {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.cut = None;
        state.swallows_answers = false;
        state.cuts
    }

    /// Loses every answer from now on; the requests get through.
    pub(crate) fn swallow_answers(&self) {
        self.shared.lock().swallows_answers = true;
    }

    /// Holds back what comes over the connections that there are. New ones work.
    pub(crate) fn hold_requests(&self) {
        let mut state = self.shared.lock();
        state.held = state.connections;
    }

    /// Sends to the server what was held back, also if its client has gone meanwhile; returns when it has.
    pub(crate) fn release(&self) {
        let mut state = self.shared.lock();
        state.held = 0;
        self.shared.changed.notify_all();
        while state.inside > 0 {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        {
            let mut state = self.shared.lock();
            state.held = 0;
            state.sever();
            self.shared.changed.notify_all();
        }
        // The listener looks once more.
        let _ = UnixStream::connect(&self.socket);
        let _ = self.listener.take().map(JoinHandle::join);
    }
}

impl State {
    fn sever(&mut self) {
        for (_, client, server) in self.open.drain(..) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// How many of these bytes get through, and whether everything is cut behind them.
    fn admit(&mut self, way: Way, bytes: usize) -> (usize, bool) {
        match &mut self.cut {
            Some((cut, left)) if *cut == way && bytes >= *left => {
                let left = *left;
                self.cut = None;
                self.cuts += 1;
                self.is_cutting = true;
                (left, true)
            }
            Some((cut, left)) if *cut == way => {
                *left -= bytes;
                (bytes, false)
            }
            _ => (bytes, false),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(self: Arc<Self>, listener: &UnixListener, server: &Path) {
        thread::scope(|scope| {
            while let Ok((client, _)) = listener.accept() {
                if self.is_over.load(Ordering::Relaxed) {
                    break;
                }
                // A server that is not there: the client's connection ends, too.
                let Ok(server) = UnixStream::connect(server) else { continue };
                let number = {
                    let mut state = self.lock();
                    state.connections += 1;
                    let number = state.connections;
                    state.open.push((number, client.try_clone().unwrap(), server.try_clone().unwrap()));
                    number
                };
                let (shared, to, from) = (&self, server.try_clone().unwrap(), client.try_clone().unwrap());
                scope.spawn(move || shared.carry(Way::Requests, number, from, to));
                let shared = &self;
                scope.spawn(move || shared.carry(Way::Answers, number, server, client));
            }
            self.lock().sever();
        });
    }

    fn carry(&self, way: Way, number: u64, mut from: UnixStream, mut to: UnixStream) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let mut state = self.lock();
            if way == Way::Requests {
                state.inside += 1;
                while number <= state.held {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
            let (through, is_cut) = state.admit(way, length);
            let is_lost = way == Way::Answers && state.swallows_answers;
            drop(state);
            let is_sent = is_lost || to.write_all(&buffer[..through]).is_ok();
            let mut state = self.lock();
            if way == Way::Requests {
                state.inside -= 1;
                self.changed.notify_all();
            }
            if is_cut {
                state.sever();
                state.is_cutting = false;
                self.changed.notify_all();
            }
            if is_cut || !is_sent {
                break;
            }
        }
        // What one side has ended, the other learns of, when it has had all that is on its way.
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
        let mut state = self.lock();
        if way == Way::Answers {
            state.open.retain(|(open, ..)| *open != number);
        }
    }
}
