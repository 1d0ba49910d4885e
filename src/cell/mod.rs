//! Values and arrays in shared memory.

mod array;
mod raw;
mod value;

pub use array::{Array, ArrayGuard};
pub use raw::{RawArray, RawValue};
pub use value::{Value, ValueGuard};
