use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Dict;
use super::spot::Spot;
use crate::error::Result;

type Modify<'d, V> = Box<dyn FnMut(&mut V) + 'd>;

/// The place of a key in a [`Dict`], from [`Dict::entry`].
///
/// What is said of it happens in one step, by [`or_insert`](Self::or_insert) and its kind.
#[must_use = "nothing happens before it is said what is to be inserted"]
pub struct Entry<'d, K, V> {
    dict: &'d Dict<K, V>,
    key: Vec<u8>,
    modify: Option<Modify<'d, V>>,
}

impl<'d, K, V> Entry<'d, K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    pub(super) fn new(dict: &'d Dict<K, V>, key: Vec<u8>) -> Self {
        Entry { dict, key, modify: None }
    }

    /// Has the value changed, if there is one. `modify` runs without a lock, and again if somebody else has changed it meanwhile.
    ///
    /// # Examples
    ///
    /// See [`Dict::entry`].
    pub fn and_modify(self, modify: impl FnMut(&mut V) + 'd) -> Self
    where
        V: 'd,
    {
        let (mut first, mut then) = (self.modify, modify);
        let both = move |value: &mut V| {
            if let Some(first) = &mut first {
                first(value);
            }
            then(value);
        };
        Entry { dict: self.dict, key: self.key, modify: Some(Box::new(both)) }
    }

    /// The value, which is `value` if there was none.
    ///
    /// # Errors
    ///
    /// As those of a [`Dict`].
    ///
    /// # Examples
    ///
    /// See [`Dict::entry`].
    pub fn or_insert(self, value: V) -> Result<V> {
        let mut modify = self.modify;
        let found = Spot::Entry(&self.dict.held, &self.key).change(|found, sight| match (found, &mut modify) {
            (Some(found), None) => Ok(Some(Some(found))),
            (Some(mut found), Some(modify)) => {
                modify(&mut found);
                Ok(sight.put(&found)?.then_some(Some(found)))
            }
            (None, _) => Ok(sight.put(&value)?.then_some(None)),
        })?;
        Ok(found.unwrap_or(value))
    }

    /// The value, which is the default of its type if there was none.
    ///
    /// # Errors
    ///
    /// As those of a [`Dict`].
    ///
    /// # Examples
    ///
    /// ```
    /// let dict = crossproc::Manager::start()?.dict::<String, u32>()?;
    /// assert_eq!(dict.entry("a")?.or_default()?, 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn or_default(self) -> Result<V>
    where
        V: Default,
    {
        self.or_insert(V::default())
    }
}
