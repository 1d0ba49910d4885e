//! Shared bytes: a memory file, mapped, with a header, a table of peers and objects.
//!
//! Whoever holds a [`Segment`] is a peer of it: it has an identity that other peers can tell dead or alive. A process
//! attaches to a file once, however many handles it has; a forked copy of the process is another peer, and becomes one
//! when it first needs an identity.

mod arena;
mod carve;
pub(crate) mod handle;
mod facts;
mod header;
mod image;
pub(crate) mod impls;
mod name;
pub(crate) mod named;
mod object;
mod ownership;
pub(crate) mod place;
mod region;
mod shared;
#[cfg(feature = "compat-shared-memory")]
mod shmem;
pub(crate) mod transfer;
mod unlink;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

pub use arena::Arena;
pub(crate) use arena::describe as describe_arena;
pub(crate) use carve::{OBJECT_ALIGN, stamp};
pub(crate) use facts::{Facts, MOST_LOOKED_AT};
pub(crate) use image::Image;
pub use image::Peer;
pub use name::Name;
pub(crate) use object::type_stamp;
pub use ownership::Relock;
pub(crate) use ownership::{Failure, Lend, Ownership, Section, Wait};
pub(crate) use region::Region;
pub use shared::{Atomics, Shared};
pub(crate) use unlink::unlink_object;
pub use unlink::{abandoned, gc, names, unlink, unlink_abandoned};

pub(crate) use self::header::PEERS;
use self::header::{FIRST, LEAST, first_object};
use self::named::OTHERS;
use self::unlink::Link;
use crate::error::{AttachError, Error, Result};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::directory;
use crate::sys::fork::{self, Exclusion};
use crate::sys::liveness::{Entrance, Hold, Liveness};
use crate::sys::map::{Mapping, page_size};
use crate::sys::memory::{FileKey, MemoryFile, user};
use crate::word::PeerId;
use crate::word::peers::{self, PeerSlot};

/// One attached segment.
pub(crate) struct Segment {
    mapping: Mapping,
    /// Bytes from the start that are backed with memory; what lies behind is on demand ([`back`](Self::back)).
    solid: u64,
    liveness: Liveness,
    /// Places in the table of peers, as checked at attach.
    peers: u32,
    /// Low half: our identity; high half: the fork generation that it belongs to.
    identity: AtomicU64,
    /// What keeps the identity alive. Locked only while forks are excluded.
    hold: Mutex<Option<Hold>>,
    /// It was made for a name; what is anonymous never gets one.
    can_have_name: bool,
    /// Where this process has given it its name.
    link: OnceLock<Link>,
    /// Where this process has given it its name, or found it by that.
    name: OnceLock<Name>,
}

/// The segments of this process, so that each file is attached once. Locked only while forks are excluded.
static ATTACHED: Mutex<BTreeMap<FileKey, Weak<Segment>>> = Mutex::new(BTreeMap::new());

