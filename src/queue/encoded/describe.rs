use std::mem::offset_of;

use super::body::{QueueBody, SHAPE, slots_at, tail};
use super::travel::Ends;
use crate::error::Result;
use crate::queue::describe;
use crate::segment::Facts;

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<QueueBody>()?;
    let word = |offset: usize| facts.image.word(body + offset as u64);
    let max_message = word(offset_of!(QueueBody, max_message))?;
    let ends = Ends::of_bits(word(offset_of!(QueueBody, ends))?);
    facts.say("longest message", max_message);
    facts.say("ends with its producers", ends.with_producers);
    facts.say("ends with its consumers", ends.with_consumers);
    let places = facts.image.places();
    let tail = tail(facts.image.object.length, places).ok_or_else(|| facts.image.wrong_length())?;
    let slots = facts.image.tail::<QueueBody>(tail)? + slots_at(places) as u64;
    describe::describe(facts, body + offset_of!(QueueBody, control) as u64, slots, SHAPE.stride())
}
