//! Values and arrays in shared memory.

mod array;
mod array_guard;
mod raw;
mod value;
mod value_guard;

pub use array::Array;
pub use array_guard::ArrayGuard;
pub use raw::{RawArray, RawValue};
pub use value::Value;
pub use value_guard::ValueGuard;
