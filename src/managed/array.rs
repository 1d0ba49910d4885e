use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::List;
use crate::error::Result;
use crate::message::Sends;

/// A fixed number of items that processes share, of any type that serde knows.
///
/// [`Manager::array`](crate::Manager::array) makes one. For plain data, [`crate::Array`] is faster.
///
/// # Concurrency, death, errors
///
/// As of a [`List`].
///
/// # Examples
///
/// ```
/// let array = crossproc::Manager::start()?.array(0..5)?;
/// array.set(0, 10)?;
/// assert_eq!((array.len(), array.to_vec()?), (5, vec![10, 1, 2, 3, 4]));
/// # Ok::<(), crossproc::Error>(())
/// ```
pub struct Array<T> {
    items: List<T>,
    length: usize,
}

impl<T: Serialize + DeserializeOwned> Array<T> {
    pub(super) fn of(items: List<T>) -> Result<Self> {
        Ok(Array { length: items.len()?, items })
    }

    /// The number of items, now as ever.
    ///
    /// # Examples
    ///
    /// See [`Array`].
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc::Manager::start()?.array([0; 0])?.is_empty());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A copy of an item.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Manager::start()?.array([1, 2])?.get(1)?, 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get(&self, index: usize) -> Result<T> {
        self.items.get(index)
    }

    /// Replaces an item.
    ///
    /// # Examples
    ///
    /// See [`Array`].
    pub fn set(&self, index: usize, item: impl Sends<T>) -> Result<()> {
        self.items.set(index, item)
    }

    /// As [`List::update`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Manager::start()?.array([1, 2])?.update(1, |n| n + 1)?, 3);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update(&self, index: usize, f: impl FnMut(T) -> T) -> Result<T> {
        self.items.update(index, f)
    }

    /// Copies of all items, of one instant.
    ///
    /// # Examples
    ///
    /// See [`Array`].
    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.items.to_vec()
    }
}

/// The same array.
impl<T> Clone for Array<T> {
    fn clone(&self) -> Self {
        Array { items: self.items.clone(), length: self.length }
    }
}

/// As a [`List`].
impl<T> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.items.serialize(serializer)
    }
}

/// As a [`List`].
impl<'de, T: Serialize + DeserializeOwned> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = List::deserialize(deserializer)?;
        Array::of(items).map_err(serde::de::Error::custom)
    }
}

impl<T> std::fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Array").field("length", &self.length).finish_non_exhaustive()
    }
}
