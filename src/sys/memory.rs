//! Memory files: fallocate(2), file seals.

#![allow(unsafe_code)]

use std::fs::{File, Metadata};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::capacity;
use super::facts::FileFacts;
use super::map::page_size;
use super::memfd::memfd;
use crate::error::{AttachError, Error, OsError, Result};

/// Which file a descriptor stands for: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileKey {
    device: u64,
    inode: u64,
}

impl FileKey {
    pub(super) fn of(metadata: &Metadata) -> Self {
        FileKey { device: metadata.dev(), inode: metadata.ino() }
    }

    #[cfg(feature = "compat-shared-memory")]
    pub(super) fn new(device: u64, inode: u64) -> Self {
        FileKey { device, inode }
    }
}

/// A file that lives in memory, and its descriptor.
pub(crate) struct MemoryFile {
    file: File,
}

/// What a file must have so that nobody can take away bytes under a mapping.
const REQUIRED_SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// How much is reserved with one call, and half as much after each signal: a signal makes fallocate(2) on tmpfs undo all
/// that the call did, so that one call for very much might never get through. A guess: some 10 ms of clearing pages.
const RESERVE_STEP: u64 = 64 << 20;

/// How many bytes this process reserves before it compares a request with the memory there is: fallocate(2) would rather
/// have the kernel kill a process than fail. A look costs some 50 us, which is too much for each small object.
const WORTH_A_LOOK: u64 = 16 << 20;

/// Bytes reserved since the last look.
static SINCE_LOOK: AtomicU64 = AtomicU64::new(0);

fn within(needed: u64, available: u64) -> Result<()> {
    if needed <= available { Ok(()) } else { Err(Error::NoSpace { needed, available }) }
}

impl MemoryFile {
    /// An anonymous file, empty.
    pub(crate) fn anonymous() -> Result<Self> {
        memfd(c"crossproc").map(MemoryFile::from).map_err(|error| Error::os("create a memory file", error))
    }

    /// Gives an empty file `length` bytes of zeroed memory, of which the first `solid` are really there.
    pub(crate) fn reserve(&self, solid: u64, length: u64) -> Result<()> {
        // Beyond this limit the kernel does not only refuse: it also sends SIGXFSZ. It means files that grow, and no bytes
        // within one.
        within(length, capacity::file_size_limit().min(i64::MAX.cast_unsigned()))?;
        self.fill(0, solid, solid)?;
        if solid < length {
            self.file.set_len(length).map_err(|error| match error.raw_os_error() {
                Some(libc::EFBIG | libc::EINVAL) => Error::NoSpace { needed: length, available: solid },
                _ => Error::os("size a memory file", error),
            })?;
        }
        Ok(())
    }

    /// Backs `length` bytes from `offset` of the file `key` with memory, unless they are already.
    pub(crate) fn back(&self, key: FileKey, offset: u64, length: u64) -> Result<()> {
        self.check_is(key)?;
        self.fill(offset, length, length)
    }

    /// Whoever closes descriptors that it does not own (`closefrom`) and then opens a file of its own may have that one at
    /// our number: it is not ours to change.
    fn check_is(&self, key: FileKey) -> Result<()> {
        let replaced = || Error::os("use a memory file whose descriptor was closed", OsError::from_code(libc::EBADF));
        if self.key()? == key { Ok(()) } else { Err(replaced()) }
    }

    /// Backs `length` bytes from `offset` with memory, of which `missing` are not yet.
    fn fill(&self, offset: u64, length: u64, missing: u64) -> Result<()> {
        let end = offset.saturating_add(length);
        if SINCE_LOOK.fetch_add(missing, Relaxed).saturating_add(missing) > WORTH_A_LOOK {
            within(missing, capacity::available(&self.file))?;
            SINCE_LOOK.store(0, Relaxed);
        }
        let (mut reserved, mut most) = (offset, RESERVE_STEP);
        while reserved < end {
            let step = (end - reserved).min(most);
            match self.allocate(reserved, step) {
                Ok(()) => reserved += step,
                Err(libc::EINTR) => most = (most / 2).max(page_size() as u64),
                Err(libc::ENOSPC | libc::ENOMEM | libc::EFBIG) => {
                    let available = capacity::available(&self.file).min(missing - 1);
                    return Err(Error::NoSpace { needed: missing, available });
                }
                Err(code) => return Err(Error::os("reserve shared memory", OsError::from_code(code))),
            }
        }
        Ok(())
    }

