//! The ways of a queue's handle to other processes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "redis")]
use super::super::server;
use super::Queue;
use super::kept::Kept;
#[cfg(feature = "redis")]
use crate::segment::{transfer, type_stamp};

#[derive(Serialize)]
enum Outgoing<'a, T: Serialize + DeserializeOwned> {
    Local(&'a crate::Queue<T>),
    #[cfg(feature = "redis")]
    Server(server::QueueWire),
}

#[derive(Deserialize)]
#[serde(bound = "T: Serialize + DeserializeOwned")]
enum Incoming<T> {
    Local(crate::Queue<T>),
    #[cfg(feature = "redis")]
    Server(server::QueueWire),
}

/// Within a transfer to another process.
impl<T: Serialize + DeserializeOwned> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outgoing = match &self.kept {
            Kept::Local(queue) => Outgoing::Local(queue),
            #[cfg(feature = "redis")]
            Kept::Server(queue) => Outgoing::Server(transfer::stow(|outgoing| queue.pack(outgoing))?),
        };
        outgoing.serialize(serializer)
    }
}

/// Within a transfer from another process.
impl<'de, T: Serialize + DeserializeOwned> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = match Incoming::deserialize(deserializer)? {
            Incoming::Local(queue) => Kept::Local(queue),
            #[cfg(feature = "redis")]
            Incoming::Server(wire) => {
                Kept::at_server(server::take_out(|| server::Queue::unpack(&wire, &type_stamp::<Queue<T>>()))?)
            }
        };
        Ok(Queue { kept })
    }
}
