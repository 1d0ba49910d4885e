//! Finding text files, and reading them into shared memory in shares of about the same size.

use std::fs::{self, File};
use std::io::{self, Read, Take};
use std::path::{Path, PathBuf};
use std::vec;

use crossproc::{Arena, Array, ArrayGuard, LockError};
use serde::{Deserialize, Serialize};

use crate::words::is_word_byte;

/// Where a NUL byte shows that a file is not text: a little more than git looks at (`buffer_is_binary`, 8000 bytes).
const SNIFFED: u64 = 8 << 10;

/// A directory that holds this file can be made again, and is left out: <https://bford.info/cachedir/>.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// What a share may take in the arena beside what is read for it: the words that the one before had no room for, and what
/// the library puts around it. A guess; a share that takes more has memory of its own.
const BESIDE: usize = 4 << 10;

/// Why there is nothing to count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot read {path:?}")]
    Path { path: PathBuf, source: io::Error },
    #[error("cannot read {path:?}: neither a directory nor a file")]
    OtherKind { path: PathBuf },
    #[error(transparent)]
    Shared(#[from] crossproc::Error),
}

/// A directory, or a file or the rest of one, that is not counted.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path:?}")]
pub(crate) struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

/// The text of files in shared memory, and what was left out.
pub(crate) struct Corpus {
    /// Each file is followed by a newline.
    pub(crate) shares: Vec<Share>,
    /// Text files that were read to their end.
    pub(crate) files: u64,
    /// Bytes read, without the newlines in between.
    pub(crate) bytes: u64,
    /// Regular files that are not text.
    pub(crate) binary: u64,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A part of the text that begins and ends between words.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) text: Array<u8>,
    /// How many bytes of `text` are in use; 1 or more.
    pub(crate) length: usize,
}

impl Share {
    /// The text, also where a worker has died with its lock: it has written nothing.
    pub(crate) fn read(&self) -> crossproc::Result<ArrayGuard<'_, u8>> {
        self.text.lock().or_else(LockError::repair)
    }
}

/// Reads what is below `path`, in the order of the names, into at most `count` shares.
///
/// A file is read as far as it went when it was found; what is appended meanwhile is not counted.
pub(crate) fn read(path: &Path, count: usize) -> Result<Corpus, Failure> {
    let cannot = |source| Failure::Path { path: path.into(), source };
    let metadata = fs::metadata(path).map_err(cannot)?;
    let mut search = Search::default();
    if metadata.is_dir() {
        search.enter(path).map_err(cannot)?;
    } else if metadata.is_file() {
        search.sniff(path, metadata.len()).map_err(cannot)?;
    } else {
        return Err(Failure::OtherKind { path: path.into() });
    }
    let mut source = Source {
        expected: search.files.iter().map(|file| file.size + 1).sum(),
        queue: search.files.into_iter(),
        current: None,
        finished: 0,
        bytes: 0,
        unreadable: search.unreadable,
    };
    let shares = source.shares(count)?;
    Ok(Corpus {
        shares,
        files: source.finished,
        bytes: source.bytes,
        binary: search.binary,
        unreadable: source.unreadable,
    })
}

#[derive(Default)]
struct Search {
    files: Vec<Found>,
    binary: u64,
    unreadable: Vec<Unreadable>,
}

/// A text file.
struct Found {
    path: PathBuf,
    size: u64,
}

impl Search {
    fn enter(&mut self, directory: &Path) -> io::Result<()> {
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
        entries.sort_by_key(fs::DirEntry::file_name);
        for path in entries.iter().map(fs::DirEntry::path) {
            if let Err(source) = self.visit(&path) {
                self.unreadable.push(Unreadable { path, source });
            }
        }
        Ok(())
    }

    /// Symbolic links to files are followed. Those to directories are not, as they may lead back; devices and their
    /// like are not opened, as that may wait, or do something.
    fn visit(&mut self, path: &Path) -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        if metadata.is_file() {
            self.sniff(path, metadata.len())
        } else if metadata.is_dir() && !path.is_symlink() && !path.join(CACHE_TAG).exists() {
            self.enter(path)
        } else {
            Ok(())
        }
    }

    fn sniff(&mut self, path: &Path, size: u64) -> io::Result<()> {
        let mut beginning = Vec::new();
        File::open(path)?.take(SNIFFED).read_to_end(&mut beginning)?;
        if beginning.contains(&0) {
            self.binary += 1;
        } else {
            self.files.push(Found { path: path.into(), size });
        }
        Ok(())
    }
}

/// The text of all files, one after the other.
struct Source {
    queue: vec::IntoIter<Found>,
    /// Bytes in the files in `queue`, with a newline for each.
    expected: u64,
    current: Option<(PathBuf, Take<File>)>,
    finished: u64,
    bytes: u64,
    unreadable: Vec<Unreadable>,
}

impl Source {
    /// How many bytes are still to come, at most.
    fn left(&self) -> u64 {
        self.expected + self.current.as_ref().map_or(0, |(_, file)| file.limit() + 1)
    }

    fn shares(&mut self, count: usize) -> crossproc::Result<Vec<Share>> {
        let mut shares = Vec::new();
        // All in one segment: every worker has all of them, and attaches one instead of as many as there are workers.
        let arena = Arena::new(self.left() as usize + count * BESIDE)?;
        // The beginning of a word that the share before had no room for.
        let mut carried = Vec::new();
        for parts in (1..=count).rev() {
            // A word that is longer than its share doubles the next one, so that it is not copied once for each share.
            let fresh = self.left().div_ceil(parts as u64).max(carried.len() as u64).min(self.left());
            if fresh == 0 {
                break;
            }
            let length = carried.len() + fresh as usize;
            let text = Array::new_in(&arena, length).or_else(|_full| Array::new(length))?;
            let mut bytes = text.lock()?;
            bytes[..carried.len()].copy_from_slice(&carried);
            let filled = carried.len() + self.fill(&mut bytes[carried.len()..]);
            let length = bytes[..filled].iter().rposition(|&byte| !is_word_byte(byte)).map_or(0, |last| last + 1);
            carried = bytes[length..filled].to_vec();
            drop(bytes);
            if length > 0 {
                shares.push(Share { text, length });
            }
        }
        debug_assert!(carried.is_empty(), "the last share ends with the newline behind the last file");
        Ok(shares)
    }

    /// Reads into the buffer until it is full or all is read; returns how many bytes it has put there.
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < buffer.len() {
            let Some((path, file)) = &mut self.current else {
                let Some(next) = self.queue.next() else { break };
                self.open(next);
                continue;
            };
            match file.read(&mut buffer[filled..]) {
                Ok(0) => self.finished += 1,
                Ok(length) => {
                    filled += length;
                    self.bytes += length as u64;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => self.unreadable.push(Unreadable { path: std::mem::take(path), source }),
            }
            self.current = None;
            buffer[filled] = b'\n';
            filled += 1;
        }
        filled
    }

    fn open(&mut self, Found { path, size }: Found) {
        self.expected -= size + 1;
        match File::open(&path) {
            Ok(file) => self.current = Some((path, file.take(size))),
            Err(source) => self.unreadable.push(Unreadable { path, source }),
        }
    }
}
