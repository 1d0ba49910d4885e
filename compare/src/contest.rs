//! Measuring contenders side by side: a turn of ours, one of a rival, and so on.
//!
//! The machines this runs on are noisy. So a rival's turn stands right behind, or before, one of each of ours, and what
//! counts is the median of the ratios of such neighbours.

use crate::common::Samples;
use crate::plan::Plan;
use crate::report::{self, Column, Line, Unit};
use crate::watchdog::Watchdog;

/// What a contender's turn measures: one rate, or as many times as there were round trips.
type Turn = Box<dyn FnMut() -> Vec<f64>>;

enum State {
    Runs(Turn),
    /// Why it cannot be measured here.
    Missing(&'static str),
}

struct Contender {
    name: &'static str,
    state: State,
    samples: Vec<f64>,
    /// For a rival: of each of ours, the ratios of its turns to the neighbouring ones of this.
    ratios: Vec<Vec<f64>>,
}

impl Contender {
    /// The median of one more turn, which is counted or not.
    fn turn(&mut self, row: &str, watchdog: &Watchdog, is_counted: bool) -> Option<f64> {
        let State::Runs(turn) = &mut self.state else { return None };
        let samples = watchdog.guard(&format!("{row}: {}", self.name), turn);
        if is_counted {
            self.samples.extend(&samples);
        }
        Some(Samples::from(samples).median())
    }
}

/// A row of the comparison: who takes part in it.
pub(crate) struct Contest<'a> {
    plan: &'a Plan,
    watchdog: &'a Watchdog,
    row: String,
    ours: Vec<Contender>,
    rivals: Vec<Contender>,
}

impl<'a> Contest<'a> {
    pub(crate) fn new(plan: &'a Plan, watchdog: &'a Watchdog, row: String) -> Self {
        Contest { plan, watchdog, row, ours: Vec::new(), rivals: Vec::new() }
    }

    pub(crate) fn ours(&mut self, name: &'static str, turn: impl FnMut() -> Vec<f64> + 'static) {
        self.ours.push(Self::contender(name, State::Runs(Box::new(turn))));
    }

    pub(crate) fn rival(&mut self, name: &'static str, turn: impl FnMut() -> Vec<f64> + 'static) {
        self.add_rival(name, State::Runs(Box::new(turn)));
    }

    pub(crate) fn missing_rival(&mut self, name: &'static str, why: &'static str) {
        self.add_rival(name, State::Missing(why));
    }

    fn add_rival(&mut self, name: &'static str, state: State) {
        if self.plan.wants_rival(name) {
            self.rivals.push(Self::contender(name, state));
        }
    }

    fn contender(name: &'static str, state: State) -> Contender {
        Contender { name, state, samples: Vec::new(), ratios: Vec::new() }
    }

    /// Measures everybody, and prints the table.
    pub(crate) fn run(mut self, unit: Unit) {
        for rival in &mut self.rivals {
            rival.ratios = vec![Vec::new(); self.ours.len()];
        }
        // Whoever can, finds out how much it does in a turn.
        for contender in self.ours.iter_mut().chain(&mut self.rivals) {
            contender.turn(&self.row, self.watchdog, false);
        }
        for round in 0..self.plan.rounds() {
            self.round(round);
        }
        self.print(unit);
    }

    /// Each rival's turn, beside one of each of ours. Nobody always comes first.
    fn round(&mut self, round: usize) {
        let (row, watchdog) = (&self.row, self.watchdog);
        if self.rivals.is_empty() {
            for ours in &mut self.ours {
                ours.turn(row, watchdog, true);
            }
        }
        let rivals = self.rivals.len();
        for nth in 0..rivals {
            let rival = &mut self.rivals[(round + nth) % rivals];
            if matches!(rival.state, State::Missing(_)) {
                continue;
            }
            let rival_is_first = (round + nth) % 2 == 1;
            let first = if rival_is_first { rival.turn(row, watchdog, true) } else { None };
            let count = self.ours.len();
            let mut turns = vec![None; count];
            for which in 0..count {
                let which = (round + which) % count;
                turns[which] = self.ours[which].turn(row, watchdog, true);
            }
            let theirs = first.or_else(|| rival.turn(row, watchdog, true));
            for (ratios, ours) in rival.ratios.iter_mut().zip(turns) {
                ratios.extend(ours.zip(theirs).map(|(ours, theirs)| ours / theirs));
            }
        }
    }

    fn print(self, unit: Unit) {
        let names: Vec<_> = self.ours.iter().map(|ours| ours.name).collect();
        report::head(&self.row, unit, &names);
        let contenders = self.ours.into_iter().chain(self.rivals);
        for Contender { name, state, samples, ratios } in contenders {
            match state {
                State::Missing(why) => report::missing(name, why),
                State::Runs(_) => {
                    let samples = Samples::from(samples);
                    let columns =
                        unit.columns().iter().map(|Column { percent, .. }| samples.percentile(*percent)).collect();
                    let ratios = ratios.into_iter().map(|ratios| Samples::from(ratios).median()).collect();
                    report::line(&Line { name, columns, ratios });
                }
            }
        }
    }
}
