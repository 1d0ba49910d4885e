//! A pool in a process that has no descriptors left: what needs one fails, what does not goes on, and no result is another's.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use crossproc::{Event, Pool, Process, TaskError};

use crate::common::watchdog;

/// Longer than what goes through the queue, and longer than what goes through a worker's channel.
const LONG: usize = 100 << 10;

/// As long as it lives, this process gets no further descriptor.
struct NoMore {
    usual: libc::rlimit,
    _filler: Vec<OwnedFd>,
}

impl NoMore {
    fn begin() -> Self {
        let number = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let used = fs::read_dir("/proc/self/fd").unwrap().map(|entry| number(entry).parse::<i32>().unwrap());
        let highest = used.max().unwrap();
        let nothing = File::open("/dev/null").unwrap();
        let mut filler = vec![OwnedFd::from(nothing.try_clone().unwrap())];
        while filler.iter().all(|descriptor| descriptor.as_raw_fd() <= highest) {
            filler.push(nothing.try_clone().unwrap().into());
        }
        filler.push(nothing.into());
        let end = filler.iter().map(AsRawFd::as_raw_fd).max().unwrap();
        let mut usual = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes one struct, which outlives the call.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut usual) }, 0);
        set_limit(libc::rlimit { rlim_cur: end as u64 + 1, ..usual });
        NoMore { usual, _filler: filler }
    }
}

impl Drop for NoMore {
    fn drop(&mut self) {
        set_limit(self.usual);
    }
}

fn set_limit(limit: libc::rlimit) {
    // SAFETY: reads one struct, which outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// Runs `body` in a process of its own, whose limits are nobody else's.
fn apart(body: impl Fn() + Copy + Send + 'static) {
    let _watchdog = watchdog();
    Process::spawn(body, ()).unwrap().join().unwrap();
}

fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

#[test]
fn arguments_that_cannot_be_handed_over_are_a_tasks_end() {
    apart(|| {
        let pool = Pool::new(1).unwrap();
        let no_more = NoMore::begin();
        let task = pool.apply_async(length, (vec![1; LONG],));
        let outcome = task.get();
        assert!(matches!(outcome, Err(TaskError::Encode { .. })), "{outcome:?}");
        drop(no_more);
        assert_eq!(pool.apply(length, (vec![1; LONG],)), Ok(LONG));
    });
}

fn long_results(number: u8, is_sent: Event, go: Event) -> Vec<u8> {
    if number == 1 {
        is_sent.set(); // the one before is
        go.wait();
    }
    vec![number; LONG]
}

#[test]
fn a_result_that_cannot_be_taken_in_is_not_another_ones() {
    apart(|| {
        let pool = Pool::new(1).unwrap();
        for round in 0..40 {
            let (is_sent, go) = (Event::new().unwrap(), Event::new().unwrap());
            let items = (0..3).map(|number| (number, is_sent.clone(), go.clone()));
            let no_more = NoMore::begin();
            let outcomes = pool
                .chunk(3)
                .imap(|(number, is_sent, go): (u8, Event, Event)| long_results(number, is_sent, go), items);
            is_sent.wait();
            thread::sleep(Duration::from_micros(round * 50)); // now and then the pool has seen it
            drop(no_more);
            go.set();
            for (number, outcome) in (0..).zip(outcomes) {
                match outcome {
                    Ok(result) => assert!(result == vec![number; LONG], "{number} has what {} returned", result[0]),
                    Err(error) => {
                        assert!(matches!(error, TaskError::Decode { .. }) && number == 0, "{number}: {error}");
                    }
                }
            }
        }
    });
}
