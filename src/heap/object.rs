//! Objects: what handles refer to, and who holds them.
//!
//! | word | meaning                                                     |
//! |------|-------------------------------------------------------------|
//! | 0    | its [`Shape`]                                               |
//! | 1    | its number, which no other object has ever had              |
//! | 2    | a hash of what it is an object of                           |
//! | 3    | how many values in the heap refer to it                     |
//! | 4    | the first of those who hold it, or 0                        |
//! | 5, 6 | the objects in use behind and before it, or 0               |
//! | 7-14 | what its shape says                                         |
//!
//! A holder: 0 its object, 1 the identity of a process or of a message, 2 and 3 the holders behind and before it.
//!
//! O1. An object that nobody holds and no value refers to is garbage: it is in that list, and in no other, and is taken apart in steps
//!     that are transactions of their own.
//! O2. A holder belongs to an identity, so that one that died is found (`sweep.rs`).

use super::body::control;
use super::view::View;
use super::{At, Transaction};
use crate::error::{Error, Kind, Result};
use crate::sys::fork;
use crate::word::PeerId;

/// What an object is built like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Entries by their keys, in the order in which they came: `table.rs`.
    Table = 1,
    /// Items by their place: `row.rs`.
    Row = 2,
}

/// An object, wherever it is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Object {
    pub(crate) at: At,
    pub(crate) number: u64,
}

/// Who has an object held: a process, or a message. In a forked copy of the process that has made it, it holds nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    pub(crate) object: Object,
    peer: PeerId,
    /// The holder.
    pub(crate) place: At,
    generation: u32,
}

pub(super) const NUMBER: u64 = 1;
const TYPE: u64 = 2;
const REFERENCES: u64 = 3;
const HOLDERS: u64 = 4;
const NEXT: u64 = 5;
const BEFORE: u64 = 6;
/// The first word that belongs to the shape.
pub(super) const OWN: u64 = 7;
pub(super) const WORDS: usize = 15;

pub(super) mod holder {
    pub(in crate::heap) const OBJECT: u64 = 0;
    pub(in crate::heap) const PEER: u64 = 1;
    pub(in crate::heap) const NEXT: u64 = 2;
    pub(in crate::heap) const BEFORE: u64 = 3;
    pub(super) const WORDS: usize = 4;
}

impl Hold {
    pub(crate) fn new(object: Object, peer: PeerId, place: At) -> Self {
        Hold { object, peer, place, generation: fork::generation() }
    }

    pub(super) fn peer(self) -> u32 {
        self.peer.get()
    }

    /// Whether it is this process's, and not that of one which this is a copy of.
    pub(super) fn is_ours(self) -> bool {
        self.generation == fork::generation()
    }
}

impl Object {
    /// The address of one of the words that belong to its shape.
    #[inline]
    pub(super) fn own(self, word: u64) -> At {
        self.at.wrapping_add(OWN + word)
    }
}

impl View<'_> {
    /// Fails if the object is no more. Whatever is done with one begins with this.
    #[inline]
    pub(crate) fn check(&self, object: Object, shape: Shape) -> Result<()> {
        self.begin_search();
        let found = self.load(object.at.wrapping_add(NUMBER))?;
        if found == object.number && self.load(object.at)? == shape as u64 { Ok(()) } else { Err(gone()) }
    }

    /// A hash of what it is an object of.
    pub(crate) fn type_of(&self, object: Object) -> Result<u64> {
        self.load(object.at.wrapping_add(TYPE))
    }

    pub(super) fn shape_of(&self, object: Object) -> Result<u64> {
        self.load(object.at)
    }

    /// The object whose first word is there.
    pub(super) fn object_at(&self, at: At) -> Result<Object> {
        Ok(Object { at, number: self.load(at.wrapping_add(NUMBER))? })
    }

    pub(super) fn next_of(&self, object: At) -> Result<At> {
        self.load(object.wrapping_add(NEXT))
    }

    pub(super) fn first_holder(&self, object: At) -> Result<At> {
        self.load(object.wrapping_add(HOLDERS))
    }
}

impl View<'_> {
    /// The object that names others, if there is one.
    pub(crate) fn root(&self) -> Result<Option<Object>> {
        match self.load(control::ROOT)? {
            0 => Ok(None),
            at => self.object_at(at).map(Some),
        }
    }
}

/// The object that a handle refers to has been dropped by all, or by who held it for this handle.
pub(crate) fn gone() -> Error {
    Error::Gone { object: Kind::Manager }
}

