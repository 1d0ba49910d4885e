//! Operations on dictionaries, sets and namespaces.

use redis::{Cmd, Value};

use super::super::guard::{Change, Looks};
use super::super::kept::{Buffer, Exchanged, Kept, Seen, Stored};
use super::Held;
use super::held::{Answer, MOST_HOLDS};
use super::taken::bytes;
use crate::error::{Error, Result};
use crate::remote::client::Effect;
use crate::remote::lua::lua;

/// So many changes are made in one step, in which the server does nothing else: some tenth of a second. A guess.
const MOST_CHANGES: usize = 100_000;

const WHAT: &str = "an operation on a dictionary";

impl Held {
    fn growing(&self, effect: Effect, operation: &'static str, arguments: impl Fn(&mut Cmd)) -> Result<Answer> {
        self.ask(lua!(brief "an operation on a dictionary", "container/table.lua"), effect, operation, arguments)
    }

    /// One that needs no more memory: a full server carries it out, too.
    fn table(&self, effect: Effect, operation: &'static str, arguments: impl Fn(&mut Cmd)) -> Result<Answer> {
        self.ask(lua!(brief frees "an operation on a dictionary", "container/table.lua"), effect, operation, arguments)
    }

    pub(crate) fn get(&self, key: &[u8], _: &mut Buffer) -> Result<Option<Seen>> {
        let mut answer = self.table(Effect::Repeatable, "get", |request| {
            request.arg(key);
        })?;
        Ok(self.keep_one(&mut answer, WHAT)?.map(Seen::Long))
    }

    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool> {
        let answer = self.table(Effect::Nothing, "contains", |request| {
            request.arg(key);
        })?;
        Ok(self.number(WHAT, &answer.value)? == 1)
    }

    pub(crate) fn entries_count(&self) -> Result<usize> {
        let answer = self.table(Effect::Nothing, "count", |_| {})?;
        Ok(self.number(WHAT, &answer.value)? as usize)
    }

    pub(crate) fn insert(&self, key: &[u8], value: &Stored) -> Result<bool> {
        let answer = self.growing(Effect::Once, "insert", |request| {
            request.arg(key).arg(&value.bytes);
        })?;
        Ok(self.number(WHAT, &answer.value)? == 1)
    }

    pub(crate) fn extend(&self, entries: &[(Vec<u8>, Stored)]) -> Result<()> {
        let put = |request: &mut Cmd| {
            for (key, value) in entries {
                request.arg(key).arg(&value.bytes);
            }
        };
        self.growing(Effect::Once, "extend", put).map(drop)
    }

    pub(crate) fn swap(&self, key: &[u8], value: &Stored) -> Result<Option<Kept>> {
        let mut answer = self.growing(Effect::Once, "swap", |request| {
            request.arg(key).arg(&value.bytes);
        })?;
        self.keep_one(&mut answer, WHAT)
    }

    pub(crate) fn remove(&self, key: &[u8]) -> Result<bool> {
        Ok(self.take(key)?.is_some())
    }

    pub(crate) fn take(&self, key: &[u8]) -> Result<Option<Kept>> {
        let mut answer = self.table(Effect::Once, "take", |request| {
            request.arg(key);
        })?;
        self.keep_one(&mut answer, WHAT)
    }

    pub(crate) fn take_last(&self) -> Result<Option<(Vec<u8>, Kept)>> {
        let mut answer = self.table(Effect::Once, "any", |_| {})?;
        match &mut answer.value {
            Value::Nil => Ok(None),
            Value::Array(both) if both.len() == 2 => {
                let value = both.pop().unwrap_or_default();
                let key = both.pop().and_then(bytes).unwrap_or_default();
                answer.value = value;
                Ok(self.keep_one(&mut answer, WHAT)?.map(|value| (key, value)))
            }
            other => Err(self.distrust(WHAT, other)),
        }
    }

    pub(crate) fn keys(&self) -> Result<Vec<Vec<u8>>> {
        match self.table(Effect::Nothing, "keys", |_| {})?.value {
            Value::Array(keys) => Ok(keys.into_iter().filter_map(bytes).collect()),
            other => Err(self.distrust(WHAT, &other)),
        }
    }

    pub(crate) fn entries(&self) -> Result<Vec<(Vec<u8>, Kept)>> {
        let mut answer = self.table(Effect::Repeatable, "entries", |request| {
            request.arg(MOST_HOLDS);
        })?;
        let both = self.all_of(&mut answer, WHAT)?;
        let mut both = both.into_iter().filter_map(bytes);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        while let (Some(key), Some(value)) = (both.next(), both.next()) {
            keys.push(key);
            values.push(value);
        }
        Ok(keys.into_iter().zip(self.keep_all(&answer, values)).collect())
    }

    pub(crate) fn clear_table(&self) -> Result<()> {
        self.table(Effect::Once, "clear", |_| {}).map(drop)
    }

    pub(crate) fn exchange(&self, key: &[u8], current: Option<&[u8]>, new: Option<&Stored>) -> Result<Exchanged> {
        let mut answer = self.growing(Effect::Once, "exchange", |request| {
            request.arg(key);
            flagged(request, current);
            flagged(request, new.map(|new| &new.bytes[..]));
        })?;
        match std::mem::take(&mut answer.value) {
            Value::Array(parts) if parts.first() == Some(&Value::Int(1)) => Ok(Ok(())),
            Value::Array(parts) if parts.first() == Some(&Value::Int(0)) => {
                answer.value = parts.into_iter().nth(1).unwrap_or_default();
                Ok(Err(self.keep_one(&mut answer, WHAT)?))
            }
            other => Err(self.distrust(WHAT, &other)),
        }
    }

    #[expect(clippy::unused_self, reason = "as of the other engine")]
    pub(crate) fn check_size(&self, changes: usize, _: usize) -> Result<()> {
        match changes {
            0..=MOST_CHANGES => Ok(()),
            asked => Err(Error::TooManyChanges { asked, fit: MOST_CHANGES }),
        }
    }

    pub(crate) fn exchange_many(&self, looks: &Looks, changes: &[Change]) -> Result<bool> {
        let effect = if changes.is_empty() { Effect::Nothing } else { Effect::Once };
        let answer = self.growing(effect, "many", |request| {
            request.arg(looks.entries.len());
            for (key, seen) in &looks.entries {
                request.arg(key);
                flagged(request, seen.as_ref().map(Kept::bytes));
            }
            request.arg(changes.len());
            for (key, value) in changes {
                request.arg(key);
                flagged(request, value.as_ref().map(|value| &value.bytes[..]));
            }
            match &looks.keys {
                None => request.arg(-1),
                Some(keys) => request.arg(keys.len()).arg(keys),
            };
        })?;
        Ok(self.number(WHAT, &answer.value)? == 1)
    }
}

/// Whether there are any, and these.
fn flagged(request: &mut Cmd, bytes: Option<&[u8]>) {
    request.arg(u8::from(bytes.is_some())).arg(bytes.unwrap_or_default());
}
