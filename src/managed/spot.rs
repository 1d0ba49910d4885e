//! Changes that depend on what is there: one step, by looking, and exchanging what was seen for something else.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec;
use super::held::Held;
use super::kept::{Buffer, Exchanged, Kept, Stored};
use crate::error::Result;

/// Where there is a value in a container, or could be.
#[derive(Clone, Copy)]
pub(super) enum Spot<'a> {
    /// Of an encoded key.
    Entry(&'a Held, &'a [u8]),
    Item(&'a Held, u64),
}

/// A spot that has been looked at.
pub(super) struct Sight<'a> {
    spot: Spot<'a>,
    seen: Option<Kept>,
}

impl<'a> Spot<'a> {
    fn held(self) -> &'a Held {
        match self {
            Spot::Entry(held, _) | Spot::Item(held, _) => held,
        }
    }

    fn look(self) -> Result<Option<Kept>> {
        let mut buffer = Buffer::new();
        let seen = match self {
            Spot::Entry(held, key) => held.get(key, &mut buffer)?,
            Spot::Item(held, index) => Some(held.item(index, &mut buffer)?),
        };
        Ok(seen.map(|seen| seen.keep(&buffer)))
    }

    /// An item is always there.
    fn exchange(self, current: Option<&[u8]>, new: &Stored) -> Result<Exchanged> {
        match self {
            Spot::Entry(held, key) => held.exchange(key, current, Some(new)),
            Spot::Item(held, index) => held.exchange_item(index, current.unwrap_or_default(), new),
        }
    }

    /// Has `change` make another value of the one that is there, without a lock, until it has: which it says with a result. It is called
    /// again when somebody else has changed the value meanwhile.
    pub(super) fn change<V: Serialize + DeserializeOwned, R>(
        self,
        mut change: impl FnMut(Option<V>, &mut Sight<'a>) -> Result<Option<R>>,
    ) -> Result<R> {
        let mut sight = Sight { spot: self, seen: self.look()? };
        loop {
            let value = sight.seen.as_mut().map(Kept::decode).transpose()?;
            if let Some(result) = change(value, &mut sight)? {
                return Ok(result);
            }
        }
    }

    /// Replaces the value by what `f` makes of it; the new one. If there is none: what `missing` says.
    pub(super) fn update<V: Serialize + DeserializeOwned>(
        self,
        mut f: impl FnMut(V) -> V,
        missing: impl Fn() -> crate::Error,
    ) -> Result<V> {
        self.change(|value, sight| {
            let new = f(value.ok_or_else(&missing)?);
            Ok(sight.put(&new)?.then_some(new))
        })
    }
}

impl Sight<'_> {
    /// Has `new` be there if it is still what was seen. If not, that is seen which is there instead.
    pub(super) fn put<V: Serialize>(&mut self, new: &V) -> Result<bool> {
        let new = codec::value(self.spot.held(), new)?;
        let exchanged = self.spot.exchange(self.seen.as_ref().map(Kept::bytes), &new)?;
        let is_done = exchanged.is_ok();
        if let Err(found) = exchanged {
            self.seen = found;
        }
        Ok(is_done)
    }
}
