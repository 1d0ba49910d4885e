//! A segment looked at from outside: read, not mapped, by somebody who is no peer of it and changes nothing.
//!
//! What is read was true of no one moment: others are at work meanwhile.

use std::alloc::Layout;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use serde::Serialize;

use super::carve::{Geometry, is_inside};
use super::header::{self, FIRST, Origin, first_object};
use super::name::Name;
use super::named::find_to_read;
use super::object::{Found, ObjectHeader};
use super::place::Body;
use crate::error::{AttachError, Error, Result};
use crate::sys::facts::FileFacts;
use crate::sys::liveness::Liveness;
use crate::sys::memory::MemoryFile;
use crate::word::peers;

/// A segment that has a name, and its first object.
pub(crate) struct Image {
    liveness: Liveness,
    pub(crate) file: FileFacts,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Bytes of memory behind them.
    pub(crate) backed: u64,
    pub(crate) origin: Origin,
    pub(crate) object: Found,
    /// Who is attached.
    pub(crate) peers: Vec<Peer>,
    places: u32,
    solid: u64,
    first_object: u64,
}

/// A process that is attached to an object.
///
/// # Examples
///
/// See [`inspect`](crate::inspect()).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Peer {
    /// Its identity in the object.
    pub id: u32,
    /// Its process id in its own pid namespace.
    pub pid: u32,
    /// What the process of that number is called here, if there is one.
    pub name: Option<String>,
}

impl Image {
    pub(crate) fn open(name: &Name) -> Result<Self> {
        let (file, facts) = find_to_read(name)?;
        let (size, backed) = (file.size()?, backed(&file)?);
        let (solid, peers) = header::check(&file.first_bytes::<FIRST>()?, size)?;
        let word = |offset: u64| file.word_at(offset);
        let origin = Origin::read(word)?;
        let offset = first_object(peers);
        let object = Found::read(|field| word(offset + field as u64), offset)?;
        if !is_inside(offset, object.bytes.max(size_of::<ObjectHeader>() as u64), offset, solid) {
            return Err(AttachError::OutOfBounds { offset, bytes: object.bytes, segment: size }.into());
        }
        let liveness = Liveness::of(file)?;
        let (places, peers) = (peers, attached(&liveness, peers)?);
        Ok(Image { file: facts, size, backed, origin, object, peers, places, solid, first_object: offset, liveness })
    }

    /// The eight bytes at an offset in the file, as a number; zeros where it ends.
    pub(crate) fn word(&self, offset: u64) -> Result<u64> {
        self.liveness.file().word_at(offset)
    }

    /// Bytes that no object has taken yet.
    pub(crate) fn remaining(&self) -> u64 {
        self.solid.saturating_sub(self.origin.used.max(self.first_object))
    }

    /// Who an identity is.
    pub(crate) fn who(&self, id: u32) -> String {
        match self.peers.iter().find(|peer| peer.id == id) {
            Some(Peer { pid, name: Some(name), .. }) => format!("process {pid} ({name})"),
            Some(Peer { pid, .. }) => format!("process {pid}"),
            None => "a process that is gone".into(),
        }
    }

    /// Where the object's body lies in the file.
    pub(crate) fn body<B: Body>(&self) -> Result<u64> {
        Ok(self.first_object + self.geometry::<B>(Layout::new::<()>())?.body)
    }

    /// Where the object's tail lies in the file, if it is laid out like this.
    pub(crate) fn tail<B: Body>(&self, tail: Layout) -> Result<u64> {
        Ok(self.first_object + self.geometry::<B>(tail)?.tail)
    }

    /// Where the object's elements lie in the file, if its tail is a row of them.
    pub(crate) fn row<B: Body>(&self) -> Result<u64> {
        let element = &self.object.element;
        let size = usize::try_from(element.size.saturating_mul(self.object.length)).ok();
        let tail = size
            .and_then(|size| Layout::from_size_align(size, element.align as usize).ok())
            .ok_or_else(|| self.wrong_length())?;
        self.tail::<B>(tail)
    }

    /// The object names a length that its size does not fit.
    pub(crate) fn wrong_length(&self) -> Error {
        AttachError::WrongLength { found: self.object.length, bytes: self.object.bytes }.into()
    }

    /// Places in the table of peers.
    pub(crate) fn places(&self) -> u32 {
        self.places
    }

    fn geometry<B: Body>(&self, tail: Layout) -> Result<Geometry> {
        if self.object.stamp != B::STAMP {
            return Err(AttachError::WrongLayout { found: self.object.stamp, expected: B::STAMP }.into());
        }
        let geometry = Geometry::of(Layout::new::<B>(), tail);
        geometry.filter(|geometry| geometry.bytes <= self.object.bytes).ok_or_else(|| self.wrong_length())
    }
}

/// stat(2), `st_blocks`: of a file in memory those that there are, be they swapped out, and not those up to its end.
fn backed(file: &MemoryFile) -> Result<u64> {
    let facts = file.as_fd().try_clone_to_owned().and_then(|descriptor| File::from(descriptor).metadata());
    facts.map(|facts| facts.blocks().saturating_mul(512)).map_err(|error| Error::os("look at a memory file", error))
}

fn attached(liveness: &Liveness, places: u32) -> Result<Vec<Peer>> {
    let mut found = Vec::new();
    for slot in 0..places {
        let occupant = peers::occupant(slot, liveness.file().word_at(header::peer(slot))?);
        let alive = occupant.filter(|(id, _)| !liveness.is_dead(*id));
        found.extend(alive.map(|(id, pid)| Peer { id, pid, name: process_name(pid) }));
    }
    Ok(found)
}

fn process_name(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().replace(char::is_control, "\u{fffd}"))
}
