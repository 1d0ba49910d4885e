//! Arenas in memory that the crate `shared_memory` has made: a file that was not made for a segment becomes one.
//!
//! H1. Whoever lays a segment out holds the lock on the file's name byte. The kernel drops it with its holder.
//! H2. The first word of a file is 0, then BEGUN, then the magic. BEGUN is stored only where every byte has been seen to be 0,
//!     and before any other byte. So a file that begins with it holds nothing but what one who was killed has left, and is
//!     laid out anew.
//! H3. The magic is stored when the arena is complete. From then on the file is attached like any other.

use shared_memory::Shmem;

use super::header::BEGUN;
use super::name::Name;
use super::named::{OTHERS, denied, find_entry, not_ours};
use super::{Arena, Segment, check_size_is_safe, place};
use crate::error::{AttachError, Error, Result};
use crate::fault::crash_point;
use crate::sys::liveness::NameLock;
use crate::sys::map::Mapping;
use crate::sys::memory::{MemoryFile, user};
use crate::sys::{directory, fork, maps};

impl Arena {
    /// The arena in shared memory that the crate `shared_memory` has made. It takes all of it; whoever comes first lays it out.
    ///
    /// What else is done with the bytes of the `Shmem` while it holds an arena damages that arena: reach its content through
    /// crossproc alone. The arena has a mapping of its own, and stays when the `Shmem` is dropped; the file's name is its
    /// owner's to remove, and crossproc does not.
    ///
    /// Needs the feature `compat-shared-memory`.
    ///
    /// # Concurrency and death
    ///
    /// Any number of threads and processes may call it at once. If one is killed on the way, the next one begins again; if it
    /// is stopped in those few instructions, the others give up after half a second.
    ///
    /// # Errors
    ///
    /// [`Attach`](Error::Attach) if the memory holds anything but zeros or an arena, which then stays as it is, or is too
    /// small; [`PermissionDenied`](Error::PermissionDenied) if it is another user's, or others can read it or write to it;
    /// [`NoSuchName`](Error::NoSuchName) if its name has been removed, also if something else is called so by now;
    /// [`NoSpace`](Error::NoSpace) if there is not as much memory as the `Shmem` is long;
    /// [`InvalidName`](Error::InvalidName) if its id is that of one of crossproc's own objects; and those of
    /// [`from_fd`](Self::from_fd).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Arena, Lock, Ring};
    /// use shared_memory::ShmemConf;
    ///
    /// let shmem = ShmemConf::new().size(1 << 20).create().unwrap();
    /// let arena = Arena::in_shmem(&shmem)?;
    /// let lock = Lock::new_in(&arena)?; // instead of raw_sync's, at an address
    /// let jobs = Ring::<u64>::new_in(&arena, 16)?; // and both go to children in their arguments
    /// # drop((lock, jobs));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn in_shmem(shmem: &Shmem) -> Result<Self> {
        fork::prepare()?; // forks are kept away as long as a name byte is locked
        let file = find(shmem)?;
        lay_out(&file)?;
        Arena::of(Segment::attach_file(file, 0)?)
    }
}

/// The file that is mapped by a `Shmem`, which tells its name and address alone.
fn find(shmem: &Shmem) -> Result<MemoryFile> {
    let id = shmem.get_os_id();
    let entry = id.trim_start_matches('/'); // as shm_open does
    if Name::of_entry(entry).is_some() {
        let reason = "the file of one of crossproc's own objects, which is opened by that object's name".into();
        return Err(Error::InvalidName { name: id.into(), reason });
    }
    let (file, facts) = find_entry(entry, id, directory::open)?;
    if maps::file_at(shmem.as_ptr().addr())? != Some(facts.key) {
        return Err(Error::NoSuchName { name: id.into() });
    }
    if !facts.is_this_users() {
        return Err(not_ours(id, &facts));
    }
    if facts.mode & OTHERS != 0 {
        return Err(denied(id, &facts, "a mode that is for nobody else".into()));
    }
    Ok(file)
}

/// Makes an empty file an arena. One that is not empty is left to those who attach it.
fn lay_out(file: &MemoryFile) -> Result<()> {
    if !can_begin(file)? {
        return Ok(());
    }
    file.check_pages()?;
    check_size_is_safe(file, 0, 0)?;
    let (size, least) = (file.size()?, Arena::least()?);
    if size < least {
        return Err(AttachError::WrongSize { found: size, expected: least }.into());
    }
    if file.word_at(0)? == 0
        && let Some(offset) = file.first_data()?
        && file.word_at(0)? == 0
    {
        return Err(AttachError::NotEmpty { offset }.into());
    }
    file.fill_holes(size)?; // before the lock: it takes its time
    let mapping = Mapping::of(file, size)?;
    let _lock = NameLock::wait(file, file.key()?, "lay out an arena")?; // (H1)
    if !can_begin(file)? {
        return Ok(());
    }
    let header = place::header(&mapping);
    header.begin(); // (H2)
    crash_point!("shmem.begun");
    header.initialise(size, size, user(), 0);
    Arena::lay_out(&mapping)?;
    crash_point!("shmem.laid_out");
    header.complete(); // (H3)
    Ok(())
}

/// Whether nobody has laid out the file to the end; only those who hold the lock know that nobody is at it.
fn can_begin(file: &MemoryFile) -> Result<bool> {
    let first = file.word_at(0)?;
    Ok(first == 0 || first == BEGUN)
}
