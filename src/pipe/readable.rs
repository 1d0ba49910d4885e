use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::body::ChannelBody;
use super::end::ring;
use crate::ring::bytes::Consumer;
use crate::ring::track::Ended;
use crate::segment::place::Placed;
use crate::watch::Subject;
use crate::word::eventcount::EventCount;

/// Whether there is something to be received, as a watch asks it.
///
/// It knows where the receiver was when it said so last, not by shared memory, which a sender could write. In between, a
/// look at a place that the receiver has left may show anything; the receiver says where it is, and settles the watch,
/// after every call.
pub(super) struct Readable {
    placed: Placed<ChannelBody>,
    position: AtomicU64,
    /// Whether there is a rest of a message outside the ring.
    has_rest: AtomicBool,
    /// Whether anybody has seen that nobody will send any more: then a call that does not wait asks the kernel, too.
    has_ended: AtomicBool,
}

impl Readable {
    pub(super) fn new(placed: Placed<ChannelBody>) -> Self {
        let no = || AtomicBool::new(false);
        Readable { placed, position: AtomicU64::new(0), has_rest: no(), has_ended: no() }
    }

    /// Where the receiver is. The watch's mutex orders it.
    pub(super) fn update(&self, position: u64, has_rest: bool) {
        self.position.store(position, Relaxed);
        self.has_rest.store(has_rest, Relaxed);
    }

    pub(super) fn end(&self) {
        self.has_ended.store(true, Relaxed);
    }

    /// Whoever was told by a descriptor finds it true: the kernel's lock on that is between the two.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Relaxed)
    }
}

impl Subject for Arc<Readable> {
    fn items(&self) -> &EventCount {
        &self.placed.body().track.items
    }

    /// A message, a part of one, or an end.
    fn is_ready(&self) -> bool {
        if self.has_rest.load(Relaxed) {
            return true;
        }
        let consumer = Consumer::at(self.position.load(Relaxed));
        let found = ring(&self.placed).look_for_record(&consumer, self.placed.segment().liveness());
        if let Some(Err(Ended::Gone)) = found {
            self.end();
        }
        found.is_some()
    }
}
