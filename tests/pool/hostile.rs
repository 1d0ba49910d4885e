//! What a pool's handles make of memory that is not what it should be.

use std::sync::atomic::AtomicU64;

use crossproc::{Error, Process, ProcessError, Progress, RawArray};
use serde::{Deserialize, Deserializer, Serialize};

use crate::common::watchdog;

/// An array that arrives as the counts of a pool.
#[derive(Serialize)]
#[serde(transparent)]
struct Pretender(RawArray<AtomicU64>);

impl<'de> Deserialize<'de> for Pretender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let progress = Progress::deserialize(deserializer)?;
        assert_eq!([progress.queued(), progress.running(), progress.done(), progress.failed()], [0; 4]);
        RawArray::new(1).map(Pretender).map_err(serde::de::Error::custom)
    }
}

#[test]
fn an_array_that_is_too_short_for_the_counts_of_a_pool_is_refused() {
    let _watchdog = watchdog();
    for words in [1, 3, 259, 260, 262] {
        let array = Pretender(RawArray::new(words).unwrap());
        let outcome = Process::spawn(|_: Pretender| (), (array,)).unwrap().join();
        let Err(ProcessError::Failed { source, .. }) = outcome else { panic!("{words} words: {outcome:?}") };
        assert!(matches!(*source, Error::Decode { .. }), "{words} words: {source:?}");
    }
    let array = Pretender(RawArray::new(261).unwrap());
    assert_eq!(Process::spawn(|_: Pretender| (), (array,)).unwrap().join(), Ok(()));
}
