//! The word that stands before every record of a byte ring.

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message.
    Whole = 1,
    /// The beginning of a message in pieces. Like `Whole`, it also says that no more comes of a message before it.
    First = 2,
    More = 3,
    Last = 4,
    /// Nothing, up to the end of the ring: what comes next begins at its start.
    Skip = 5,
}

/// | bits  | name   | meaning                                                                |
/// |-------|--------|------------------------------------------------------------------------|
/// | 0-47  | LENGTH | bytes of payload behind the header                                     |
/// | 48-50 | KIND   | see [`Kind`]; 0 = nothing here yet, and then LENGTH is 0, too           |
/// | 51-63 |        | 0                                                                      |
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header(pub(super) u64);

/// Bytes of a header, and what every record is a multiple of.
pub(crate) const HEADER: u64 = 8;

const KIND_SHIFT: u32 = 48;
const LENGTH: u64 = (1 << KIND_SHIFT) - 1;

impl Header {
    pub(super) const NOTHING: Header = Header(0);

    #[inline]
    pub(super) fn new(kind: Kind, bytes: u64) -> Self {
        debug_assert!(bytes <= LENGTH);
        Header((kind as u64) << KIND_SHIFT | bytes)
    }

    #[inline]
    pub(super) fn bytes(self) -> u64 {
        self.0 & LENGTH
    }

    /// `None` for a word that is no header.
    #[inline]
    pub(super) fn kind(self) -> Option<Kind> {
        match self.0 >> KIND_SHIFT {
            1 => Some(Kind::Whole),
            2 => Some(Kind::First),
            3 => Some(Kind::More),
            4 => Some(Kind::Last),
            5 => Some(Kind::Skip),
            _ => None,
        }
    }
}

/// What a record of so much payload takes: its header, and the payload rounded up to words.
#[inline]
pub(super) fn record_size(bytes: u64) -> u64 {
    HEADER + bytes.next_multiple_of(8)
}
