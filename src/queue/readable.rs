use super::cells::Cells;
use crate::ring::Consumer;
use crate::segment::place::{Body, Placed};
use crate::watch::Subject;
use crate::word::PeerId;
use crate::word::eventcount::EventCount;

/// Whether there is something to be got from a ring, as a watch asks it.
pub(super) struct Readable<B> {
    pub(super) placed: Placed<B>,
    pub(super) cells: fn(&Placed<B>) -> Cells<'_>,
    /// Where the handle was that is watched. It takes nothing, and so moves only over what is finished.
    pub(super) consumer: Consumer,
    /// Whether nobody is left who could put.
    pub(super) is_over: fn(&Placed<B>) -> bool,
}

impl<B: Body> Subject for Readable<B> {
    fn items(&self) -> &EventCount {
        &(self.cells)(&self.placed).ring().items
    }

    fn is_ready(&self) -> bool {
        let cells = (self.cells)(&self.placed);
        // Without an identity of our own, everybody is asked whether he lives.
        let me = cells.segment().me().unwrap_or(PeerId::NOBODY);
        self.consumer.is_ready(&cells, me, cells.segment().liveness(), || (self.is_over)(&self.placed))
    }
}
