//! Shared bytes. A stand-in until the segment layer is there: any descriptor is a segment.
#![allow(dead_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::error::Result;

pub(crate) mod handle;

pub(crate) struct Segment(OwnedFd);

impl Segment {
    #[allow(clippy::unnecessary_wraps)]
    pub(crate) fn attach(descriptor: OwnedFd) -> Result<Arc<Segment>> {
        Ok(Arc::new(Segment(descriptor)))
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
