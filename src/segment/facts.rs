//! What is said of an object to people.

use super::image::Image;
use crate::error::{Result, TypeStamp};
use crate::word::owners::Owners;
use crate::word::{eventcount, lock};

/// A list that the object's kind fills.
pub(crate) struct Facts<'a> {
    pub(crate) image: &'a Image,
    list: Vec<(String, String)>,
}

/// More words than this are not looked at one by one. A guess: some ten milliseconds' work.
pub(crate) const MOST_LOOKED_AT: u64 = 1 << 16;

/// How many elements of a row are shown.
const SHOWN: u64 = 16;

impl<'a> Facts<'a> {
    pub(crate) fn of(image: &'a Image) -> Self {
        Facts { image, list: Vec::new() }
    }

    pub(crate) fn into_list(self) -> Vec<(String, String)> {
        self.list
    }

    pub(crate) fn say(&mut self, what: &str, value: impl ToString) {
        self.list.push((what.to_string(), value.to_string()));
    }

    /// Who has how much, if anybody has any.
    pub(crate) fn say_owners(&mut self, what: &str, owners: &Owners) {
        let list = owners.list(|owner| self.image.who(owner));
        if !list.is_empty() {
            self.say(what, list);
        }
    }

    /// A lock word at an offset in the file.
    pub(crate) fn say_lock(&mut self, offset: u64) -> Result<()> {
        let state = lock::State::of(self.image.word(offset)?);
        let holder = if state.owner == 0 { "free".into() } else { self.image.who(state.owner) };
        let thread = if state.owner == 0 { String::new() } else { format!(", thread {:#x}", state.thread) };
        let waiters = if state.has_waiters { ", others wait" } else { "" };
        let dirt = if state.is_dirty { "; an owner died, and nobody has repaired" } else { "" };
        self.say("lock", format!("{holder}{thread}{waiters}{dirt}"));
        Ok(())
    }

    /// An eventcount at an offset in the file. `who`: those who would wait there.
    pub(crate) fn say_waiters(&mut self, who: &str, offset: u64) -> Result<()> {
        let waits = if eventcount::has_waiters(self.image.word(offset)?) { "may be waiting" } else { "none waits" };
        self.say(who, waits);
        Ok(())
    }

    /// Elements that lie in a row from an offset in the file.
    pub(crate) fn say_elements(&mut self, what: &str, offset: u64, count: u64) -> Result<()> {
        let element = &self.image.object.element;
        let mut shown = Vec::new();
        for index in 0..count.min(SHOWN) {
            shown.push(show(
                element,
                &self.bytes(offset.saturating_add(index.saturating_mul(element.size)), element.size)?,
            ));
        }
        if count > SHOWN {
            shown.push("...".into());
        }
        self.say(what, shown.join(" "));
        Ok(())
    }

    /// The first bytes of an element.
    fn bytes(&self, offset: u64, size: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for at in (0..size.min(LONGEST)).step_by(8) {
            bytes.extend(self.image.word(offset.saturating_add(at))?.to_ne_bytes());
        }
        bytes.truncate(size.min(LONGEST) as usize);
        Ok(bytes)
    }
}

/// How many bytes of an element are shown.
const LONGEST: u64 = 32;

/// An element as a number, if its type is called like one, and otherwise as bytes.
fn show(element: &TypeStamp, bytes: &[u8]) -> String {
    macro_rules! number {
        ($($name:literal: $type:ty),*) => {
            match element.name.as_str() {
                $($name => bytes.try_into().map(|bytes| <$type>::from_ne_bytes(bytes).to_string()).ok(),)*
                _ => None,
            }
        };
    }
    let number = number!(
        "u8": u8, "u16": u16, "u32": u32, "u64": u64, "u128": u128, "i8": i8, "i16": i16, "i32": i32, "i64": i64,
        "i128": i128, "f32": f32, "f64": f64, "AtomicU8": u8, "AtomicU16": u16, "AtomicU32": u32, "AtomicU64": u64,
        "AtomicI8": i8, "AtomicI16": i16, "AtomicI32": i32, "AtomicI64": i64
    );
    let rest = if element.size > bytes.len() as u64 { ".." } else { "" };
    number.unwrap_or_else(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_numbers_or_bytes() {
        let element = |name: &str, size| TypeStamp { name: name.into(), hash: 0, size, align: 1 };
        assert_eq!(show(&element("i16", 2), &(-5_i16).to_ne_bytes()), "-5");
        assert_eq!(show(&element("f64", 8), &1.5_f64.to_ne_bytes()), "1.5");
        assert_eq!(show(&element("Point", 3), &[1, 2, 255]), "0102ff");
        assert_eq!(show(&element("u64", 3), &[1, 2, 3]), "010203", "only called like one");
        assert_eq!(show(&element("Long", 40), &[0; 32]), "00".repeat(32) + "..");
    }
}
