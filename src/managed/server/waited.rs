//! Handles of what processes wait for at a server.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::travel;
use super::{Engine, Expected};
use crate::error::{Kind, Result};
use crate::remote::session::Hold;
use crate::segment::type_stamp;

/// A handle of something that there is on this machine, and at a server.
pub(crate) trait Waited: Sized {
    /// What a process has of it at a server.
    type There: Send + Sync + 'static;

    const KIND: Kind;

    fn attach(hold: Hold) -> Result<Self::There>;

    fn hold(there: &Self::There) -> &Hold;

    fn of(remote: Remote<Self>) -> Self;
}

/// The handle of one at a server.
pub(crate) struct Remote<W: Waited>(Arc<W::There>);

impl<W: Waited> Remote<W> {
    pub(crate) fn new(there: W::There) -> Self {
        Remote(Arc::new(there))
    }

    pub(crate) fn there(&self) -> &Arc<W::There> {
        &self.0
    }

    fn attach(hold: Hold) -> Result<Self> {
        W::attach(hold).map(Self::new)
    }
}

impl Engine {
    /// The one of a name, or a new one with these fields.
    pub(crate) fn find_waited<W: Waited>(&self, name: &str, fields: &[(&str, String)]) -> Result<W> {
        let hold = self.hold(name, &Expected::waited(W::KIND, &type_stamp::<W>()), None, fields)?;
        Remote::attach(hold).map(W::of)
    }
}

impl<W: Waited> Clone for Remote<W> {
    fn clone(&self) -> Self {
        Remote(Arc::clone(&self.0))
    }
}

impl<W: Waited> fmt::Debug for Remote<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hold = W::hold(&self.0);
        write!(f, "{:?} at {}", hold.object(), hold.session().address())
    }
}

impl<W: Waited> Serialize for Remote<W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        travel::serialize_at_server(W::hold(&self.0), Arc::clone(&self.0) as _, W::KIND, serializer)
    }
}

impl<'de, W: Waited> Deserialize<'de> for Remote<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = type_stamp::<W>();
        let hold = travel::deserialize_at_server(deserializer, &Expected::waited(W::KIND, &expected))?;
        Self::attach(hold).map_err(serde::de::Error::custom)
    }
}
