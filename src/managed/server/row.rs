//! Operations on lists, arrays and values.

use std::ops::Range;

use redis::{Cmd, Value};

use super::super::kept::{Buffer, Exchanged, Kept, Seen, Stored};
use super::super::local::Short;
use super::Held;
use super::held::{Answer, MOST_HOLDS};
use super::taken::bytes;
use crate::error::{Error, Result};
use crate::remote::client::Effect;
use crate::remote::lua::lua;

const WHAT: &str = "an operation on a list";

impl Held {
    fn growing_row(&self, effect: Effect, operation: &'static str, arguments: impl Fn(&mut Cmd)) -> Result<Answer> {
        self.ask(lua!(brief "an operation on a list", "container/row.lua"), effect, operation, arguments)
    }

    /// One that needs no more memory: a full server carries it out, too.
    fn row(&self, effect: Effect, operation: &'static str, arguments: impl Fn(&mut Cmd)) -> Result<Answer> {
        self.ask(lua!(brief frees "an operation on a list", "container/row.lua"), effect, operation, arguments)
    }

    /// What stands in an answer about a place that is there; and which of the outcomes it is.
    fn at_place(&self, answer: &mut Answer, index: u64) -> Result<i64> {
        let mut parts = match std::mem::take(&mut answer.value) {
            Value::Array(parts) => parts.into_iter(),
            other => return Err(self.distrust(WHAT, &other)),
        };
        match (parts.next(), parts.next()) {
            (Some(Value::Int(0)), Some(Value::Int(length))) => {
                Err(Error::OutOfRange { index: index as usize, length: length as usize })
            }
            (Some(Value::Int(outcome)), rest) => {
                answer.value = rest.unwrap_or_default();
                Ok(outcome)
            }
            (first, _) => Err(self.distrust(WHAT, &first.unwrap_or_default())),
        }
    }

    fn at_place_kept(&self, mut answer: Answer, index: u64) -> Result<Kept> {
        self.at_place(&mut answer, index)?;
        let kept = self.keep_one(&mut answer, WHAT)?;
        kept.ok_or_else(|| self.distrust(WHAT, &Value::Nil))
    }

    /// Nothing at a server is at hand.
    #[expect(clippy::unused_self, reason = "as of the other engine")]
    pub(crate) fn short_item(&self, _: u64) -> Option<Short> {
        None
    }

    pub(crate) fn item(&self, index: u64, _: &mut Buffer) -> Result<Seen> {
        let answer = self.row(Effect::Repeatable, "item", |request| {
            request.arg(index);
        })?;
        self.at_place_kept(answer, index).map(Seen::Long)
    }

    pub(crate) fn items_count(&self) -> Result<u64> {
        let answer = self.row(Effect::Nothing, "count", |_| {})?;
        self.number(WHAT, &answer.value)
    }

    pub(crate) fn set_item(&self, index: u64, item: &Stored) -> Result<()> {
        let mut answer = self.growing_row(Effect::Once, "set", |request| {
            request.arg(index).arg(&item.bytes);
        })?;
        self.at_place(&mut answer, index).map(drop)
    }

    pub(crate) fn add_items(&self, index: Option<u64>, items: &[Stored]) -> Result<()> {
        let mut answer = self.growing_row(Effect::Once, "add", |request| {
            request.arg(index.map_or(-1, |index| index as i64));
            items.iter().for_each(|item| {
                request.arg(&item.bytes);
            });
        })?;
        self.at_place(&mut answer, index.unwrap_or(0)).map(drop)
    }

    pub(crate) fn take_item(&self, index: u64) -> Result<Kept> {
        let answer = self.row(Effect::Once, "take", |request| {
            request.arg(index);
        })?;
        self.at_place_kept(answer, index)
    }

    pub(crate) fn take_last_item(&self) -> Result<Option<Kept>> {
        let answer = self.row(Effect::Once, "take", |request| {
            request.arg(-1);
        })?;
        match self.at_place_kept(answer, 0) {
            Err(Error::OutOfRange { .. }) => Ok(None),
            taken => taken.map(Some),
        }
    }

    pub(crate) fn items(&self, range: Range<u64>) -> Result<Vec<Kept>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let last = i64::try_from(range.end).map_or(-1, |end| end - 1);
        let mut answer = self.row(Effect::Repeatable, "items", |request| {
            request.arg(range.start).arg(last).arg(MOST_HOLDS);
        })?;
        let items = self.all_of(&mut answer, WHAT)?;
        Ok(self.keep_all(&answer, items.into_iter().filter_map(bytes).collect()))
    }

    pub(crate) fn index_of(&self, item: &[u8]) -> Result<Option<u64>> {
        let answer = self.row(Effect::Nothing, "index", |request| {
            request.arg(item);
        })?;
        match answer.value {
            Value::Nil => Ok(None),
            value => self.number(WHAT, &value).map(Some),
        }
    }

    pub(crate) fn count_of(&self, item: &[u8]) -> Result<usize> {
        let answer = self.row(Effect::Nothing, "occurrences", |request| {
            request.arg(item);
        })?;
        Ok(self.number(WHAT, &answer.value)? as usize)
    }

    pub(crate) fn clear_row(&self) -> Result<()> {
        self.row(Effect::Once, "clear", |_| {}).map(drop)
    }

    pub(crate) fn exchange_item(&self, index: u64, current: &[u8], new: &Stored) -> Result<Exchanged> {
        let mut answer = self.growing_row(Effect::Once, "exchange", |request| {
            request.arg(index).arg(current).arg(&new.bytes);
        })?;
        match self.at_place(&mut answer, index)? {
            1 => Ok(Ok(())),
            _ => Ok(Err(self.keep_one(&mut answer, WHAT)?)),
        }
    }

    pub(crate) fn reverse(&self) -> Result<()> {
        self.growing_row(Effect::Once, "reverse", |_| {}).map(drop)
    }

    pub(crate) fn reorder(&self, seen: &[Kept], order: &[u64]) -> Result<bool> {
        let answer = self.growing_row(Effect::Once, "reorder", |request| {
            seen.iter().for_each(|item| {
                request.arg(item.bytes());
            });
            request.arg(order);
        })?;
        Ok(self.number(WHAT, &answer.value)? == 1)
    }
}
