//! One connection to a server: bytes out, answers in, each within a time.

use std::io;
use std::time::Duration;

use redis::{Cmd, ConnectionInfo, Parser, ServerError, Value};

use super::stream::{OVER_TLS, Stream, connect};
use crate::sys::clock::Deadline;
use crate::sys::fork;
use crate::sys::poll;

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
    /// What one of us refuses, and will refuse another time.
    pub(crate) refused: Option<&'static str>,
}

impl Broken {
    pub(crate) fn new(reason: impl Into<String>, was_sent: bool) -> Self {
        Broken { reason: reason.into(), was_sent, refused: None }
    }
}

impl Link {
    /// A new connection, signed in.
    pub(crate) fn open(info: &ConnectionInfo, deadline: Deadline) -> Result<Self, Broken> {
        let stream = connect(info.addr(), deadline)?;
        let generation = fork::generation();
        let mut link = Link { stream, parser: Parser::new(), generation, seat: None };
        match link.sign_in(info, deadline) {
            Ok(()) => Ok(link),
            // TLS is agreed upon with the first bytes. A certificate does not get better.
            Err(broken) => Err(match link.stream.distrusted() {
                Some(reason) => Broken { reason, was_sent: false, refused: Some(OVER_TLS) },
                None => Broken { was_sent: false, ..broken },
            }),
        }
    }

    fn sign_in(&mut self, info: &ConnectionInfo, deadline: Deadline) -> Result<(), Broken> {
        let settings = info.redis_settings();
        if let Some(password) = settings.password() {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            // The server's text may repeat what it was told.
            self.demand(auth.arg(password), |error| error.code().to_owned(), deadline)?;
        }
        if settings.db() != 0 {
            let text = |error: &ServerError| format!("{} {}", error.code(), error.details().unwrap_or_default());
            self.demand(redis::cmd("SELECT").arg(settings.db()), text, deadline)?;
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
        let later = |reason: &str| Broken::new(reason, false);
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

    /// As [`ask`](Self::ask), of which nothing but success will do. `text`: what is told of an error.
    fn demand(
        &mut self,
        request: &Cmd,
        text: impl Fn(&ServerError) -> String,
        deadline: Deadline,
    ) -> Result<(), Broken> {
        match self.ask_ready(request, deadline)? {
            Value::ServerError(error) => {
                let is_refused = matches!(error.code(), "WRONGPASS" | "NOAUTH" | "NOPERM" | "ERR");
                let refused = is_refused.then_some("to let us in");
                Err(Broken { reason: format!("it answers {}", text(&error)), was_sent: false, refused })
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
        let broken = |reason: String| Broken::new(reason, true);
        match self.parser.parse_value(&mut self.stream) {
            Ok(Value::Push { .. } | Value::Attribute { .. }) => Err(broken("it says what it was not asked".to_owned())),
            Ok(answer) => Ok(answer),
            Err(error) if error.is_timeout() => Err(broken("it does not answer in time".to_owned())),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    fn wait_until(&mut self, deadline: Deadline, was_sent: bool) -> Result<(), Broken> {
        if deadline.has_passed() {
            return Err(Broken::new("it does not answer in time", was_sent));
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
    Broken::new(reason, was_sent)
}
