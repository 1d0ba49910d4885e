//! What people are told of a ring or a queue.

use std::mem::offset_of;

use crate::error::Result;
use crate::ring::{Activity, Control, SlotWord};
use crate::segment::{Facts, MOST_LOOKED_AT};

/// What is the same for both. `control` and `slots`: offsets in the file; slots begin every `stride` bytes.
pub(super) fn describe(facts: &mut Facts<'_>, control: u64, slots: u64, stride: usize) -> Result<()> {
    let word = |offset: usize| facts.image.word(control + offset as u64);
    let (is_closed, redelivered) = (word(Control::CLOSED)? as u32 != 0, word(Control::REDELIVERED)?);
    let capacity = facts.image.object.length;
    if capacity <= MOST_LOOKED_AT {
        let mut activity = Activity::default();
        for index in 0..capacity {
            activity.count(facts.image.word(slots.saturating_add(index.saturating_mul(stride as u64)))?);
        }
        facts.say("messages", format!("{} of {capacity}", activity.ready));
        for (what, owners) in [("being put", activity.writers), ("being got", activity.readers)] {
            facts.say_owners(what, &owners);
        }
    } else {
        let depth = Control::depth(word(Control::TAIL)?, word(Control::HEAD)?, capacity);
        facts.say("messages", format!("about {depth} of {capacity}"));
    }
    facts.say("closed", is_closed);
    facts.say("delivered again", redelivered);
    facts.say_waiters("consumers", control + offset_of!(Control, items) as u64)?;
    facts.say_waiters("producers", control + offset_of!(Control, space) as u64)
}

const _: () = assert!(size_of::<SlotWord>() == 8);
