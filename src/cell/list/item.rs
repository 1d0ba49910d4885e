//! What an item can be, and the bytes that stand for it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// An item of a [`ShareableList`](crate::ShareableList): nothing, a number, a text or bytes.
///
/// Two are equal if they are of one type, and so are their contents: unlike in Python, the int 1 is neither the float 1.0
/// nor true.
///
/// # Examples
///
/// ```
/// use crossproc::ShareableItem;
///
/// assert_eq!(ShareableItem::from("howdy"), ShareableItem::Text("howdy".into()));
/// assert_eq!(ShareableItem::from(b"howdy"), ShareableItem::Bytes(b"howdy".into()));
/// assert_eq!(ShareableItem::from(Some(1)), ShareableItem::Int(1));
/// assert_ne!(ShareableItem::from(1), ShareableItem::from(1.0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum ShareableItem {
    /// Nothing.
    #[default]
    None,
    /// A number.
    Int(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// Bytes of any sort; zeros at their end belong to them.
    Bytes(Vec<u8>),
}

/// In front of each copy of an item stands a word:
///
/// | bits | name   | meaning                                                              |
/// |------|--------|----------------------------------------------------------------------|
/// | 0-7  | TAG    | 0 = nothing, 1 = int, 2 = float, 3 = bool, 4 = text, 5 = bytes        |
/// | 8-63 | LENGTH | bytes behind the word that count: 8 for a number, 0 for nothing      |
#[derive(Clone, Copy)]
struct Head(u64);

impl Head {
    const NONE: u8 = 0;
    const INT: u8 = 1;
    const FLOAT: u8 = 2;
    const BOOL: u8 = 3;
    const TEXT: u8 = 4;
    const BYTES: u8 = 5;

    fn new(tag: u8, length: usize) -> Self {
        Head(u64::from(tag) | (length as u64) << 8)
    }

    fn tag(self) -> u8 {
        self.0 as u8
    }

    fn length(self) -> u64 {
        self.0 >> 8
    }
}

/// The size of the word in front.
pub(super) const HEAD: usize = size_of::<Head>();

impl ShareableItem {
    /// The bytes that stand for it, the word in front included.
    pub(super) fn encode(&self) -> Vec<u8> {
        let with_head = |tag, content: &[u8]| {
            let mut bytes = Vec::with_capacity(HEAD + content.len());
            bytes.extend_from_slice(&Head::new(tag, content.len()).0.to_ne_bytes());
            bytes.extend_from_slice(content);
            bytes
        };
        match self {
            ShareableItem::None => with_head(Head::NONE, &[]),
            ShareableItem::Int(number) => with_head(Head::INT, &number.to_ne_bytes()),
            ShareableItem::Float(number) => with_head(Head::FLOAT, &number.to_ne_bytes()),
            ShareableItem::Bool(truth) => with_head(Head::BOOL, &u64::from(*truth).to_ne_bytes()),
            ShareableItem::Text(text) => with_head(Head::TEXT, text.as_bytes()),
            ShareableItem::Bytes(content) => with_head(Head::BYTES, content),
        }
    }

    /// The item that a private copy of shared memory stands for. `index`: for who is told that it stands for none.
    pub(super) fn decode(index: usize, bytes: &[u8]) -> Result<Self> {
        let (head, behind) = bytes.split_first_chunk().unwrap_or((&[0; HEAD], &[]));
        let head = Head(u64::from_ne_bytes(*head));
        let corrupted = Error::Corrupted { object: Kind::ShareableList, position: index as u64, found: head.0 };
        let Some(content) = usize::try_from(head.length()).ok().and_then(|length| behind.get(..length)) else {
            return Err(corrupted);
        };
        match (head.tag(), <[u8; 8]>::try_from(content)) {
            (Head::NONE, _) => Ok(ShareableItem::None),
            (Head::INT, Ok(number)) => Ok(ShareableItem::Int(i64::from_ne_bytes(number))),
            (Head::FLOAT, Ok(number)) => Ok(ShareableItem::Float(f64::from_ne_bytes(number))),
            (Head::BOOL, Ok(truth)) => match u64::from_ne_bytes(truth) {
                0 => Ok(ShareableItem::Bool(false)),
                1 => Ok(ShareableItem::Bool(true)),
                _ => Err(corrupted),
            },
            (Head::TEXT, _) => match str::from_utf8(content) {
                Ok(text) => Ok(ShareableItem::Text(text.into())),
                Err(error) => Err(Error::Decode {
                    what: format!("item {index} of a ShareableList").into(),
                    reason: error.to_string(),
                }),
            },
            (Head::BYTES, _) => Ok(ShareableItem::Bytes(content.into())),
            _ => Err(corrupted),
        }
    }
}

macro_rules! from {
    ($($type:ty: $value:ident => $item:expr;)*) => {$(
        impl From<$type> for ShareableItem {
            fn from($value: $type) -> Self {
                $item
            }
        }
    )*};
}

from! {
    i8: number => ShareableItem::Int(number.into());
    i16: number => ShareableItem::Int(number.into());
    i32: number => ShareableItem::Int(number.into());
    i64: number => ShareableItem::Int(number);
    u8: number => ShareableItem::Int(number.into());
    u16: number => ShareableItem::Int(number.into());
    u32: number => ShareableItem::Int(number.into());
    f32: number => ShareableItem::Float(number.into());
    f64: number => ShareableItem::Float(number);
    bool: truth => ShareableItem::Bool(truth);
    &str: text => ShareableItem::Text(text.into());
    String: text => ShareableItem::Text(text);
    &[u8]: bytes => ShareableItem::Bytes(bytes.into());
    Vec<u8>: bytes => ShareableItem::Bytes(bytes);
    &ShareableItem: item => item.clone();
}

impl<const N: usize> From<&[u8; N]> for ShareableItem {
    fn from(bytes: &[u8; N]) -> Self {
        ShareableItem::Bytes(bytes.into())
    }
}

impl<T: Into<ShareableItem>> From<Option<T>> for ShareableItem {
    fn from(item: Option<T>) -> Self {
        item.map_or(ShareableItem::None, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let items: [ShareableItem; 12] = [
            ShareableItem::None,
            i64::MIN.into(),
            (-1_i8).into(),
            f64::INFINITY.into(),
            (-0.0).into(),
            true.into(),
            false.into(),
            "".into(),
            "encodés".into(),
            b"".into(),
            b"\0\0".into(),
            vec![7; 1000].into(),
        ];
        for item in items {
            let mut bytes = item.encode();
            assert_eq!(ShareableItem::decode(3, &bytes), Ok(item.clone()));
            bytes.extend([9; 8]); // the rest of its space
            assert_eq!(ShareableItem::decode(3, &bytes), Ok(item));
        }
    }

    #[test]
    fn what_nobody_encodes_is_an_error() {
        let refused = |head: u64, content: &[u8]| {
            ShareableItem::decode(3, &[&head.to_ne_bytes()[..], content].concat()).unwrap_err()
        };
        for (tag, length, content) in
            [(6, 8, 0_u64), (255, 0, 0), (1, 7, 0), (2, 0, 0), (3, 8, 2), (4, 9, 0), (5, 1 << 55, 0), (0, 9, 0)]
        {
            let head = tag | length << 8;
            let corrupted = Error::Corrupted { object: Kind::ShareableList, position: 3, found: head };
            assert_eq!(refused(head, &content.to_ne_bytes()), corrupted);
        }
        let text = refused(4 | 3 << 8, b"ab\xff     ").to_string();
        assert_eq!(text, "cannot decode item 3 of a ShareableList: invalid utf-8 sequence of 1 bytes from index 2");
    }
}
