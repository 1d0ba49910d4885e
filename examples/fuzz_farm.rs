//! A fuzzer: workers mutate inputs from a shared corpus and try them on a parser with a bug. An input that reaches a part of
//! the parser where nobody has been joins the corpus. The bug aborts the process: the pool reports that and replaces the
//! worker, and the input is still there, in shared memory. Prints the inputs of three crashes, such as
//! `crash 1, killed by signal 6: {\"\x04\x91\":\"\\u{\x00\x07\x00\x00\x00\x00`, and `reached 9 parts of the parser`, or some less.

use std::collections::VecDeque;
use std::process;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use crossproc::{Pool, Queue, RawArray, Result, TaskError, Value};
use serde::{Deserialize, Serialize};

const WORKERS: usize = 4;
const CRASHES: usize = 3;
/// Hundreds of times as many as it takes.
const MOST_ROUNDS: u64 = 20_000;
const TRIES_PER_ROUND: u32 = 5_000;
/// At least as many as the parser has.
const PARTS: usize = 16;
/// Room for an input for each part from each worker that comes there at the same time as others.
const CORPUS: usize = 2 * PARTS * WORKERS;

const LENGTH: usize = 16;

type Input = [u8; LENGTH];

/// What all workers share.
#[derive(Clone, Serialize, Deserialize)]
struct Farm {
    /// 1 for each part of the parser that was reached.
    coverage: RawArray<AtomicU8>,
    corpus: Queue<Input>,
}

/// Accepts texts that begin like `{"key":"value"`, and says where it comes, as code does that a compiler has instrumented.
fn parse(input: &[u8], mut reach: impl FnMut(usize)) -> Option<()> {
    let rest = input.strip_prefix(b"{")?;
    reach(0);
    let rest = rest.strip_prefix(b"\"")?;
    reach(1);
    let key_end = rest.iter().position(|&byte| byte == b'"')?;
    reach(2);
    let rest = rest[key_end + 1..].strip_prefix(b":")?;
    reach(3);
    let mut value = rest.strip_prefix(b"\"")?.iter();
    reach(4);
    loop {
        match value.next()? {
            b'"' => {
                reach(5);
                return Some(());
            }
            b'\\' => {
                reach(6);
                match value.next()? {
                    b'u' => {
                        reach(7);
                        if *value.next()? == b'{' {
                            process::abort(); // the bug
                        }
                    }
                    b'n' | b'"' | b'\\' => reach(8),
                    _ => return None,
                }
            }
            _ => {}
        }
    }
}

/// Up to three bytes removed, inserted or replaced.
fn mutated(mut input: Input, mut random: impl FnMut() -> u64) -> Input {
    for _ in 0..=random() % 3 {
        let at = random() as usize % LENGTH;
        match random() % 4 {
            0 => input.copy_within(at + 1.., at),
            1 => input.copy_within(at..LENGTH - 1, at + 1),
            _ => input[at] = random() as u8,
        }
    }
    input
}

/// What a worker does at a time. `trying` outlives it.
fn fuzz(farm: Farm, trying: Value<Input>, round: u64) -> Result<()> {
    let mut random = generator(round);
    let seed = farm.corpus.get_task()?; // killed before the next line, it leaves the seed to somebody else
    farm.corpus.put(*seed)?;
    let seed = seed.into_inner();
    for _ in 0..TRIES_PER_ROUND {
        let input = mutated(seed, &mut random);
        trying.set(input);
        let mut reached = [false; PARTS];
        parse(&input, |part| reached[part] = true);
        let is_new = |part: &usize| reached[*part] && farm.coverage[*part].load(Relaxed) == 0;
        let new: Vec<_> = (0..PARTS).filter(is_new).collect();
        if !new.is_empty() {
            farm.corpus.put(input)?; // killed after this line, it is not the only one that finds these parts
        }
        for part in new {
            farm.coverage[part].store(1, Relaxed);
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();
    let farm = Farm { coverage: RawArray::new(PARTS)?, corpus: Queue::new(CORPUS)? };
    farm.corpus.put(Input::default())?;
    let pool = Pool::new(WORKERS)?;
    let mut rounds = (0..MOST_ROUNDS).map(|round| {
        let trying = Value::new(Input::default())?;
        Ok((pool.apply_async(fuzz, (&farm, &trying, round)), trying))
    });
    let mut running = rounds.by_ref().take(2 * WORKERS).collect::<Result<VecDeque<_>>>()?;
    let mut crashes = 0;
    while crashes < CRASHES
        && let Some((task, trying)) = running.pop_front()
    {
        match task.get() {
            Err(TaskError::WorkerDied { exit, .. }) => {
                crashes += 1;
                println!("crash {crashes}, {exit}: {}", trying.get().escape_ascii());
            }
            done => done??,
        }
        running.extend(rounds.next().transpose()?);
    }
    let reached = farm.coverage.iter().filter(|part| part.load(Relaxed) == 1).count();
    println!("reached {reached} parts of the parser");
    Ok(())
}

/// The same numbers for the same seed; SplitMix64.
fn generator(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
