//! What makes the objects of a manager, and knows them by name.

use std::sync::Arc;

use super::held::Held;
use super::kept::Stored;
use super::local::{self, Shape};
use crate::error::{Result, TypeStamp};
use crate::segment::Segment;

#[derive(Clone)]
pub(super) enum Engine {
    Local(local::Engine),
}

impl Engine {
    /// A new object of a type whose hash is `of`; `start`: its first item.
    pub(super) fn make(&self, shape: Shape, of: u64, start: Option<&Stored>) -> Result<Arc<Held>> {
        match self {
            Engine::Local(local) => local.make(shape, of, start).map(Held::Local).map(Arc::new),
        }
    }

    /// The object of a name, which is of this type, or a new one; `start`: its first item.
    pub(super) fn find(
        &self,
        name: &str,
        shape: Shape,
        expected: &TypeStamp,
        start: Option<&Stored>,
    ) -> Result<Arc<Held>> {
        match self {
            Engine::Local(local) => local.find(name, shape, expected, start).map(Held::Local).map(Arc::new),
        }
    }

    /// Whether there was something under this name, which nothing is under any more.
    pub(super) fn forget(&self, name: &str) -> Result<bool> {
        match self {
            Engine::Local(local) => local.forget(name),
        }
    }

    /// All names, in the order in which they came.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        match self {
            Engine::Local(local) => local.names(),
        }
    }

    /// Runs `encode`, in which handles of this engine's objects may be serialised: what it has encoded, and what keeps its objects.
    pub(super) fn storing(&self, encode: impl FnOnce() -> Result<Vec<u8>>) -> Result<(Stored, Vec<Arc<Held>>)> {
        match self {
            Engine::Local(local) => local.storing(encode),
        }
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        match self {
            Engine::Local(local) => local.segment(),
        }
    }

    pub(super) fn offset(&self) -> u64 {
        match self {
            Engine::Local(local) => local.offset(),
        }
    }
}
