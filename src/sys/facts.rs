//! What a file's inode says: stat(2).

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use super::memory::FileKey;

/// A private copy, which others may make stale.
pub(crate) struct FileFacts {
    pub(crate) key: FileKey,
    pub(crate) is_regular: bool,
    /// User id.
    pub(crate) owner: u32,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Names.
    pub(crate) links: u64,
}

impl FileFacts {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        FileFacts {
            key: FileKey::of(metadata),
            is_regular: metadata.is_file(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
            links: metadata.nlink(),
        }
    }
}

impl fmt::Display for FileFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owned by user {}, mode {:04o}", self.owner, self.mode)
    }
}
