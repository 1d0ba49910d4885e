use std::mem::offset_of;

use super::{BarrierBody, timeout_of};
use crate::error::Result;
use crate::segment::Facts;
use crate::word::barrier::State;

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<BarrierBody>()?;
    let word = |offset: usize| facts.image.word(body + offset as u64);
    let state = State::of(word(offset_of!(BarrierBody, word))?);
    let timeout = timeout_of(word(offset_of!(BarrierBody, timeout))?);
    let parties = facts.image.object.length;
    match state {
        State::Waiting(count) => facts.say("barrier", format!("{count} of {parties} wait")),
        State::Acting => facts.say("barrier", format!("all {parties} have come, and one runs the action")),
        State::Broken(by) => facts.say("barrier", format!("broken: {by}")),
    }
    if let Some(timeout) = timeout {
        facts.say("timeout", format!("{timeout:?}"));
    }
    Ok(())
}
