//! Objects under names.

use super::super::codec;
use super::super::kept::Stored;
use super::{Engine, Held, Shape};
use crate::error::{AttachError, Result, TypeStamp};
use crate::heap::object::Object;

/// What is kept for a name: what type it is of, and the object.
type Known = (String, u64, Object);

impl Engine {
    /// The object of a name, which is of this type, or a new one; `start`: its first item.
    pub(crate) fn find(&self, name: &str, shape: Shape, expected: &TypeStamp, start: Option<&Stored>) -> Result<Held> {
        let heap = &self.0;
        heap.sweep_now_and_then()?;
        let (key, me) = (codec::key(name)?, heap.segment().me()?);
        let hold = heap.transact(|transaction| {
            let root = transaction.root_or_new()?;
            if let Some(content) = transaction.look_up(root, &key)? {
                let (name, hash, object): Known = codec::plain(&content.bytes)?;
                if hash != expected.hash {
                    let found = TypeStamp { name, hash, ..expected.clone() };
                    return Err(AttachError::WrongType { name: None, found, expected: expected.clone() }.into());
                }
                transaction.check(object, shape)?;
                return transaction.hold(object, me);
            }
            let object = transaction.make(shape, expected.hash)?;
            if let Some(start) = start {
                transaction.insert_items(object, 0, std::slice::from_ref(start))?;
            }
            let known: Known = (expected.name.clone(), expected.hash, object);
            let content = Stored { bytes: codec::key(&known)?, objects: vec![object] };
            transaction.insert(root, &key, &content)?;
            transaction.hold(object, me)
        })?;
        Ok(Held::of(heap, hold))
    }

    /// Whether there was something under this name, which nothing is under any more.
    pub(crate) fn forget(&self, name: &str) -> Result<bool> {
        let key = codec::key(name)?;
        self.0.transact(|transaction| match transaction.root()? {
            Some(root) => Ok(transaction.remove(root, &key)?.is_some()),
            None => Ok(false),
        })
    }

    /// All names, in the order in which they came.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let entries = self.0.read(|view| match view.root()? {
            Some(root) => view.entries(root, false),
            None => Ok(Vec::new()),
        })?;
        entries.into_iter().map(|(name, _)| codec::decode_key(&name)).collect()
    }
}
