//! What a [`Manager`] manages: containers of any values, in memory that processes share.

mod codec;
mod dict;
mod entry;
mod held;
mod impls;
mod list;
mod manager;
mod set;

pub use dict::{Dict, DictGuard};
pub use entry::Entry;
pub use list::List;
pub use manager::Manager;
pub use set::Set;
