//! One connection to a server: bytes out, answers in, each within a time.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use redis::{Cmd, ConnectionAddr, ConnectionInfo, Parser, Value};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::sys::clock::Deadline;
use crate::sys::connect::connect as connect_unix;
use crate::sys::fork;
use crate::sys::poll::{self, Ready};

/// A connection that is in step: every request has had its answer.
pub(crate) struct Link {
    stream: Box<dyn Stream>,
    parser: Parser,
    /// Which process has made it: a forked copy shares the socket, and must not use it.
    generation: u32,
    /// Which process the server is, and its number for this connection, where it tells.
    pub(crate) seat: Option<Seat>,
}

/// A connection as the server knows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) server: String,
    pub(crate) client: i64,
}

/// Why an answer has not come.
pub(crate) struct Broken {
    pub(crate) reason: String,
    /// Whether the server may have got the request.
    pub(crate) was_sent: bool,
    /// Whether the server does not let us in, which it will not another time.
    pub(crate) is_refused: bool,
}

trait Stream: Read + Write + Send {
    /// Until when what is read and written from now on is waited for.
    fn wait_until(&mut self, deadline: Deadline);
    fn descriptor(&self) -> BorrowedFd<'_>;
}

/// A socket that does not block. Its calls wait for the other end until the deadline, whatever signals come, and however little comes at a
/// time.
struct Patient<S> {
    socket: S,
    deadline: Deadline,
    /// The last read has filled all there was room for: the next one need not be waited for.
    has_more: bool,
}

impl<S: AsFd> Patient<S> {
    fn new(socket: S) -> Self {
        Patient { socket, deadline: Deadline::NEVER, has_more: false }
    }

