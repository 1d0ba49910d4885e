//! What makes the objects of a manager, and knows them by name.

use std::sync::Arc;

use super::held::Held;
use super::kept::Stored;
use super::local::{self, Shape};
#[cfg(feature = "redis")]
use super::server;
use super::travel::Keeper;
use crate::error::{Result, TypeStamp};

#[derive(Clone)]
pub(super) enum Engine {
    Local(local::Engine),
    #[cfg(feature = "redis")]
    Server(server::Engine),
}

impl Engine {
    /// A new object of a type; `start`: its first item.
    pub(super) fn make(&self, shape: Shape, expected: &TypeStamp, start: Option<&Stored>) -> Result<Arc<Held>> {
        match self {
            Engine::Local(local) => local.make(shape, expected, start).map(Held::Local).map(Arc::new),
            #[cfg(feature = "redis")]
            Engine::Server(server) => server.make(shape, expected, start).map(Held::Server).map(Arc::new),
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
            #[cfg(feature = "redis")]
            Engine::Server(server) => server.find(name, shape, expected, start).map(Held::Server).map(Arc::new),
        }
    }

    /// Whether there was something under this name, which nothing is under any more.
    pub(super) fn forget(&self, name: &str) -> Result<bool> {
        match self {
            Engine::Local(local) => local.forget(name),
            #[cfg(feature = "redis")]
            Engine::Server(server) => server.forget(name),
        }
    }

    /// All names; on this machine in the order in which they came.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        match self {
            Engine::Local(local) => local.names(),
            #[cfg(feature = "redis")]
            Engine::Server(server) => server.names(),
        }
    }

    /// Runs `encode`, in which handles of this engine's objects may be serialised: what it has encoded, and what keeps its objects.
    pub(super) fn storing(&self, encode: impl FnOnce() -> Result<Vec<u8>>) -> Result<(Stored, Vec<Keeper>)> {
        match self {
            Engine::Local(local) => local.storing(encode),
            #[cfg(feature = "redis")]
            Engine::Server(server) => server.storing(encode),
        }
    }

    /// How a value begins that is encoded for this engine and refers to nothing.
    #[inline]
    pub(super) fn head(&self) -> Vec<u8> {
        match self {
            Engine::Local(_) => Vec::new(),
            #[cfg(feature = "redis")]
            Engine::Server(_) => server::head(),
        }
    }
}
