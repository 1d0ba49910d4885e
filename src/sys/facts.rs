//! What a file's inode says: stat(2).

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

use super::memory::{FileKey, user};

/// A private copy, which others may make stale.
pub(crate) struct FileFacts {
    pub(crate) key: FileKey,
    pub(crate) is_regular: bool,
    /// User id.
    pub(crate) owner: u32,
    /// Permission bits.
    pub(crate) mode: u32,
}

impl FileFacts {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        FileFacts {
            key: FileKey::of(metadata),
            is_regular: metadata.is_file(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }
    }

    /// Whether the file belongs to the user of this process.
    pub(crate) fn is_this_users(&self) -> bool {
        self.owner == user() && (self.owner != OVERFLOW || overflow_is_a_user())
    }
}

impl fmt::Display for FileFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owned by user {}, mode {:04o}", self.owner, self.mode)
    }
}

/// What the kernel calls all users that the user namespace does not know. Elsewhere it is a user as any other.
const OVERFLOW: u32 = 65_534;

/// /proc/thread-self/uid_map, whose lines are ranges: the first user in here, the first out there, how many.
fn overflow_is_a_user() -> bool {
    let map = fs::read_to_string("/proc/thread-self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map_while(|number| number.parse::<u64>().ok());
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first.zip(count).is_some_and(|(first, count)| (first..first + count).contains(&u64::from(OVERFLOW)))
    })
}
