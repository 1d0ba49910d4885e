//! What a shared object is, and what goes on in it, for people who look at it from outside.

#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::cell;
use crate::error::{Kind, Result, TypeStamp};
use crate::heap;
use crate::queue;
use crate::segment::{self, Facts, Image, Name, Peer};
use crate::sync;

/// What [`inspect`] finds. All of it may be stale, and no two facts need ever have been true at the same moment.
///
/// # Examples
///
/// See [`inspect`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The object's name.
    pub name: String,
    /// What it is; the number of a kind that this build does not know.
    pub kind: Result<Kind, u32>,
    /// The type of its elements.
    pub element: TypeStamp,
    /// How many it was made for: elements, items of a [`ShareableList`](crate::ShareableList), messages, permits, parties, or bytes of an
    /// [`Arena`](crate::Arena); 0 where there is nothing to count.
    pub length: u64,
    /// Bytes of memory that it takes.
    pub bytes: u64,
    /// Bytes that it may grow to, of a [`Manager`](crate::Manager); of all others as many as it takes.
    pub reserved: u64,
    /// The permission bits of its file.
    pub mode: u32,
    /// The user whose file it is.
    pub user: u32,
    /// The process that made it, as it called itself in its own pid namespace.
    pub creator: u32,
    /// When it was made, by the clock of that time.
    pub created: SystemTime,
    /// Who is attached to it.
    pub peers: Vec<Peer>,
    /// What its kind knows of itself: what, and how it stands with that. Nothing if the kind is unknown.
    pub state: Vec<(String, String)>,
}

/// Looks at the object of a name, from outside: it is read, not mapped, nobody attaches, and nothing changes.
///
/// # Concurrency and death
///
/// Others may be at work meanwhile: what is found is as true as what they say of each other. It waits for nobody.
///
/// # Errors
///
/// [`NoSuchName`](crate::Error::NoSuchName); [`PermissionDenied`](crate::Error::PermissionDenied) if the file cannot be
/// opened; [`Attach`](crate::Error::Attach) if it is no shared object, or damaged, with what is wrong.
///
/// # Examples
///
/// ```
/// use crossproc::{Kind, Value, inspect};
///
/// # let unique = format!("example/inspect-{}", std::process::id());
/// # let name = unique.as_str();
/// let value = Value::create(name, 42_u64)?; // or "app/counter"
/// let found = inspect(name)?;
/// assert_eq!((found.kind, found.element.name.as_str()), (Ok(Kind::Value), "u64"));
/// assert_eq!(found.peers[0].pid, std::process::id());
/// assert!(found.state.contains(&("value".to_string(), "42".to_string())));
/// # Ok::<(), crossproc::Error>(())
/// ```
pub fn inspect(name: impl Into<Name>) -> Result<Inspection> {
    let name = name.into();
    let image = Image::open(&name)?;
    let mut facts = Facts::of(&image);
    let mut length = image.object.length;
    match image.object.kind {
        Ok(Kind::Arena) => segment::describe_arena(&mut facts)?,
        Ok(Kind::Value) => cell::describe_value(&mut facts)?,
        Ok(Kind::Array) => cell::describe_array(&mut facts)?,
        Ok(Kind::RawValue) => cell::describe_raw_value(&mut facts)?,
        Ok(Kind::RawArray) => cell::describe_raw_array(&mut facts)?,
        Ok(Kind::Lock) => sync::describe_lock(&mut facts)?,
        Ok(Kind::Semaphore) => sync::describe_semaphore::<false>(&mut facts)?,
        Ok(Kind::BoundedSemaphore) => sync::describe_semaphore::<true>(&mut facts)?,
        Ok(Kind::Condvar) => sync::describe_condvar(&mut facts)?,
        Ok(Kind::Ring) => queue::describe_ring(&mut facts)?,
        Ok(Kind::Queue) => queue::describe_queue(&mut facts)?,
        Ok(Kind::RLock) => sync::describe_rlock(&mut facts)?,
        Ok(Kind::RwLock) => sync::describe_rwlock(&mut facts)?,
        Ok(Kind::Event) => sync::describe_event(&mut facts)?,
        Ok(Kind::Barrier) => sync::describe_barrier(&mut facts)?,
        Ok(Kind::SharedMemory) => cell::describe_memory(&mut facts)?,
        Ok(Kind::ShareableList) => length = cell::describe_list(&mut facts)?,
        Ok(Kind::Manager) => heap::describe(&mut facts)?,
        Ok(Kind::Channel) | Err(_) => {} // channels have no names
    }
    let state = facts.into_list();
    Ok(Inspection {
        name: name.to_string(),
        kind: image.object.kind,
        element: image.object.element,
        length,
        bytes: image.backed,
        reserved: image.size,
        mode: image.file.mode,
        user: image.file.owner,
        creator: image.origin.creator,
        created: SystemTime::UNIX_EPOCH + Duration::from_nanos(image.origin.created),
        peers: image.peers,
        state,
    })
}
