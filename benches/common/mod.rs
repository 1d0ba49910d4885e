//! Measuring contenders side by side: turns that alternate, medians, a table.
//!
//! The machines this runs on are noisy, by a third between two runs. So every row measures its rival in the same run,
//! turn by turn, and what counts is the ratio: the median of the ratios of neighbouring turns, which both sat through
//! the same noise.

#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod bare;
pub(crate) mod mapping;
pub(crate) mod pthread;
pub(crate) mod python;
pub(crate) mod wire;

use std::fmt;
use std::hint::black_box;
use std::mem;
use std::time::Instant;

/// How much to measure.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    is_quick: bool,
}

impl Plan {
    /// `--quick`: so little that it says nothing about speed, only that everything runs and checks itself. Other
    /// arguments are ignored; cargo passes some.
    pub(crate) fn from_args() -> Self {
        Plan { is_quick: std::env::args().any(|argument| argument == "--quick") }
    }

    /// How often each contender of a row has its turn.
    pub(crate) fn turns(self) -> usize {
        self.of(21, 3)
    }

    pub(crate) fn of<T>(self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

/// Whether these rows are asked for: by the beginning of their name, or because none are named.
pub(crate) fn is_asked_for(rows: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    named.peek().is_none() || named.any(|name| rows.starts_with(&name))
}

/// What one contender's turns gave, in their order.
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// The nearest rank: a value that was measured, the largest one for 100.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted[rank.clamp(1, sorted.len()) - 1]
    }

    /// The median of the ratios to the rival's turn of the same round.
    pub(crate) fn ratio_to(&self, rival: &Samples) -> f64 {
        Samples(self.0.iter().zip(&rival.0).map(|(ours, theirs)| ours / theirs).collect()).median()
    }
}

impl From<Vec<f64>> for Samples {
    fn from(samples: Vec<f64>) -> Self {
        Samples(samples)
    }
}

/// Gives each contender `turns` turns, after one that does not count. Nobody always comes first.
pub(crate) fn alternate<const N: usize>(turns: usize, mut contenders: [&mut dyn FnMut() -> f64; N]) -> [Samples; N] {
    let mut samples = [const { Samples(Vec::new()) }; N];
    for contender in &mut contenders {
        contender();
    }
    for round in 0..turns {
        for turn in 0..N {
            let index = (round + turn) % N;
            samples[index].0.push(contenders[index]());
        }
    }
    samples
}

/// Nanoseconds that one call takes, over `calls` of them.
pub(crate) fn nanoseconds<R>(calls: u32, mut call: impl FnMut() -> R) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

/// Microseconds that the one call takes.
pub(crate) fn microseconds<R>(call: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(call());
    start.elapsed().as_secs_f64() * 1e6
}

/// What a row should reach: in its own unit, or as ours / rival.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

impl Target {
    fn is_met(self, ours: f64, ratio: Option<f64>) -> bool {
        match self {
            Target::AtMost(bound) => ours <= bound,
            Target::AtLeast(bound) => ours >= bound,
            Target::RatioAtMost(bound) => ratio.is_some_and(|ratio| ratio <= bound),
            Target::RatioAtLeast(bound) => ratio.is_some_and(|ratio| ratio >= bound),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(bound) => write!(f, "<= {bound}"),
            Target::AtLeast(bound) => write!(f, ">= {bound}"),
            Target::RatioAtMost(bound) => write!(f, "<= {bound} x"),
            Target::RatioAtLeast(bound) => write!(f, ">= {bound} x"),
        }
    }
}

/// The results of one bench, printed row by row.
pub(crate) struct Table {
    plan: Plan,
}

impl Table {
    pub(crate) fn new(plan: Plan, title: &str) -> Self {
        if plan.is_quick {
            println!("{title}, quick: the figures mean nothing");
        } else {
            println!("{title}");
        }
        println!("{:58} {:>9} {:>9}      {:>6}  {:26} target", "row", "ours", "rival", "ratio", "rival");
        Table { plan }
    }

