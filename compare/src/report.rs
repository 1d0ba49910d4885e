//! Tables on standard output: a row of the comparison is one, with a line for each contender.

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Million messages a second.
    Messages,
    /// GiB a second.
    Bytes,
    /// Nanoseconds of round trips.
    Trips,
    /// Thousand tasks a second.
    Tasks,
}

pub(crate) struct Column {
    name: &'static str,
    pub(crate) percent: f64,
}

const RATE: [Column; 1] = [Column { name: "median", percent: 50.0 }];

const TRIPS: [Column; 3] = [
    Column { name: "p50", percent: 50.0 },
    Column { name: "p99", percent: 99.0 },
    Column { name: "p99.9", percent: 99.9 },
];

impl Unit {
    pub(crate) fn columns(self) -> &'static [Column] {
        match self {
            Unit::Messages | Unit::Bytes | Unit::Tasks => &RATE,
            Unit::Trips => &TRIPS,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Unit::Messages => "million messages a second; ratios: ours / rival, more is better",
            Unit::Bytes => "GiB a second; ratios: ours / rival, more is better",
            Unit::Tasks => "thousand tasks a second; ratios: ours / rival, more is better",
            Unit::Trips => "nanoseconds; ratios of medians: ours / rival, less is better",
        }
    }
}

/// What one contender has reached.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<f64>,
    /// Of each of ours to this one, if it is a rival.
    pub(crate) ratios: Vec<f64>,
}

pub(crate) fn head(row: &str, unit: Unit, ours: &[&str]) {
    println!("\n{row}: {}", unit.text());
    print!("  {:40}", "");
    for column in unit.columns() {
        print!("{:>10}", column.name);
    }
    for name in ours {
        print!("  {:>12}", name);
    }
    println!();
}

pub(crate) fn line(line: &Line) {
    print!("  {:40}", line.name);
    for value in &line.columns {
        print!("{:>10}", number(*value));
    }
    for ratio in &line.ratios {
        print!("  {:>12}", format!("{} x", number(*ratio)));
    }
    println!();
}

pub(crate) fn missing(name: &str, why: &str) {
    println!("  {name:40}not measured: {why}");
}

fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
