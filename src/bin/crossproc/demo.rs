//! Counting words in several processes, surviving the death of one, and checking the result.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::corpus::{self, Corpus};
use crate::report::{self, Report};
use crate::words::is_word_byte;
use crate::workers::{self, Done};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Corpus(#[from] corpus::Failure),
    #[error(transparent)]
    Shared(#[from] crossproc::Error),
    #[error(
        "the workers counted {} words, {} of them different; one process counted {} words, {} of them different; \
         {word:?} is there {} and {} times",
        words[0], distinct[0], words[1], distinct[1], times[0], times[1]
    )]
    Mismatch { words: [u64; 2], distinct: [usize; 2], word: String, times: [u64; 2] },
    #[error("cannot print the report")]
    Report { source: io::Error },
}

/// Counts what is below `path` and prints a report.
pub(crate) fn run(path: &Path, workers: usize, kill: bool) -> Result<(), Failure> {
    let corpus = corpus::read(path, workers)?;
    report::name_unreadable(&corpus.unreadable);

    let start = Instant::now();
    let counted = workers::count(&corpus.shares, kill)?;
    let parallel = merge(&corpus, &counted)?;
    let parallel_time = start.elapsed();

    let start = Instant::now();
    let single = count_simply(&corpus)?;
    let single_time = start.elapsed();

    compare(&parallel, &single)?;
    let report = Report {
        path,
        corpus: &corpus,
        workers: counted.iter().map(|worker| &worker.report).collect(),
        counts: &parallel,
        parallel_time,
        single_time,
        kill,
    };
    report.print(&mut io::stdout().lock()).map_err(|source| Failure::Report { source })
}

/// How often each word occurs; keys are in lower case.
pub(crate) type Counts = HashMap<Vec<u8>, u64>;

/// Adds up what the workers have counted, reading the words in the shares, where they are.
fn merge(corpus: &Corpus, counted: &[Done]) -> crossproc::Result<Counts> {
    let (mut counts, mut folded) = (Counts::new(), Vec::new());
    for (share, worker) in corpus.shares.iter().zip(counted) {
        let text = share.read()?;
        for word in &worker.words {
            folded.clear();
            folded.extend(word.word(&text).iter().map(u8::to_ascii_lowercase));
            match counts.get_mut(&folded) {
                Some(sum) => *sum += word.count,
                None => drop(counts.insert(folded.clone(), word.count)),
            }
        }
    }
    Ok(counts)
}

/// Counts all shares in this process, in the way that takes the fewest lines.
fn count_simply(corpus: &Corpus) -> crossproc::Result<Counts> {
    let mut counts = Counts::new();
    for share in &corpus.shares {
        for word in share.read()?[..share.length].split(|&byte| !is_word_byte(byte)).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_ascii_lowercase()).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Fails with the first word, in their order, that is not there as often in one as in the other.
fn compare(parallel: &Counts, single: &Counts) -> Result<(), Failure> {
    let both = [parallel, single];
    let times = |word: &[u8]| both.map(|counts| counts.get(word).copied().unwrap_or(0));
    let differs = |word: &&Vec<u8>| {
        let [one, other] = times(word);
        one != other
    };
    let Some(word) = both.into_iter().flat_map(HashMap::keys).filter(differs).min() else { return Ok(()) };
    Err(Failure::Mismatch {
        words: both.map(|counts| counts.values().sum()),
        distinct: both.map(HashMap::len),
        word: report::shown(word),
        times: times(word),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Counts {
        let mut counts = Counts::new();
        for word in text.split(' ') {
            *counts.entry(word.into()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_difference_is_shown_with_both_numbers() {
        assert!(compare(&counts("a b a"), &counts("b a a")).is_ok());
        let failure = compare(&counts("a b b c"), &counts("a b d")).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "the workers counted 4 words, 3 of them different; one process counted 3 words, 3 of them different; \"b\" \
             is there 2 and 1 times"
        );
        let failure = compare(&counts("b"), &counts("b x")).unwrap_err();
        assert!(failure.to_string().ends_with("\"x\" is there 0 and 1 times"), "{failure}");
    }
}
