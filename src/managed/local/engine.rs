use std::sync::Arc;

use super::super::kept::Stored;
use super::super::travel::{self, Keeper};
use super::travel::Storing;
use super::{Held, Shape};
use crate::error::{Result, TypeStamp};
use crate::heap::Heap;
use crate::segment::Segment;
use crate::segment::named::Named;
use crate::segment::place::Home;

/// A heap.
#[derive(Clone)]
pub(crate) struct Engine(pub(super) Arc<Heap>);

/// The most bytes that a manager may have, unless somebody asks for more. A guess: what is not used costs nothing.
const CAPACITY: u64 = 16 << 30;

impl Engine {
    /// A new one, of as many bytes as most need.
    pub(crate) fn start(home: Home<'_>) -> Result<Self> {
        Self::with_capacity(home, CAPACITY)
    }

    pub(crate) fn with_capacity(home: Home<'_>, bytes: u64) -> Result<Self> {
        Heap::make(home, bytes).map(Engine)
    }

    pub(crate) fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        Heap::attach(segment, offset).map(Engine)
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        self.0.segment()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.0.offset()
    }

    /// A new object of a type; `start`: its first item.
    pub(crate) fn make(&self, shape: Shape, expected: &TypeStamp, start: Option<&Stored>) -> Result<Held> {
        self.0.sweep_now_and_then()?;
        let me = self.0.segment().me()?;
        let hold = self.0.transact(|transaction| {
            let object = transaction.make(shape, expected.hash)?;
            if let Some(start) = start {
                transaction.insert_items(object, 0, std::slice::from_ref(start))?;
            }
            transaction.hold(object, me)
        })?;
        Ok(Held::of(&self.0, hold))
    }

    /// Runs `encode`, in which handles of this heap's objects may be serialised: what it has encoded, and what keeps its objects.
    pub(crate) fn storing(&self, encode: impl FnOnce() -> Result<Vec<u8>>) -> Result<(Stored, Vec<Keeper>)> {
        let (bytes, stored) = travel::storing(travel::Storing::Local(Storing::new(&self.0)), encode);
        let (objects, handles) = match stored.map(|stored| *stored) {
            Some(travel::Storing::Local(stored)) => (stored.objects, stored.handles),
            _ => (Vec::new(), Vec::new()),
        };
        Ok((Stored { bytes: bytes?, objects }, handles))
    }
}

impl Named for Engine {
    fn attached(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        Self::attach(segment, offset)
    }

    fn segment(&self) -> &Arc<Segment> {
        self.0.segment()
    }
}
