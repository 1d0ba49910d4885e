//! Values, arrays, bytes and lists in shared memory.

mod array;
mod list;
mod memory;
mod raw;
mod value;

pub(crate) use array::describe as describe_array;
pub use array::{Array, ArrayGuard};
pub(crate) use list::describe as describe_list;
pub use list::{ShareableItem, ShareableList};
pub(crate) use memory::describe as describe_memory;
pub use memory::{SharedMemory, SharedMemoryGuard};
pub use raw::{RawArray, RawValue};
pub(crate) use raw::{describe_array as describe_raw_array, describe_value as describe_raw_value};
pub(crate) use value::describe as describe_value;
pub use value::{Value, ValueGuard};
