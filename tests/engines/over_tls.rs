//! A server over TLS: who it is, is checked. Who to believe is read once in a process, so that each test asks from a child.

use crossproc::managed::Dict;
use crossproc::{Error, Manager, Process, Result};

use crate::common::watchdog;
use crate::redis::Server;
use crate::tls::Certificates;

/// A server that asks for a password.
struct Secured {
    certificates: Certificates,
    server: Server,
}

impl Secured {
    fn start(host: &str, others: &[&str]) -> Self {
        let certificates = Certificates::of(host);
        let options = certificates.options();
        let options = options.iter().map(String::as_str).chain(["--requirepass", "sesame"]);
        let options: Vec<&str> = options.chain(others.iter().copied()).collect();
        Secured { server: Server::at_port("tls-port", &options), certificates }
    }

    fn url(&self, host: &str) -> String {
        format!("rediss://:sesame@{host}:{}?timeout_ms=1500", self.server.port())
    }
}

/// What comes of connecting in a process that believes this authority; none: those that this machine believes.
fn connect(url: &str, authority: Option<&str>) -> Result<()> {
    let connect = |url: String| Manager::connect(&url).map(drop);
    let builder = Process::builder().env_remove("SSL_CERT_DIR");
    let builder = match authority {
        Some(file) => builder.env("SSL_CERT_FILE", file),
        None => builder.env_remove("SSL_CERT_FILE"),
    };
    builder.spawn(connect, (url,)).unwrap().join().unwrap()
}

/// That nobody is there whom it may talk to, in these words, without the password; what the reason contains.
#[track_caller]
fn assert_unreachable(told: Result<()>, reason: &str) {
    let error = told.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    for text in [format!("{error}"), format!("{error:?}")] {
        assert!(text.contains(reason) && !text.contains("sesame"), "{text}");
    }
}

/// That one of them does not accept the other's certificate, which is told at once, however long a server is tried otherwise.
#[track_caller]
fn assert_distrusted(url: &str, authority: Option<&str>, reason: &str) {
    let error = connect(&url.replace("timeout_ms=1500", "timeout_ms=600000"), authority).unwrap_err();
    assert!(matches!(&error, Error::Refused { reason: told, .. } if told.contains(reason)), "{error}");
    for text in [format!("{error}"), format!("{error:?}")] {
        assert!(text.contains("over TLS") && !text.contains("sesame"), "{text}");
    }
}

#[test]
fn who_believes_the_authority_connects_and_works() {
    fn work(url: String) -> Result<String> {
        let manager = Manager::connect(&url)?;
        let (dict, lock, queue) = (manager.at("dict").dict::<String, String>()?, manager.lock()?, manager.queue(1)?);
        let guard = lock.lock().unwrap();
        // Longer than a record of TLS, and than what a socket holds.
        for length in [1, 20_000, 3_000_000] {
            dict.insert(length.to_string(), "x".repeat(length))?;
            assert_eq!(dict.get(length.to_string())?.map(|text| text.len()), Some(length));
        }
        guard.unlock()?;
        queue.put(7).unwrap();
        assert_eq!(queue.get(), Ok(7));
        // Its handle makes a connection of its own there.
        let count = |dict: Dict<String, String>| dict.len();
        assert_eq!(Process::spawn(count, (&dict,))?.join().unwrap(), Ok(3));
        Ok(format!("{manager:?}"))
    }
    let _watchdog = watchdog();
    let secured = Secured::start("DNS:localhost", &[]);
    let builder = Process::builder().env("SSL_CERT_FILE", secured.certificates.authority());
    let shown = builder.spawn(work, (secured.url("localhost"),)).unwrap().join().unwrap().unwrap();
    assert!(shown.contains("localhost") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn who_does_not_believe_the_authority_does_not_connect() {
    let _watchdog = watchdog();
    let (secured, other) = (Secured::start("DNS:localhost", &[]), Certificates::of("DNS:localhost"));
    assert_distrusted(&secured.url("localhost"), Some(&other.authority()), "certificate");
    assert_distrusted(&secured.url("localhost"), None, "certificate");
    assert_distrusted(&secured.url("localhost"), Some("/nowhere/ca.pem"), "certificate");
}

#[test]
fn a_server_of_another_name_is_refused() {
    let _watchdog = watchdog();
    let secured = Secured::start("DNS:elsewhere.example", &[]);
    let authority = secured.certificates.authority();
    assert_distrusted(&secured.url("localhost"), Some(&authority), "not valid for name");
    assert_distrusted(&secured.url("127.0.0.1"), Some(&authority), "not valid for name");
    // No address says that it does not matter.
    let insecure = format!("{}#insecure", secured.url("localhost"));
    let refused = connect(&insecure, Some(&authority)).unwrap_err();
    assert!(matches!(refused, Error::InvalidAddress { .. }) && !refused.to_string().contains("sesame"), "{refused}");
}

#[test]
fn a_server_may_be_known_by_its_address() {
    let _watchdog = watchdog();
    let secured = Secured::start("IP:127.0.0.1", &[]);
    assert_eq!(connect(&secured.url("127.0.0.1"), Some(&secured.certificates.authority())), Ok(()));
}

#[test]
fn a_server_that_wants_to_know_the_client_is_refused() {
    let _watchdog = watchdog();
    let secured = Secured::start("DNS:localhost", &["--tls-auth-clients", "yes"]);
    assert_distrusted(&secured.url("localhost"), Some(&secured.certificates.authority()), "ertificate");
}

/// Neither hangs, and the password does not go to whoever answers.
#[test]
fn one_side_without_tls_is_an_error() {
    let _watchdog = watchdog();
    let secured = Secured::start("DNS:localhost", &[]);
    let authority = secured.certificates.authority();
    let plain = secured.url("localhost").replace("rediss:", "redis:");
    assert_unreachable(connect(&plain, Some(&authority)), "");
    let open = Server::at_port("port", &["--requirepass", "sesame"]);
    let url = format!("rediss://:sesame@localhost:{}?timeout_ms=1000", open.port());
    assert_unreachable(connect(&url, Some(&authority)), "");
    let url = url.replace("rediss:", "redis:");
    assert_eq!(connect(&url, None), Ok(()));
}

#[test]
fn a_wrong_password_is_refused_and_not_told() {
    let _watchdog = watchdog();
    let secured = Secured::start("DNS:localhost", &[]);
    let url = secured.url("localhost").replace("sesame", "barley");
    let refused = connect(&url, Some(&secured.certificates.authority())).unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("barley"), "{refused:?}");
}
