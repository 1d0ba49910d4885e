//! Names that nobody else has.

use std::fmt::Write;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

/// 128 bits, as 32 characters.
pub(crate) fn hexadecimal() -> String {
    let mut bytes = [0; 16];
    if File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).is_err() {
        // Without descriptors, or in a bare root: the standard library's keys are random once in each thread, the number differs in each call.
        static CALLS: AtomicU64 = AtomicU64::new(0);
        // Relaxed: a number of its own is all there is to it.
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        for (index, half) in bytes.chunks_exact_mut(8).enumerate() {
            let number = RandomState::new().hash_one((call, index, std::process::id()));
            half.copy_from_slice(&number.to_le_bytes());
        }
    }
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
