//! Every way in which a task can end, in every form of asking for it: each has one outcome, the right one, and its neighbours have
//! theirs.

use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossproc::{Exit, Pool, RawArray, TaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::common::kills::{Kills, Random};
use crate::common::watchdog;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Ending {
    Returns,
    Panics,
    PanicsWithNoWayOut,
    Exits(i32),
    Aborts,
    Segfaults,
    IsKilled,
    FindsNoMemory,
    OverflowsItsStack,
    Hangs,
    ArgumentIsNotEncoded,
    ArgumentIsNotDecoded,
    ArgumentPanics,
    ResultIsNotEncoded,
    ResultPanics,
    ResultIsNotDecoded,
}
use Ending::*;

/// All but `Hangs`, which needs a pool that limits the time.
const ENDINGS: [Ending; 16] = [
    Returns,
    Panics,
    PanicsWithNoWayOut,
    Exits(0),
    Exits(3),
    Aborts,
    Segfaults,
    IsKilled,
    FindsNoMemory,
    OverflowsItsStack,
    ArgumentIsNotEncoded,
    ArgumentIsNotDecoded,
    ArgumentPanics,
    ResultIsNotEncoded,
    ResultPanics,
    ResultIsNotDecoded,
];

impl Ending {
    /// Whether the function is called at all.
    fn has_run(self) -> bool {
        !matches!(self, ArgumentIsNotEncoded | ArgumentIsNotDecoded | ArgumentPanics)
    }

    /// Whether this is what has to come of it.
    fn fits(self, number: u64, outcome: &Result<Answer, TaskError>) -> bool {
        let is_panic = |said: &str| {
            matches!(outcome, Err(TaskError::Panicked { message, location, pid, task, .. })
                if message == said && location.contains("tests/pool/endings.rs:") && *pid != std::process::id() && *task == number)
        };
        let died = |of: Exit| matches!(outcome, Err(TaskError::WorkerDied { exit, task, .. }) if (*exit, *task) == (of, number));
        match self {
            Returns => matches!(outcome, Ok(answer) if answer.number == number),
            Panics => is_panic("on purpose"),
            PanicsWithNoWayOut => is_panic("no way out"),
            Exits(code) => died(Exit::Code(code)),
            Aborts | FindsNoMemory => died(Exit::Signal(libc::SIGABRT)),
            // The library's handler, which would abort, comes with a `main` that children of a test do not come to.
            Segfaults | OverflowsItsStack => died(Exit::Signal(libc::SIGSEGV)),
            IsKilled => died(Exit::Signal(libc::SIGKILL)),
            Hangs => matches!(outcome, Err(TaskError::TimedOut { task }) if *task == number),
            ArgumentIsNotEncoded => {
                matches!(outcome, Err(TaskError::Encode { reason }) if reason.contains("stays here"))
            }
            ResultIsNotEncoded => matches!(outcome, Err(TaskError::Encode { reason }) if reason.contains("not sent")),
            ArgumentIsNotDecoded | ResultIsNotDecoded => matches!(outcome, Err(TaskError::Decode { .. })),
            ArgumentPanics => is_panic("no argument"),
            ResultPanics => is_panic("no result"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Item {
    number: u64,
    ending: Ending,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.ending {
            ArgumentIsNotEncoded => Err(ser::Error::custom("stays here")),
            _ => (self.number, self.ending).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (number, ending) = Deserialize::deserialize(deserializer)?;
        match ending {
            ArgumentIsNotDecoded => Err(de::Error::custom("not taken")),
            ArgumentPanics => panic!("no argument"),
            _ => Ok(Item { number, ending }),
        }
    }
}

#[derive(Debug)]
struct Answer {
    number: u64,
    ending: Ending,
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.ending {
            ResultIsNotEncoded => Err(ser::Error::custom("not sent")),
            ResultPanics => panic!("no result"),
            _ => (self.number, self.ending).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (number, ending) = Deserialize::deserialize(deserializer)?;
        if ending == ResultIsNotDecoded {
            return Err(de::Error::custom("not taken back"));
        }
        Ok(Answer { number, ending })
    }
}

/// How often each item was run; a worker's initializer puts it here.
static RUNS: OnceLock<RawArray<AtomicU64>> = OnceLock::new();

fn keep(runs: RawArray<AtomicU64>) {
    RUNS.get_or_init(|| runs);
}

extern "C" fn foreign() {
    panic!("no way out");
}

fn recurse(depth: u64) -> u64 {
    let here = black_box([depth; 128]);
    if here[1] == u64::MAX {
        return 0;
    }
    recurse(black_box(depth + 1)) + here[0]
}

fn end(item: Item) -> Answer {
    let Item { number, ending } = item;
    RUNS.get().unwrap()[number as usize].fetch_add(1, Relaxed);
    match ending {
        Panics => panic!("on purpose"),
        PanicsWithNoWayOut => foreign(),
        Exits(code) => std::process::exit(code),
        Aborts => std::process::abort(),
        Segfaults => raise(libc::SIGSEGV),
        IsKilled => raise(libc::SIGKILL),
        FindsNoMemory => {
            let nothing = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: reads one struct, which outlives the call.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const nothing) }, 0);
            black_box(vec![7_u8; 1 << 30]);
        }
        OverflowsItsStack => drop(black_box(recurse(0))),
        Hangs => loop {
            std::thread::park();
        },
        _ => {}
    }
    Answer { number, ending }
}

fn raise(signal: i32) {
    // SAFETY: the default action, which ends this process.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: as above.
    unsafe { libc::raise(signal) };
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Apply,
    Map,
    MapAsync,
    Imap,
    ImapUnordered,
}

const FORMS: [Form; 5] = [Form::Apply, Form::Map, Form::MapAsync, Form::Imap, Form::ImapUnordered];

impl Form {
    /// Asks for all items in this form, and compares what comes of them with what has to.
    fn check(self, pool: &Pool, chunk: usize, items: &[Item]) {
        let input = items.iter().copied();
        let mapping = pool.chunk(chunk);
        match self {
            Form::Apply => {
                let tasks: Vec<_> = input.map(|item| pool.apply_async(end, (item,))).collect();
                for (item, task) in items.iter().zip(tasks) {
                    // Nothing else has been asked of this pool by a call of its own.
                    let outcome = task.get();
                    assert!(item.ending.fits(item.number, &outcome), "{item:?}: {outcome:?}");
                }
            }
            Form::Map => check_all(items, mapping.map(end, input)),
            Form::MapAsync => check_all(items, mapping.map_async(end, input).get()),
            Form::Imap => {
                let outcomes: Vec<_> = mapping.imap(end, input).collect();
                assert_eq!(outcomes.len(), items.len());
                for (item, outcome) in items.iter().zip(outcomes) {
                    assert!(item.ending.fits(item.number, &outcome), "{item:?}: {outcome:?}");
                }
            }
            Form::ImapUnordered => {
                let mut outcomes: Vec<_> = mapping.imap_unordered(end, input).collect();
                for item in items {
                    let index = outcomes.iter().position(|outcome| item.ending.fits(item.number, outcome));
                    let index = index.unwrap_or_else(|| panic!("nothing fits {item:?}: {outcomes:?}"));
                    let _ = outcomes.swap_remove(index);
                }
                assert!(outcomes.is_empty(), "{outcomes:?}");
            }
        }
    }
}

/// What a map has returned, as a whole.
fn check_all(items: &[Item], results: Result<Vec<Answer>, TaskError>) {
    match items.iter().find(|item| item.ending != Returns) {
        Some(first) => {
            let outcome = results.map(|mut answers| answers.remove(0));
            assert!(first.ending.fits(first.number, &outcome), "{first:?}: {outcome:?}");
        }
        None => {
            let numbers: Vec<_> = results.unwrap().iter().map(|answer| answer.number).collect();
            assert_eq!(numbers, items.iter().map(|item| item.number).collect::<Vec<_>>());
        }
    }
}

/// Asks for `items` in this form, and looks at what is left.
fn check(form: Form, chunk: usize, items: &[Item], limit: Option<Duration>) {
    let runs = RawArray::<AtomicU64>::new(items.len() + 1).unwrap();
    let mut builder = Pool::builder().workers(2).initializer(keep, (&runs,));
    if let Some(limit) = limit {
        builder = builder.task_timeout(limit);
    }
    let pool = builder.start().unwrap();
    form.check(&pool, chunk, items);
    let last = Item { number: items.len() as u64, ending: Returns };
    assert_eq!(pool.apply(end, (last,)).unwrap().number, last.number);
    let progress = pool.progress();
    assert_eq!((progress.queued(), progress.running()), (0, 0), "{form:?}, chunks of {chunk}, {items:?}");
    for item in items {
        let times = runs[item.number as usize].load(Relaxed);
        assert_eq!(times, u64::from(item.ending.has_run()), "{form:?}, chunks of {chunk}, {item:?} of {items:?}");
    }
}

/// So many items, of which one ends like this.
fn one_of(count: u64, bad: u64, ending: Ending) -> Vec<Item> {
    (0..count).map(|number| Item { number, ending: if number == bad { ending } else { Returns } }).collect()
}

#[test]
fn each_ending_has_its_outcome_in_each_form_one_by_one() {
    for ending in ENDINGS {
        let _watchdog = watchdog();
        FORMS.iter().for_each(|form| check(*form, 1, &one_of(5, 2, ending), None));
    }
}

#[test]
fn each_ending_has_its_outcome_in_the_middle_of_a_chunk() {
    for ending in ENDINGS {
        let _watchdog = watchdog();
        FORMS[1..].iter().for_each(|form| check(*form, 5, &one_of(15, 7, ending), None));
    }
}

#[test]
fn the_first_and_the_last_of_a_chunk_end_as_others_do() {
    for ending in [Panics, IsKilled, ArgumentIsNotEncoded, ArgumentIsNotDecoded, ArgumentPanics, ResultPanics] {
        let _watchdog = watchdog();
        for bad in [0, 4, 5, 9] {
            check(Form::Imap, 5, &one_of(10, bad, ending), None);
        }
    }
}

#[test]
fn whoever_runs_out_of_time_is_told_in_each_form() {
    // Long enough that no neighbour runs out of it on a slow machine.
    let limit = Duration::from_secs(2);
    for form in FORMS {
        let _watchdog = watchdog();
        check(form, 5, &one_of(3, 1, Hangs), Some(limit));
    }
}

#[test]
fn any_mix_of_endings_has_all_its_outcomes() {
    let kills = Kills::asked_for(if cfg!(debug_assertions) { 3 } else { 8 });
    kills.each_round(|_, random| {
        let draw =
            |random: &mut Random| if random.below(4) == 0 { ENDINGS[random.index(ENDINGS.len())] } else { Returns };
        let items: Vec<_> = (0..1 + random.below(60)).map(|number| Item { number, ending: draw(random) }).collect();
        let (form, chunk) = (FORMS[random.index(FORMS.len())], 1 + random.index(9));
        println!("{form:?}, chunks of {chunk}, {items:?}");
        check(form, chunk, &items, None);
    });
}
