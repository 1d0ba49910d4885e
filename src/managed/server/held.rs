use std::sync::Arc;

use redis::{Cmd, Value};

use super::super::kept::Kept;
use super::super::travel::{self, Loading};
use super::Engine;
use super::taken::{Holds, references};
use crate::error::{Error, Kind, Result};
use crate::remote::client::Effect;
use crate::remote::lua::Lua;
use crate::remote::session::{Hold, Session};

/// What keeps an object at a server as long as this process has a handle of it.
pub(crate) struct Held {
    hold: Hold,
}

/// So many handles in values are held in one step, in which the server does nothing else: some hundredth of a second. A guess.
pub(super) const MOST_HOLDS: usize = 5_000;

/// What a script has answered, and under which token it holds what its values refer to.
pub(super) struct Answer {
    pub(super) value: Value,
    session: Arc<str>,
    /// As in [`crate::remote::session::Answer`].
    _pending: Arc<()>,
    token: String,
}

impl Held {
    pub(crate) fn of(hold: Hold) -> Self {
        Held { hold }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        self.hold.session()
    }

    pub(super) fn object(&self) -> &str {
        self.hold.object()
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine(Arc::clone(self.session()))
    }

    /// Runs `decode`, in which handles of objects at the same server may be deserialised.
    pub(crate) fn loading<R>(&self, decode: impl FnOnce() -> R) -> R {
        travel::loading(Loading::Server(Holds::none(self.session())), decode)
    }

    /// The answer of a script that is asked for an operation. Of one that takes values out, also if it leaves them, the effect is at least
    /// `Repeatable`: it holds what they refer to.
    pub(super) fn ask(
        &self,
        script: &Lua,
        effect: Effect,
        operation: &'static str,
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Answer> {
        let token = self.session().token();
        let answer = self.session().run_holding(Kind::Manager, script, effect, &token, |request| {
            request.arg(self.object()).arg(operation);
            arguments(request);
        })?;
        Ok(Answer { value: answer.value, session: answer.session, _pending: answer.pending, token })
    }

    /// A value of an answer, which holds what it refers to under this token.
    pub(super) fn keep(&self, answer: &Answer, token: &str, bytes: Vec<u8>) -> Kept {
        let holds = references(&bytes).enumerate().map(|(index, object)| {
            self.session().held(&answer.session, format!("{token}.{}", index + 1), object.to_owned())
        });
        let holds = holds.collect();
        Kept::server(bytes, Holds::new(self.session(), holds))
    }

    /// The only value of an answer, if there is one.
    pub(super) fn keep_one(&self, answer: &mut Answer, what: &'static str) -> Result<Option<Kept>> {
        match std::mem::replace(&mut answer.value, Value::Nil) {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(self.keep(answer, &answer.token.clone(), bytes))),
            other => Err(self.distrust(what, &other)),
        }
    }

    /// Values of an answer, each with the token of its number: token.1, token.2 ..
    pub(super) fn keep_all(&self, answer: &Answer, values: Vec<Vec<u8>>) -> Vec<Kept> {
        let tokens = (1..).map(|index| format!("{}.{index}", answer.token));
        values.into_iter().zip(tokens).map(|(bytes, token)| self.keep(answer, &token, bytes)).collect()
    }

    /// The values of an answer, which are held; too many handles in them are an error.
    pub(super) fn all_of(&self, answer: &mut Answer, what: &'static str) -> Result<Vec<Value>> {
        match std::mem::take(&mut answer.value) {
            Value::Array(values) => Ok(values),
            Value::Int(asked) if asked > 0 => Err(Error::TooManyChanges { asked: asked as usize, fit: MOST_HOLDS }),
            other => Err(self.distrust(what, &other)),
        }
    }

    pub(super) fn distrust(&self, what: &'static str, answer: &Value) -> Error {
        self.session().distrust(what, answer)
    }

    pub(super) fn number(&self, what: &'static str, answer: &Value) -> Result<u64> {
        match answer {
            Value::Int(number) if *number >= 0 => Ok(*number as u64),
            other => Err(self.distrust(what, other)),
        }
    }
}
