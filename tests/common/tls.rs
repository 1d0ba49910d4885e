//! Certificates of an authority of its own, made by the program openssl, in a folder that goes with them.

// Each test binary has its own copy and uses what it needs.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

/// An authority, and a server that it vouches for under one name.
pub(crate) struct Certificates {
    folder: PathBuf,
}

const CONFIGURATION: &str = "
[req]
distinguished_name = subject
prompt = no
[subject]
CN = a test of crossproc
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = CA:FALSE
";

impl Certificates {
    /// `host`: as whom the server is known, such as `DNS:localhost`.
    pub(crate) fn of(host: &str) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        // As that of a server, so that it is found if it is left behind.
        let folder = env::temp_dir().join(format!("crossproc-redis-{}-tls-{number}", process::id()));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("configuration"), format!("{CONFIGURATION}subjectAltName = {host}\n")).unwrap();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", "configuration"];
        let authority = ["-x509", "-days", "2", "-extensions", "authority", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(&folder, &[&["req"], &key[..], &authority].concat());
        openssl(&folder, &[&["req"], &key[..], &["-keyout", "server.key", "-out", "server.csr"]].concat());
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
        let about = ["-extfile", "configuration", "-extensions", "server", "-in", "server.csr", "-out", "server.pem"];
        openssl(&folder, &[&["x509", "-req"], &by[..], &about].concat());
        Certificates { folder }
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).to_str().unwrap().to_owned()
    }

    /// What a client trusts who knows the authority: for `SSL_CERT_FILE`.
    pub(crate) fn authority(&self) -> String {
        self.path("ca.pem")
    }

    /// A server's options.
    pub(crate) fn options(&self) -> Vec<String> {
        let files = [("cert", "server.pem"), ("key", "server.key"), ("ca-cert", "ca.pem")];
        let files = files.into_iter().flat_map(|(what, file)| [format!("--tls-{what}-file"), self.path(file)]);
        files.chain(["--tls-auth-clients", "no"].map(str::to_owned)).collect()
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("openssl").args(arguments).current_dir(folder).output();
    let ran = ran.expect("these tests need the program openssl, as in Debian's package of that name");
    assert!(ran.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
