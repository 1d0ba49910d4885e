//! Memory that processes allocate from together, and change in transactions.
//!
//! A heap is a segment of words. Whoever wants to change it takes its lock, and notes the old value of each word before it stores
//! the new one (`transaction.rs`): so what a killed process was at is put back by the next to come, and every transaction happens as a
//! whole or not at all. Readers take no lock, unless writers keep coming between: a number that every transaction makes odd and then even again tells them whether what
//! they have copied was whole (`view.rs`).
//!
//! Above that lie blocks (`buddy.rs`), objects with those who hold them (`object.rs`), and what objects are: a table of entries
//! (`table.rs`), a row of items (`row.rs`).

pub(crate) mod body;
mod buddy;
pub(crate) mod bytes;
pub(crate) mod object;
pub(crate) mod row;
pub(crate) mod sweep;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod transaction;
mod view;

pub(crate) use body::{Heap, NOTES, describe};
pub(crate) use transaction::Transaction;
pub(crate) use view::View;

/// The address of a word: control words come first, blocks behind them. 0 is the lock's, and stands for nothing.
pub(crate) type At = u64;
