//! What people are told of a semaphore.

use super::placed::{PlacedSemaphore, SemaphoreBody};
use crate::error::Result;
use crate::segment::{Facts, MOST_LOOKED_AT};
use crate::word::semaphore::{Census, Control};

pub(crate) fn describe<const BOUNDED: bool>(facts: &mut Facts<'_>) -> Result<()> {
    let control = facts.image.body::<SemaphoreBody<BOUNDED>>()?;
    let most = facts.image.object.length;
    let tail = PlacedSemaphore::<BOUNDED>::tail(most).ok_or_else(|| facts.image.wrong_length())?;
    let words = facts.image.tail::<SemaphoreBody<BOUNDED>>(tail)?;
    let used = u64::from(facts.image.word(control + Control::USED as u64)? as u32).min(most);
    if used <= MOST_LOOKED_AT {
        let mut census = Census::default();
        for index in 0..used {
            census.count(facts.image.word(words + 4 * index)? as u32);
        }
        facts.say("permits", format!("{} free, {most} at most", census.free));
        facts.say_owners("taken", &census.taken);
    } else {
        facts.say("permits", format!("not counted, {most} at most"));
    }
    facts.say_waiters("acquirers", control + Control::EVENT as u64)
}