    /// fallocate(2); the error is an errno.
    fn allocate(&self, offset: u64, length: u64) -> Result<(), i32> {
        let (offset, length) = (offset.cast_signed(), length.cast_signed());
        // SAFETY: the descriptor is open; the call has no memory arguments.
        match unsafe { libc::fallocate(self.file.as_raw_fd(), 0, offset, length) } {
            0 => Ok(()),
            _ => Err(OsError::last().code()),
        }
    }

    /// Fixes the file's size for good.
    pub(crate) fn seal(&self) -> Result<()> {
        // SAFETY: F_ADD_SEALS takes an int.
        match unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_ADD_SEALS, REQUIRED_SEALS) } {
            0 => Ok(()),
            _ => Err(Error::last_os("seal a memory file")),
        }
    }

    /// Checks that the file can neither shrink nor grow. A file that knows no seals has none.
    pub(crate) fn check_seals(&self) -> Result<(), AttachError> {
        // SAFETY: F_GET_SEALS takes no argument.
        let found = unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_GET_SEALS) }.max(0);
        if found & REQUIRED_SEALS == REQUIRED_SEALS {
            return Ok(());
        }
        Err(AttachError::NotSealed { found: found.cast_unsigned(), required: REQUIRED_SEALS.cast_unsigned() })
    }

    pub(crate) fn size(&self) -> Result<u64> {
        Ok(self.metadata()?.size())
    }

    /// Backs the first `length` bytes with memory: touching a hole that somebody left when memory is out is a SIGBUS.
    pub(crate) fn fill_holes(&self, length: u64) -> Result<()> {
        let missing = length.saturating_sub(self.metadata()?.blocks().saturating_mul(512));
        // Blocks further behind may make up for holes in front; asking the file is the only way to know.
        if missing > 0 || self.has_hole_before(length) {
            self.fill(0, length, missing.max(page_size() as u64))?;
        }
        Ok(())
    }

    /// lseek(2), SEEK_HOLE.
    fn has_hole_before(&self, length: u64) -> bool {
        // SAFETY: the call has no memory arguments; the file's position means nothing to anybody.
        let hole = unsafe { libc::lseek(self.file.as_raw_fd(), 0, libc::SEEK_HOLE) };
        hole >= 0 && hole.cast_unsigned() < length
    }

    /// The first bytes of the file, read without mapping it; zeros where it ends before.
    pub(crate) fn first_bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_at(&mut bytes, 0).map_err(|error| Error::os("read a memory file", error))?;
        Ok(bytes)
    }

    /// Eight bytes of the file as a number, read without mapping it; zeros where it ends before.
    pub(crate) fn word_at(&self, offset: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_at(&mut bytes, offset).map_err(|error| Error::os("read a memory file", error))?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Where the first byte stands that is not zero, if there is one.
    #[cfg(feature = "compat-shared-memory")]
    pub(crate) fn first_data(&self) -> Result<Option<u64>> {
        let mut bytes = vec![0; 64 << 10];
        let mut offset = 0;
        loop {
            let read = self.file.read_at(&mut bytes, offset);
            let read = read.map_err(|error| Error::os("read a memory file", error))?;
            if read == 0 {
                return Ok(None);
            }
            if let Some(place) = bytes[..read].iter().position(|&byte| byte != 0) {
                return Ok(Some(offset + place as u64));
            }
            offset += read as u64;
        }
    }

    /// Refuses a file in huge pages, of which one page cannot be mapped.
    pub(crate) fn check_pages(&self) -> Result<()> {
        if self.file_system()? == libc::HUGETLBFS_MAGIC {
            return Err(Error::Unsupported { what: "a segment in huge pages".into() });
        }
        Ok(())
    }

    /// Whether the file lies in memory, and not on a disk.
    pub(crate) fn is_in_memory(&self) -> Result<bool> {
        Ok(self.file_system()? == libc::TMPFS_MAGIC)
    }

    /// The magic of the file system, fstatfs(2).
    fn file_system(&self) -> Result<libc::__fsword_t> {
        let mut facts = MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the descriptor is open, the pointer is to a writable statfs.
        if unsafe { libc::fstatfs(self.file.as_raw_fd(), facts.as_mut_ptr()) } != 0 {
            return Err(Error::last_os("look at a memory file"));
        }
        // SAFETY: the call succeeded, so it has filled the struct.
        Ok(unsafe { facts.assume_init() }.f_type)
    }

    pub(crate) fn key(&self) -> Result<FileKey> {
        Ok(FileKey::of(&self.metadata()?))
    }

    pub(crate) fn facts(&self) -> Result<FileFacts> {
        Ok(FileFacts::of(&self.metadata()?))
    }

    fn metadata(&self) -> Result<Metadata> {
        self.file.metadata().map_err(|error| Error::os("look at a memory file", error))
    }

    /// Opens the same file, `key`, again, as an open file description of its own.
    pub(super) fn reopen(&self, key: FileKey) -> Result<OwnedFd> {
        self.check_is(key)?;
        let path = format!("/proc/thread-self/fd/{}", self.file.as_raw_fd());
        // Not to block: somebody may hold a lease on the file, and forks wait for us.
        let again = match File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path) {
            Ok(file) => MemoryFile { file },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Unsupported { what: "a system without /proc".into() });
            }
            Err(error) => return Err(Error::os("open a memory file again", error)),
        };
        // What is mounted at /proc might be anything.
        if again.key()? == key {
            Ok(again.file.into())
        } else {
            Err(Error::Unsupported { what: "a /proc that shows other files".into() })
        }
    }

    pub(super) fn descriptor(&self) -> &File {
        &self.file
    }
}