fn attached(_forks_excluded: &Exclusion) -> MutexGuard<'static, BTreeMap<FileKey, Weak<Segment>>> {
    ATTACHED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Segment {
    /// A new segment with room for objects of `bytes` in all, which this process is attached to. Behind them lie another
    /// `on_demand` bytes, whose memory is taken when it is needed. Anonymous without a name; with one, that is still to
    /// be [given](Self::link).
    ///
    /// Nobody else can see the file before a handle is given away, or it has its name, so the magic may be stored before
    /// the first object.
    pub(crate) fn create(bytes: u64, on_demand: u64, name: Option<&Name>) -> Result<Arc<Self>> {
        let page = page_size() as u64;
        let solid = first_object(PEERS).saturating_add(bytes).checked_next_multiple_of(page).unwrap_or(u64::MAX);
        let length = solid.saturating_add(on_demand);
        let file = match name {
            None => MemoryFile::anonymous()?,
            Some(name) => {
                name.entry()?; // before memory is taken
                directory::nameless(name.bits())?
            }
        };
        file.reserve(solid, length)?;
        if name.is_none() {
            file.seal()?; // what has a name cannot be sealed
        }
        let mapping = Mapping::of(&file, length)?;
        let header = place::header(&mapping);
        header.initialise(length, solid, user(), name.map_or(0, |name| name.bits() & OTHERS));
        header.complete();
        fork::prepare()?;
        let liveness = Liveness::of(file)?;
        let entrance = liveness.enter()?;
        Segment::join(mapping, solid, liveness, PEERS, name.is_some(), &entrance)
    }

    /// Gives a segment that was made for a name that name; false if it is taken.
    fn link(&self, name: &Name) -> Result<bool> {
        let Some(link) = Link::make(self.liveness.file(), name)? else { return Ok(false) };
        fork::fill(&self.link, link);
        fork::fill(&self.name, name.clone());
        Ok(true)
    }

    /// The segment whose file `descriptor` is.
    pub(crate) fn attach(descriptor: OwnedFd) -> Result<Arc<Self>> {
        Segment::attach_file(descriptor.into(), 0)
    }

    /// The segment in a file, of which this process is a peer then. `others`: which bits of its mode may let others at it, or
    /// make it another user's.
    fn attach_file(file: MemoryFile, others: u32) -> Result<Arc<Self>> {
        fork::prepare()?;
        let liveness = Liveness::of(file)?;
        let known = |forks: &Exclusion| attached(forks).get(&liveness.key()).and_then(Weak::upgrade);
        let here = known(&fork::exclude());
        if let Some(segment) = here {
            segment.me()?; // this may be a forked copy
            return Ok(segment);
        }
        let file = liveness.file();
        file.check_pages()?;
        let first = file.first_bytes::<FIRST>()?;
        let can_have_name = check_size_is_safe(file, others, header::others(&first))?;
        let size = file.size()?;
        if size < LEAST {
            return Err(AttachError::WrongSize { found: size, expected: LEAST }.into());
        }
        let (solid, peers) = header::check(&first, size)?;
        file.fill_holes(solid)?;
        let mapping = Mapping::of(file, size)?;
        let entrance = liveness.enter()?;
        // Another thread may have been faster.
        match known(entrance.forks()) {
            Some(segment) => Ok(segment),
            None => Segment::join(mapping, solid, liveness, peers, can_have_name, &entrance),
        }
    }

    /// Becomes a peer. The segment is made last: its drop excludes forks, as `entrance` does.
    fn join(
        mapping: Mapping,
        solid: u64,
        liveness: Liveness,
        peers: u32,
        can_have_name: bool,
        entrance: &Entrance,
    ) -> Result<Arc<Self>> {
        let (id, hold) = settle(place::peers(&mapping, peers), &liveness, entrance, Entrance::anchor)?;
        let segment = Arc::new(Segment {
            mapping,
            solid,
            liveness,
            peers,
            identity: AtomicU64::new(identity(id)),
            hold: Mutex::new(Some(hold)),
            can_have_name,
            link: OnceLock::new(),
            name: OnceLock::new(),
        });
        attached(entrance.forks()).insert(segment.liveness.key(), Arc::downgrade(&segment));
        Ok(segment)
    }

    /// Who this process is to the other peers.
    ///
    /// An error only in a forked copy of the process that attached, when it cannot become a peer of its own.
    #[inline]
    pub(crate) fn me(&self) -> Result<PeerId> {
        // Relaxed: the number is all there is; what makes it true happened in system calls.
        match current(self.identity.load(Relaxed)) {
            Some(id) => Ok(id),
            None => self.join_as_copy(),
        }
    }

    #[cold]
    fn join_as_copy(&self) -> Result<PeerId> {
        let entrance = self.liveness.enter()?;
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = current(self.identity.load(Relaxed)) {
            return Ok(id);
        }
        let table = place::peers(&self.mapping, self.peers);
        let (id, held) = settle(table, &self.liveness, &entrance, Entrance::anchor)?;
        *hold = Some(held);
        self.identity.store(identity(id), Relaxed);
        Ok(id)
    }

    /// A new identity for what is on its way to another process: alive as long as the descriptor is open anywhere.
    pub(crate) fn depart(&self) -> Result<(PeerId, OwnedFd)> {
        let entrance = self.liveness.enter()?;
        settle(place::peers(&self.mapping, self.peers), &self.liveness, &entrance, Entrance::carrier)
    }

    /// The name of the object at this offset, if this process has made it under one, or opened it by one.
    pub(crate) fn name_of(&self, offset: u64) -> Option<&Name> {
        self.name.get().filter(|_| offset == self.first_object())
    }

    /// Whether somebody could find it by name.
    fn can_have_name(&self) -> bool {
        self.can_have_name
    }

    /// Gives the place of an identity back that [`depart`](Self::depart) gave here or elsewhere, once nothing bears it
    /// any more; its descriptor is still open.
    pub(crate) fn land(&self, flight: PeerId) {
        peers::leave(place::peers(&self.mapping, self.peers), flight);
    }

    /// The identity with this number, if there can be one in this segment.
    pub(crate) fn identity_of(&self, number: u32) -> Option<PeerId> {
        PeerId::checked(number, self.peers as usize)
    }

    pub(crate) fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// Takes room for an object; its offset.
    fn allocate(&self, bytes: u64) -> Result<u64> {
        let allocated = place::header(&self.mapping).allocate(bytes, self.first_object(), self.solid);
        allocated.ok_or_else(|| Error::NoSpace { needed: bytes, available: self.remaining() })
    }

    /// Bytes that no object has taken yet.
    fn remaining(&self) -> u64 {
        let used = place::header(&self.mapping).used();
        self.solid.saturating_sub(used.max(self.first_object()))
    }

    /// Where the bytes on demand begin.
    pub(crate) fn solid(&self) -> u64 {
        self.solid
    }

    pub(crate) fn length(&self) -> u64 {
        self.mapping.len()
    }

    /// How many places the table of peers has.
    pub(crate) fn peers(&self) -> u32 {
        self.peers
    }

    /// Backs `length` bytes from `offset` with memory: those on demand, before they are touched.
    pub(crate) fn back(&self, offset: u64, length: u64) -> Result<()> {
        self.liveness.file().back(self.liveness.key(), offset, length)
    }

    /// The offset of the segment's first object, which is what its descriptor stands for.
    pub(crate) fn first_object(&self) -> u64 {
        first_object(self.peers)
    }
}

