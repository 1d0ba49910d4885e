//! Values, arrays, bytes and lists in shared memory.

mod array;
mod list;
mod memory;
mod raw;
mod value;

pub use array::{Array, ArrayGuard};
pub use list::{ShareableItem, ShareableList};
pub use memory::{SharedMemory, SharedMemoryGuard};
pub use raw::{RawArray, RawValue};
pub use value::{Value, ValueGuard};