    /// Ours against a rival, by their medians.
    pub(crate) fn row(&self, name: &str, unit: &str, ours: &Samples, rival: (&str, &Samples), targets: &[Target]) {
        let (rival_name, rival) = rival;
        let ratio = ours.ratio_to(rival);
        self.print(name, unit, ours.median(), Some((rival_name, rival.median(), ratio)), targets);
    }

    /// Ours against a rival, by one of their percentiles.
    pub(crate) fn percentile_row(
        &self,
        name: &str,
        unit: &str,
        percent: f64,
        ours: &Samples,
        rival: (&str, &Samples),
        targets: &[Target],
    ) {
        let (rival_name, rival) = rival;
        let (ours, rival) = (ours.percentile(percent), rival.percentile(percent));
        self.print(name, unit, ours, Some((rival_name, rival, ours / rival)), targets);
    }

    /// What has no rival.
    pub(crate) fn alone(&self, name: &str, unit: &str, ours: f64, targets: &[Target]) {
        self.print(name, unit, ours, None, targets);
    }

    fn print(&self, name: &str, unit: &str, ours: f64, rival: Option<(&str, f64, f64)>, targets: &[Target]) {
        let ratio = rival.map(|(_, _, ratio)| ratio);
        let (rival_name, rival, ratio_shown) = match rival {
            Some((name, value, ratio)) => (name, number(value), format!("{ratio:.2} x")),
            None => ("", String::new(), String::new()),
        };
        let wanted: Vec<String> = targets.iter().map(Target::to_string).collect();
        let verdict = match targets.iter().all(|target| target.is_met(ours, ratio)) {
            _ if targets.is_empty() || self.plan.is_quick => "",
            true => ": met",
            false => ": MISSED",
        };
        let (ours, wanted) = (number(ours), wanted.join(", "));
        println!("{name:58} {ours:>9} {rival:>9} {unit:4} {ratio_shown:>6}  {rival_name:26} {wanted}{verdict}");
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The calling thread, bound to one processor until this is dropped.
pub(crate) struct Pinned {
    before: libc::cpu_set_t,
}

/// Binds the calling thread to the `nth` of the processors that the first process of this bench may use, counted
/// around.
pub(crate) fn pin(nth: usize) -> Pinned {
    let before = affinity(0);
    // A child starts with the affinity of the thread that started it; its own main thread is the one that is asked.
    let allowed = processors();
    let processor = allowed[nth % allowed.len()];
    // SAFETY: a set of bits; all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the processor is one that the kernel has named in such a set.
    unsafe { libc::CPU_SET(processor, &mut set) };
    set_affinity(&set);
    Pinned { before }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        set_affinity(&self.before);
    }
}

/// The processors that exist and may be used here at all: pinning a parent must not keep its child from the others.
fn processors() -> Vec<usize> {
    let here = affinity(0);
    // Widening and reading back gives what the control group allows.
    // SAFETY: a set of bits; all zeroes is the empty set.
    let mut all: libc::cpu_set_t = unsafe { mem::zeroed() };
    for processor in 0..libc::CPU_SETSIZE as usize {
        // SAFETY: in range of the set.
        unsafe { libc::CPU_SET(processor, &mut all) };
    }
    set_affinity(&all);
    let allowed = affinity(0);
    set_affinity(&here);
    let is_allowed = |processor: &usize| {
        // SAFETY: in range of the set.
        unsafe { libc::CPU_ISSET(*processor, &allowed) }
    };
    (0..libc::CPU_SETSIZE as usize).filter(is_allowed).collect()
}

fn affinity(thread: libc::pid_t) -> libc::cpu_set_t {
    // SAFETY: a set of bits; all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the set has the size that is passed.
    let answer = unsafe { libc::sched_getaffinity(thread, size_of::<libc::cpu_set_t>(), &raw mut set) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    set
}

fn set_affinity(set: &libc::cpu_set_t) {
    // SAFETY: the set has the size that is passed.
    let answer = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const *set) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}