    fn wait(&self, what: Ready) -> io::Result<()> {
        match poll::one(self.socket.as_fd(), what, self.deadline)? {
            true => Ok(()),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// For who takes bytes that come without an end.
    fn check_time(&self) -> io::Result<()> {
        if self.deadline.has_passed() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl<S: Read + AsFd> Read for Patient<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.check_time()?;
            // An answer takes its time: to try first would be one call more.
            if !self.has_more {
                self.wait(Ready::ToRead)?;
            }
            self.has_more = false;
            match self.socket.read(buffer) {
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                done => {
                    self.has_more = done.as_ref().is_ok_and(|&count| count == buffer.len());
                    return done;
                }
            }
        }
    }
}

impl<S: Write + AsFd> Write for Patient<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.check_time()?;
            // Mostly there is room: to wait first would be one call more.
            match self.socket.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(Ready::ToWrite)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Read + Write + AsFd + Send> Stream for Patient<S> {
    fn wait_until(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Stream for StreamOwned<ClientConnection, Patient<TcpStream>> {
    fn wait_until(&mut self, deadline: Deadline) {
        self.sock.wait_until(deadline);
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.sock.descriptor()
    }
}

impl Link {
    /// A new connection, signed in.
    pub(crate) fn open(info: &ConnectionInfo, deadline: Deadline) -> Result<Self, Broken> {
        let unsent = |error: io::Error| Broken { reason: error.to_string(), was_sent: false, is_refused: false };
        let stream = connect(info.addr(), deadline).map_err(unsent)?;
        let generation = fork::generation();
        let mut link = Link { stream, parser: Parser::new(), generation, seat: None };
        link.sign_in(info, deadline).map_err(|broken| Broken { was_sent: false, ..broken })?;
        Ok(link)
    }

    fn sign_in(&mut self, info: &ConnectionInfo, deadline: Deadline) -> Result<(), Broken> {
        let settings = info.redis_settings();
        if let Some(password) = settings.password() {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            self.demand(auth.arg(password), deadline)?;
        }
        if settings.db() != 0 {
            self.demand(redis::cmd("SELECT").arg(settings.db()), deadline)?;
        }
        // All three are for telling a server not to carry out what we have given up: whoever may not ask does without.
        let nobody = i64::MAX;
        let kill = self.ask_ready(redis::cmd("CLIENT").arg("KILL").arg("ID").arg(nobody), deadline)?;
        let client = self.ask_ready(redis::cmd("CLIENT").arg("ID"), deadline)?;
        let server = self.ask_ready(redis::cmd("INFO").arg("server"), deadline)?;
        if let (Value::Int(_), Value::Int(client), Value::BulkString(text)) = (kill, client, server) {
            let text = String::from_utf8_lossy(&text);
            let server = text.lines().find_map(|line| line.strip_prefix("run_id:"));
            self.seat = server.map(|server| Seat { server: server.to_owned(), client });
        }
        Ok(())
    }

    /// As [`ask`](Self::ask), of a server that may have no time or room for us just now: it is to be tried again.
    fn ask_ready(&mut self, request: &Cmd, deadline: Deadline) -> Result<Value, Broken> {
        let later = |reason: &str| Broken { reason: reason.to_owned(), was_sent: false, is_refused: false };
        match self.ask(request, deadline)? {
            Value::ServerError(error) if matches!(error.code(), "BUSY" | "LOADING" | "MASTERDOWN") => {
                Err(later(error.code()))
            }
            // It has closed the connection, and may take another one as soon as somebody else's ends.
            Value::ServerError(error)
                if error.details().is_some_and(|details| details.starts_with("max number of clients")) =>
            {
                Err(later("it has as many clients as it may have"))
            }
            answer => Ok(answer),
        }
    }

    /// As [`ask`](Self::ask), of which nothing but success will do.
    fn demand(&mut self, request: &Cmd, deadline: Deadline) -> Result<(), Broken> {
        match self.ask_ready(request, deadline)? {
            // The server's text may repeat what it was told.
            Value::ServerError(error) => {
                let is_refused = matches!(error.code(), "WRONGPASS" | "NOAUTH" | "NOPERM" | "ERR");
                Err(Broken { reason: format!("it answers {}", error.code()), was_sent: false, is_refused })
            }
            _ => Ok(()),
        }
    }

    /// The answer to a request, which may be an error of the server's. After a failure the connection is out of step, and must not be used.
    pub(crate) fn ask(&mut self, request: &Cmd, deadline: Deadline) -> Result<Value, Broken> {
        self.send(&request.get_packed_command(), deadline)?;
        self.receive(deadline)
    }

    /// Sends requests whose answers will be received in their order.
    pub(crate) fn send(&mut self, requests: &[u8], deadline: Deadline) -> Result<(), Broken> {
        self.wait_until(deadline, false)?;
        let mut rest = requests;
        while !rest.is_empty() {
            // A connection that the server has closed meanwhile takes nothing. What was written in part may be more than one request.
            let was_sent = rest.len() < requests.len();
            match self.stream.write(rest) {
                Ok(0) => return Err(broken(&io::ErrorKind::WriteZero.into(), was_sent)),
                Ok(written) => rest = &rest[written..],
                Err(error) => return Err(broken(&error, was_sent)),
            }
        }
        self.stream.flush().map_err(|error| broken(&error, true))
    }

    pub(crate) fn receive(&mut self, deadline: Deadline) -> Result<Value, Broken> {
        self.wait_until(deadline, true)?;
        let broken = |reason: String| Broken { reason, was_sent: true, is_refused: false };
        match self.parser.parse_value(&mut self.stream) {
            Ok(Value::Push { .. } | Value::Attribute { .. }) => Err(broken("it says what it was not asked".to_owned())),
            Ok(answer) => Ok(answer),
            Err(error) if error.is_timeout() => Err(broken("it does not answer in time".to_owned())),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    fn wait_until(&mut self, deadline: Deadline, was_sent: bool) -> Result<(), Broken> {
        if deadline.has_passed() {
            return Err(Broken { reason: "it does not answer in time".to_owned(), was_sent, is_refused: false });
        }
        self.stream.wait_until(deadline);
        Ok(())
    }

    /// Whether this process has made it, and not the one that it is a forked copy of.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Whether it is known to be of this process of the server.
    pub(crate) fn is_at(&self, server: &str) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.server == server)
    }

    /// Whether the server has not closed it.
    pub(crate) fn is_good(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        // Whatever there is to read before anything was asked is an end.
        poll::readable(&[self.stream.descriptor()], now).is_ok_and(|ready| ready.is_empty())
    }
}

fn broken(error: &io::Error, was_sent: bool) -> Broken {
    let is_late = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    let reason = if is_late { "it does not take a request in time".to_owned() } else { error.to_string() };
    Broken { reason, was_sent, is_refused: false }
}

fn connect(address: &ConnectionAddr, deadline: Deadline) -> io::Result<Box<dyn Stream>> {
    match address {
        ConnectionAddr::Tcp(host, port) => Ok(Box::new(Patient::new(connect_tcp(host, *port, deadline)?))),
        ConnectionAddr::TcpTls { host, port, .. } => {
            let socket = Patient::new(connect_tcp(host, *port, deadline)?);
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let connection = ClientConnection::new(trust()?, name).map_err(io::Error::other)?;
            Ok(Box::new(StreamOwned::new(connection, socket)))
        }
        ConnectionAddr::Unix(path) => {
            let socket = connect_unix(path, deadline)?;
            socket.set_nonblocking(true)?;
            Ok(Box::new(Patient::new(socket)))
        }
        other => Err(io::Error::other(format!("{other} is of a kind that is not supported"))),
    }
}

fn left(deadline: Deadline) -> io::Result<Duration> {
    match deadline.remaining() {
        Some(left) if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left.unwrap_or(Duration::from_secs(3600))),
    }
}

fn connect_tcp(host: &str, port: u16, deadline: Deadline) -> io::Result<TcpStream> {
    let mut last = io::Error::other("its name has no address");
    for address in resolve(host, port, deadline)? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(socket) => {
                // A request is one write, whose answer is waited for.
                socket.set_nodelay(true)?;
                socket.set_nonblocking(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Nobody can interrupt who looks a name up, which may take half a minute (resolv.conf(5): 5 s, twice, for each of three servers): a
/// thread does, and what it finds too late is for nobody.
fn resolve(host: &str, port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let (tell, told) = mpsc::sync_channel(1);
    let host = host.to_owned();
    thread::Builder::new().name("crossproc-resolve".into()).spawn(move || {
        let _ = tell.send((&*host, port).to_socket_addrs().map(Vec::from_iter));
    })?;
    told.recv_timeout(left(deadline)?).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Whom this machine trusts to say who a server is; `SSL_CERT_FILE` names others.
fn trust() -> io::Result<Arc<ClientConfig>> {
    static TRUST: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(known) = TRUST.get() {
        return Ok(Arc::clone(known));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(io::Error::other(format!("no certificate authorities are known here{errors}")));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::clone(fork::fill(&TRUST, Arc::new(config))))
}