impl Transaction<'_> {
    /// A new object, which has to be held or referred to before the transaction ends.
    pub(crate) fn make(&mut self, shape: Shape, of: u64) -> Result<Object> {
        let at = self.allocate(WORDS)?;
        let number = self.load(control::OBJECTS)?.wrapping_add(1);
        self.store(control::OBJECTS, number)?;
        for (place, value) in (at..).zip([shape as u64, number, of, 0, 0]) {
            self.fill(place, value)?;
        }
        for place in at + OWN..at + WORDS as u64 {
            self.fill(place, 0)?;
        }
        let first = self.load(control::FIRST)?;
        self.fill(at + NEXT, first)?;
        self.fill(at + BEFORE, 0)?;
        if first != 0 {
            self.store(first.wrapping_add(BEFORE), at)?;
        }
        self.store(control::FIRST, at)?;
        Ok(Object { at, number })
    }

    /// The object that names others. Nobody holds it, and nobody lets it go.
    pub(crate) fn root_or_new(&mut self) -> Result<Object> {
        if let Some(root) = self.root()? {
            return Ok(root);
        }
        let root = self.make(Shape::Table, 0)?;
        self.store(control::ROOT, root.at)?;
        Ok(root)
    }

    /// Has `peer` hold an object. This may be on the way to emptying something, and so uses what is kept back for that.
    pub(crate) fn hold(&mut self, object: Object, peer: PeerId) -> Result<Hold> {
        self.use_reserve();
        if self.load(object.at.wrapping_add(NUMBER))? != object.number {
            return Err(gone());
        }
        let (place, next) = (self.allocate(holder::WORDS)?, self.first_holder(object.at)?);
        for (word, value) in (0..).zip([object.at, peer.get().into(), next, 0]) {
            self.fill(place + word, value)?;
        }
        if next != 0 {
            self.store(next.wrapping_add(holder::BEFORE), place)?;
        }
        self.store(object.at + HOLDERS, place)?;
        Ok(Hold::new(object, peer, place))
    }

    /// Whether there is such a hold: what the holder says, and what its neighbour says of it.
    fn is_held(&self, hold: Hold) -> Result<bool> {
        let Hold { object, place, .. } = hold;
        if self.load(place.wrapping_add(holder::OBJECT))? != object.at
            || self.load(place.wrapping_add(holder::PEER))? != u64::from(hold.peer())
            || self.load(object.at.wrapping_add(NUMBER))? != object.number
        {
            return Ok(false);
        }
        let before = self.load(place.wrapping_add(holder::BEFORE))?;
        Ok(self.load(link_to(object, before))? == place)
    }

    /// Has another peer hold what this one held; false if it does not.
    pub(crate) fn pass(&mut self, hold: Hold, to: PeerId) -> Result<bool> {
        let is_held = self.is_held(hold)?;
        if is_held {
            self.store(hold.place + holder::PEER, to.get().into())?;
        }
        Ok(is_held)
    }

    /// Ends a hold, if there is one.
    pub(crate) fn let_go(&mut self, hold: Hold) -> Result<()> {
        if !self.is_held(hold)? {
            return Ok(());
        }
        let place = hold.place;
        let (next, before) = (self.load(place + holder::NEXT)?, self.load(place + holder::BEFORE)?);
        if next != 0 {
            self.store(next.wrapping_add(holder::BEFORE), before)?;
        }
        self.store(link_to(hold.object, before), next)?;
        self.free(place);
        self.discard(hold.object.at)
    }

    /// One value more refers to the object.
    pub(super) fn refer(&mut self, object: Object) -> Result<()> {
        if self.load(object.at.wrapping_add(NUMBER))? != object.number {
            return Err(gone());
        }
        let references = self.load(object.at + REFERENCES)?;
        self.store(object.at + REFERENCES, references.wrapping_add(1))
    }

    /// One value less.
    pub(super) fn drop_reference(&mut self, object: Object) -> Result<()> {
        if self.load(object.at.wrapping_add(NUMBER))? != object.number {
            return Ok(());
        }
        let references = self.load(object.at + REFERENCES)?;
        self.store(object.at + REFERENCES, references.saturating_sub(1))?;
        self.discard(object.at)
    }

    /// Makes an object garbage if nobody needs it any more (O1).
    fn discard(&mut self, at: At) -> Result<()> {
        if self.load(at.wrapping_add(HOLDERS))? != 0 || self.load(at + REFERENCES)? != 0 {
            return Ok(());
        }
        let (next, before) = (self.load(at + NEXT)?, self.load(at + BEFORE)?);
        if next != 0 {
            self.store(next.wrapping_add(BEFORE), before)?;
        }
        self.store(if before == 0 { control::FIRST } else { before.wrapping_add(NEXT) }, next)?;
        self.throw_away(at)
    }

    /// Puts an object that is in no list among the garbage.
    pub(super) fn throw_away(&mut self, at: At) -> Result<()> {
        let garbage = self.load(control::GARBAGE)?;
        self.store(at.wrapping_add(NUMBER), 0)?; // handles to it find that it is gone
        self.store(at + NEXT, garbage)?;
        self.store(control::GARBAGE, at)
    }

    /// Empties an object: what it has goes to one that is garbage.
    pub(super) fn throw_away_words(&mut self, object: Object, shape: Shape) -> Result<()> {
        let at = self.allocate(WORDS)?;
        self.fill(at, shape as u64)?;
        for word in NUMBER..OWN {
            self.fill(at + word, 0)?;
        }
        for word in OWN..WORDS as u64 {
            let value = self.load(object.at + word)?;
            self.fill(at + word, value)?;
            if value != 0 {
                self.store(object.at + word, 0)?;
            }
        }
        self.throw_away(at)
    }

    /// Empties an object that has been taken apart.
    pub(super) fn forget_words(&mut self, object: Object) -> Result<()> {
        (OWN..WORDS as u64).try_for_each(|word| self.store(object.at + word, 0))
    }

    /// The first piece of garbage is nothing but its own words any more.
    pub(super) fn bury(&mut self, at: At) -> Result<()> {
        let next = self.load(at.wrapping_add(NEXT))?;
        self.store(control::GARBAGE, next)?;
        self.free(at);
        Ok(())
    }
}

/// Where the holder behind this one, or the first one, is noted.
fn link_to(object: Object, before: At) -> At {
    if before == 0 { object.at.wrapping_add(HOLDERS) } else { before.wrapping_add(holder::NEXT) }
}
