//! Bytes to a server and from it, within a time, over TLS or not.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use redis::ConnectionAddr;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::link::Broken;
use crate::sys::clock::Deadline;
use crate::sys::connect::{connect as connect_unix, send};
use crate::sys::fork;
use crate::sys::poll::{self, Ready};

/// What is refused where a certificate is not accepted, by whichever side.
pub(super) const OVER_TLS: &str = "a connection over TLS";

pub(super) trait Stream: Read + Write + Send {
    /// Until when what is read and written from now on is waited for.
    fn wait_until(&mut self, deadline: Deadline);
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Why a certificate was not accepted, of either side.
    fn distrusted(&mut self) -> Option<String> {
        None
    }
}

/// A socket whose calls wait for the other end until the deadline, whatever signals come, and however little comes at a time.
struct Patient<S> {
    socket: S,
    deadline: Deadline,
}

/// A read from a socket takes so long at most (`SO_RCVTIMEO`): who has more time reads without asking first whether there is something,
/// which would be one call more in each request. A guess: who waits for long is woken once in that time.
const READ: Duration = Duration::from_secs(1);

impl<S: AsFd> Patient<S> {
    /// Of a socket that blocks, for [`READ`].
    fn new(socket: S) -> Self {
        Patient { socket, deadline: Deadline::NEVER }
    }

    fn wait(&self, what: Ready) -> io::Result<()> {
        match poll::one(self.socket.as_fd(), what, self.deadline)? {
            true => Ok(()),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl<S: Read + AsFd> Read for Patient<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Also of bytes that come without an end.
            if left(self.deadline)? < READ {
                self.wait(Ready::ToRead)?;
            }
            match self.socket.read(buffer) {
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                done => return done,
            }
        }
    }
}

impl<S: AsFd> Write for Patient<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            left(self.deadline)?;
            // Mostly there is room: to wait first would be one call more.
            match send(self.socket.as_fd(), bytes) {
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

impl<S: Read + AsFd + Send> Stream for Patient<S> {
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

    fn distrusted(&mut self) -> Option<String> {
        // After a failure it says the same each time.
        let failure = self.conn.process_new_packets().err()?;
        is_distrust(&failure).then(|| failure.to_string())
    }
}

/// Whether a certificate is not accepted: by us of the server's, by the server of ours, or for want of one.
fn is_distrust(failure: &rustls::Error) -> bool {
    use AlertDescription as Alert;
    match failure {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => true,
        rustls::Error::AlertReceived(alert) => matches!(
            alert,
            Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired
        ),
        _ => false,
    }
}

/// A connection to an address, over TLS if it says so.
pub(super) fn connect(address: &ConnectionAddr, deadline: Deadline) -> Result<Box<dyn Stream>, Broken> {
    let failed = |error: io::Error| Broken::new(error.to_string(), false);
    let refused = |reason: String| Broken { reason, was_sent: false, refused: Some(OVER_TLS) };
    match address {
        ConnectionAddr::Tcp(host, port) => {
            Ok(Box::new(Patient::new(connect_tcp(host, *port, deadline).map_err(failed)?)))
        }
        ConnectionAddr::TcpTls { host, port, .. } => {
            let name = ServerName::try_from(host.clone()).map_err(|error| refused(error.to_string()))?;
            let trust = trust().map_err(|error| refused(error.to_string()))?;
            let connection = ClientConnection::new(trust, name).map_err(|error| refused(error.to_string()))?;
            let socket = Patient::new(connect_tcp(host, *port, deadline).map_err(failed)?);
            Ok(Box::new(StreamOwned::new(connection, socket)))
        }
        ConnectionAddr::Unix(path) => {
            let socket = connect_unix(path, deadline).map_err(failed)?;
            socket.set_read_timeout(Some(READ)).map_err(failed)?;
            Ok(Box::new(Patient::new(socket)))
        }
        other => Err(Broken::new(format!("{other} is of a kind that is not supported"), false)),
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
                socket.set_read_timeout(Some(READ))?;
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
