use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::word::PeerId;

/// What was put and got, as those who did it say themselves. Never held over a step, so that no kill finds it locked.
#[derive(Default)]
pub(super) struct Account(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    begun: BTreeSet<u32>,
    put: BTreeSet<u32>,
    got: Vec<(PeerId, u32)>,
}

/// Messages are numbers: who put it, in which life, and which of its messages it is.
const LIFE: u32 = 1 << 16;

/// The messages of one life of a producer, in order.
pub(super) fn messages(producer: PeerId, count: u32) -> impl Iterator<Item = u32> {
    let life = (producer.slot() as u32 * 16 + producer.generation()) * LIFE;
    (0..count).map(move |number| life + number)
}

impl Account {
    pub(super) fn begin(&self, message: u32) {
        self.0.lock().unwrap().begun.insert(message);
    }

    pub(super) fn put(&self, message: u32) {
        self.0.lock().unwrap().put.insert(message);
    }

    pub(super) fn got(&self, who: PeerId, message: u32) {
        self.0.lock().unwrap().got.push((who, message));
    }

    /// Whatever was put has been got once, but for what killed consumers had got and did not get to say. What was begun and
    /// not put may have been got.
    pub(super) fn check(&self, killed_consumers: u32, redelivered: u64) {
        let entries = self.0.lock().unwrap();
        let got: BTreeSet<u32> = entries.got.iter().map(|&(_, message)| message).collect();
        assert_eq!(got.len(), entries.got.len(), "a message was got twice");
        assert!(got.is_subset(&entries.begun), "a message was got that nobody put");
        let lost: Vec<_> = entries.put.difference(&got).collect();
        assert!(lost.len() <= killed_consumers as usize, "lost with {killed_consumers} killed: {lost:x?}");
        assert!(redelivered <= killed_consumers.into(), "more was delivered again than there were deaths");
        // What a dead consumer leaves comes late; who delivers it again may be killed before it counts that.
        if killed_consumers == 0 {
            for (at, &(who, message)) in entries.got.iter().enumerate() {
                let is_of_both = |&&(other, before): &&(PeerId, u32)| other == who && before / LIFE == message / LIFE;
                let before = entries.got[..at].iter().rfind(is_of_both);
                assert!(before.is_none_or(|&(_, before)| before < message), "messages of one producer out of order");
            }
        }
    }
}