/// Takes an identity, and what it hangs on.
fn settle<H>(
    table: &[PeerSlot],
    liveness: &Liveness,
    entrance: &Entrance,
    hang: impl FnOnce(&Entrance) -> Result<H>,
) -> Result<(PeerId, H)> {
    let held = hang(entrance)?;
    let id = peers::join(table, process::id(), liveness, |id| entrance.lock(id))?;
    Ok((id, held))
}

/// Fails unless nobody can cut the file off under a mapping: it is sealed, or only this user can, who could do anything to
/// this process anyway, and those whom he trusts. Whether it is the second, as of files that can have names.
///
/// `others`: the bits of its mode that say whom he trusts; `wanted`: those that the file's creator wanted, whose word counts
/// if he is this user.
fn check_size_is_safe(file: &MemoryFile, others: u32, wanted: u32) -> Result<bool> {
    let Err(unsealed) = file.check_seals() else { return Ok(false) };
    let facts = file.facts()?;
    let is_ours = facts.is_this_users();
    let trusted = if is_ours { others | wanted } else { others };
    let is_trusted = (is_ours || trusted != 0) && facts.mode & OTHERS & !trusted == 0;
    if is_trusted && facts.is_regular && file.is_in_memory()? { Ok(true) } else { Err(unsealed.into()) }
}

/// An identity and the fork generation it belongs to, in one word.
fn identity(id: PeerId) -> u64 {
    u64::from(fork::generation()) << 32 | u64::from(id.get())
}

/// The identity in such a word, unless it is that of the process we were forked from.
#[inline]
fn current(identity: u64) -> Option<PeerId> {
    ((identity >> 32) as u32 == fork::generation()).then(|| PeerId::from_number(identity as u32))
}

impl Drop for Segment {
    /// Gives the place in the table back; the hold, which is dropped after this, lets go of the byte.
    fn drop(&mut self) {
        // While we are a peer: whoever finds the name meanwhile takes nothing for abandoned.
        if let Some(link) = self.link.get() {
            link.remove(self.liveness.key());
        }
        let forks = fork::exclude();
        if let Some(id) = current(self.identity.load(Relaxed)) {
            peers::leave(place::peers(&self.mapping, self.peers), id);
        }
        let mut attached = attached(&forks);
        // Another thread may have attached the file anew since our last handle went.
        if attached.get(&self.liveness.key()).is_some_and(|segment| segment.strong_count() == 0) {
            attached.remove(&self.liveness.key());
        }
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.liveness.as_fd()
    }
}
