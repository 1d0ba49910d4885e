//! How deep a message may be nested: decoding one recurses, and its bytes may come from a process that means harm.
//!
//! Whatever is nested has a byte that says so (the variant of an enum, the length of a sequence, whether an `Option` is
//! there), and the decoder asks for it with [`Flavor::pop`]. So that is where the stack is looked at. Each byte takes one level
//! at most, and so short messages need no look.

use postcard::de_flavors::{Flavor, Slice};
use postcard::{Error, Result};

use crate::sys::stack;

/// Messages of up to so many bytes are decoded without a look: as many levels, even of some hundred bytes of stack each, fit
/// into the least of stacks that Rust programs run on. A guess.
pub(super) const SHORT: usize = 512;

/// How many bytes of stack the decoding of a message may take: an eighth of what Rust gives a thread. A guess.
const MOST: usize = 256 << 10;

/// What decoding says of a message that is nested more deeply; the decoder itself never does.
pub(super) const TOO_DEEP: Error = Error::NotYetImplemented;

/// The bytes of a message, which look at the stack when they are read one by one.
pub(super) struct Shallow<'de> {
    bytes: Slice<'de>,
    /// Where the stack of whoever began to decode ended.
    top: usize,
}

impl<'de> Shallow<'de> {
    #[inline(never)]
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Shallow { bytes: Slice::new(bytes), top: stack::pointer() }
    }
}

impl<'de> Flavor<'de> for Shallow<'de> {
    type Remainder = &'de [u8];
    type Source = &'de [u8];

    #[inline]
    fn pop(&mut self) -> Result<u8> {
        // Either way: `new` may have had a deeper frame than the decoder's first.
        if self.top.abs_diff(stack::pointer()) > MOST {
            return Err(TOO_DEEP);
        }
        self.bytes.pop()
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.bytes.size_hint()
    }

    #[inline]
    fn try_take_n(&mut self, count: usize) -> Result<&'de [u8]> {
        self.bytes.try_take_n(count)
    }

    #[inline]
    fn finalize(self) -> Result<&'de [u8]> {
        self.bytes.finalize()
    }
}
