//! Rounds of kills at random instants, and a schedule that can be had again.
//!
//! `KILL_ROUNDS` says how many rounds, `KILL_SEED` which: the seed that a test prints replays its schedule.

use std::env;
use std::time::SystemTime;

use super::watchdog;

/// xorshift64*, Vigna 2014.
pub(crate) struct Random(u64);

impl Random {
    /// For a round of its own, whatever the rounds before have drawn.
    fn of(seed: u64, round: u64) -> Self {
        let mut random = Random((seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1);
        random.next();
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    /// One of so many.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }
}

/// What one test is asked to do.
pub(crate) struct Kills {
    pub(crate) rounds: u64,
    seed: u64,
}

impl Kills {
    /// `usual`: how many rounds, if nobody has asked for others.
    pub(crate) fn asked_for(usual: u64) -> Self {
        let rounds = number_from("KILL_ROUNDS").unwrap_or(usual);
        let seed = number_from("KILL_SEED")
            .unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64));
        let test = std::thread::current().name().unwrap_or("a test").to_string();
        println!("{test}: KILL_SEED={seed} KILL_ROUNDS={rounds}");
        Kills { rounds, seed }
    }

    pub(crate) fn random(&self, round: u64) -> Random {
        Random::of(self.seed, round)
    }

    /// Does all rounds, each under a watchdog of its own.
    pub(crate) fn each_round(&self, mut round: impl FnMut(u64, &mut Random)) {
        for number in 0..self.rounds {
            let _watchdog = watchdog();
            round(number, &mut self.random(number));
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
