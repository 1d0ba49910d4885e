//! Values as a server has them: a byte that says how many objects they refer to, these, and what was encoded.

use std::sync::Arc;

use redis::Value;

use super::super::travel::{self, Loading};
use crate::remote::session::{Hold, Session};

/// How a value begins that refers to nothing.
pub(crate) fn head() -> Vec<u8> {
    vec![0]
}

/// What was encoded. Members of a set have no value.
pub(crate) fn payload(bytes: &[u8]) -> &[u8] {
    let length = bytes.first().map_or(0, |count| 1 + 32 * usize::from(*count));
    bytes.get(length..).unwrap_or_default()
}

/// The objects that a value refers to.
pub(super) fn references(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let length = bytes.len() - payload(bytes).len();
    bytes[..length].get(1..).unwrap_or_default().chunks_exact(32).filter_map(|object| std::str::from_utf8(object).ok())
}

/// What a value refers to, held: what nobody decodes is given up.
pub(crate) struct Holds {
    pub(super) session: Arc<Session>,
    pub(super) holds: Vec<Hold>,
}

impl Holds {
    pub(super) fn new(session: &Arc<Session>, holds: Vec<Hold>) -> Self {
        Holds { session: Arc::clone(session), holds }
    }

    pub(super) fn none(session: &Arc<Session>) -> Self {
        Self::new(session, Vec::new())
    }

    /// Runs `decode`, in which handles of these objects may be deserialised; what it does not take is given up.
    pub(crate) fn load<R>(&mut self, decode: impl FnOnce() -> R) -> R {
        let holds = Self::new(&self.session, std::mem::take(&mut self.holds));
        travel::loading(Loading::Server(holds), decode)
    }
}

pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

pub(super) fn text(value: Value) -> Option<String> {
    bytes(value).and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_value() {
        let object = "0123456789abcdef0123456789abcdef";
        let referring = [&[1][..], object.as_bytes(), b"rest"].concat();
        for (bytes, objects, rest) in [
            (&b""[..], vec![], &b""[..]),
            (b"\0", vec![], b""),
            (b"\0abc", vec![], b"abc"),
            (&referring, vec![object], b"rest"),
            (b"\x01short", vec![], b""),
            (b"\xff", vec![], b""),
        ] {
            assert_eq!(payload(bytes), rest, "{bytes:?}");
            if !bytes.starts_with(b"\x01short") && bytes != b"\xff" {
                assert_eq!(references(bytes).collect::<Vec<_>>(), objects, "{bytes:?}");
            }
        }
    }
}