/// The effective user id of this process.
pub(crate) fn user() -> u32 {
    // SAFETY: geteuid has no preconditions and never fails.
    unsafe { libc::geteuid() }
}

impl From<OwnedFd> for MemoryFile {
    fn from(descriptor: OwnedFd) -> Self {
        MemoryFile { file: File::from(descriptor) }
    }
}

impl AsFd for MemoryFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::{fs, ptr};

    use super::*;

    /// A file system of one mebibyte, mounted where only this thread's mount namespace sees it.
    ///
    /// `None` where the kernel lets nobody mount one: not root, and no user namespaces.
    fn tiny_file_system() -> Option<std::path::PathBuf> {
        let folder = std::env::temp_dir().join(format!("crossproc-tiny-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = CString::new(folder.to_str().unwrap()).unwrap();
        let private = libc::MS_REC | libc::MS_PRIVATE;
        // SAFETY: unshare has no memory arguments; a thread may leave its mount namespace.
        let is_alone = unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_FS) } == 0;
        // SAFETY: null pointers are allowed where the flags need no argument.
        let is_private =
            is_alone && unsafe { libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), private, ptr::null()) } == 0;
        let size = c"size=1m".as_ptr().cast();
        // SAFETY: C strings that outlive the call.
        let is_mounted =
            is_private && unsafe { libc::mount(c"tiny".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, size) } == 0;
        is_mounted.then_some(folder)
    }

    #[test]
    fn a_full_file_system_is_no_space() {
        // A thread of its own takes its mount namespace with it when it ends, and the mount with that.
        let outcome = std::thread::spawn(|| {
            let folder = tiny_file_system()?;
            let create = |name| {
                let options = File::options().read(true).write(true).create_new(true).open(folder.join(name));
                MemoryFile { file: options.unwrap() }
            };
            create("fits").reserve(768 << 10, 768 << 10).unwrap();
            Some(create("does not").reserve(768 << 10, 768 << 10))
        });
        match outcome.join().unwrap() {
            Some(outcome) => assert_eq!(outcome, Err(Error::NoSpace { needed: 768 << 10, available: 256 << 10 })),
            None => eprintln!("not checked: this user cannot mount a file system"),
        }
        let _ = fs::remove_dir(std::env::temp_dir().join(format!("crossproc-tiny-{}", std::process::id())));
    }

    #[test]
    fn holes_are_filled_before_they_are_touched() {
        let file = MemoryFile::anonymous().unwrap();
        file.file.set_len(1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().blocks(), 0);
        file.fill_holes(1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().blocks() * 512, 1 << 20);
    }

    #[test]
    fn an_unsealed_file_is_refused_and_a_sealed_one_is_not() {
        let file = MemoryFile::anonymous().unwrap();
        assert!(matches!(file.check_seals(), Err(AttachError::NotSealed { .. })));
        file.seal().unwrap();
        assert_eq!(file.check_seals(), Ok(()));
    }
}
