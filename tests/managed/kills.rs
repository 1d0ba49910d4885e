//! Writers that are killed at random instants, and readers that never see anything half done.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use crossproc::managed::{Dict, List};
use crossproc::{Manager, Process, RawValue};
use serde::{Deserialize, Serialize};

use crate::bytes_used;
use crate::common::kills::{Kills, Random};
use crate::common::locking::Stage;
use crate::common::naming::TestName;

const WRITERS: usize = 4;
const KEYS: u64 = 40;
const LONGEST: u64 = 5_000;

/// All that is there never takes more than half of that: what grows from round to round passes it.
const MOST: u64 = 4 << 20;

/// Bytes that say whether they are all there.
#[derive(Serialize, Deserialize)]
struct Blob {
    seed: u64,
    bytes: Vec<u8>,
}

impl Blob {
    fn of(seed: u64) -> Self {
        let mut number = seed;
        let byte = |_| Draw::next(&mut number) as u8;
        Blob { seed, bytes: (0..seed % LONGEST).map(byte).collect() }
    }

    fn check(&self) {
        assert!(Blob::of(self.seed).bytes == self.bytes, "{} bytes of {} are torn", self.bytes.len(), self.seed);
    }
}

/// Numbers that a writer draws, from its own seed.
struct Draw(u64);

impl Draw {
    fn next(number: &mut u64) -> u64 {
        *number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *number >> 33
    }

    fn below(&mut self, end: u64) -> u64 {
        Self::next(&mut self.0) % end
    }
}

/// What writers and readers have before them.
#[derive(Clone, Serialize, Deserialize)]
struct Room {
    manager: Manager,
    blobs: Dict<u64, Blob>,
    /// Each number, and the one as much larger as there are keys, have the same value.
    pairs: Dict<u64, u64>,
    /// Numbers that nobody else has put in, and what is computed from them.
    list: List<(u64, u64)>,
    /// Lists whose items are all their key.
    nested: Dict<u64, List<u64>>,
    changes: RawValue<AtomicU64>,
    tickets: RawValue<AtomicU64>,
    over: Stage,
}

impl Room {
    fn new(manager: Manager) -> Self {
        Room {
            blobs: manager.dict().unwrap(),
            pairs: manager.dict().unwrap(),
            list: manager.list([]).unwrap(),
            nested: manager.dict().unwrap(),
            changes: RawValue::new(AtomicU64::new(0)).unwrap(),
            tickets: RawValue::new(AtomicU64::new(0)).unwrap(),
            over: Stage::new(),
            manager,
        }
    }

    fn change(&self, draw: &mut Draw) -> crossproc::Result<()> {
        let key = draw.below(KEYS);
        match draw.below(9) {
            0 | 1 => self.blobs.insert(key, Blob::of(draw.below(1 << 30)))?.iter().for_each(Blob::check),
            2 => self.blobs.remove(key)?.iter().for_each(Blob::check),
            3 => {
                let ticket = self.tickets.fetch_add(1, Relaxed);
                self.list.insert(0, (ticket, !ticket))?;
                if self.list.len()? > 100 {
                    self.list.pop()?;
                }
            }
            4 => drop(self.list.pop()?),
            5 | 6 => self.pairs.with(|pairs| {
                let value = pairs.get(key)?.unwrap_or(0) + draw.below(100);
                pairs.insert(key, value)?;
                pairs.insert(key + KEYS, value).map(drop)
            })?,
            7 => drop(self.nested.insert(key, self.manager.list([key; 3])?)?),
            _ => match self.nested.get(key)? {
                Some(list) if list.len()? < 50 => list.push(key)?,
                Some(_) => drop(self.nested.remove(key)?),
                None => {}
            },
        }
        Ok(())
    }

    /// Of one instant each: with `is_quiet`, of the same.
    fn check(&self, is_quiet: bool) {
        let blobs = self.blobs.items().unwrap();
        blobs.iter().for_each(|(_, blob)| blob.check());
        let pairs = self.pairs.to_map().unwrap();
        let has_both = |key: &u64| pairs.get(key) == pairs.get(&(key + KEYS));
        assert!((0..KEYS).all(|key| has_both(&key)), "{pairs:?}");
        let list = self.list.to_vec().unwrap();
        assert!(list.iter().all(|(number, other)| *other == !number), "{list:?}");
        let distinct: HashSet<_> = list.iter().collect();
        assert_eq!(distinct.len(), list.len(), "something is there twice: {list:?}");
        let nested = self.nested.items().unwrap();
        for (key, list) in &nested {
            let items = list.to_vec().unwrap();
            assert!(items.len() >= 3 && items.iter().all(|item| item == key), "{key}: {items:?}");
        }
        if is_quiet {
            let lengths = [self.blobs.len(), self.pairs.len(), self.list.len(), self.nested.len()];
            let counts = [blobs.len(), pairs.len(), list.len(), nested.len()];
            assert_eq!(lengths.map(Result::unwrap), counts);
            assert!(self.blobs.keys().unwrap().iter().all(|key| self.blobs.contains_key(key).unwrap()));
        }
    }

    fn clear(&self) {
        self.blobs.clear().unwrap();
        self.pairs.clear().unwrap();
        self.list.clear().unwrap();
        self.nested.clear().unwrap();
    }
}

fn write(room: Room, seed: u64) {
    let mut draw = Draw(seed);
    while !room.over.has_reached(1) {
        room.change(&mut draw).unwrap();
        room.changes.fetch_add(1, Relaxed);
    }
}

fn writer(room: &Room, random: &mut Random) -> Process<()> {
    Process::spawn(write, (room, random.below(1 << 40))).unwrap()
}

/// Kills so many of the writers, each after some changes, and looks at everything in between.
fn kill_some(room: &Room, random: &mut Random, kills: u64) {
    let mut writers: Vec<_> = (0..WRITERS).map(|_| writer(room, random)).collect();
    for _ in 0..kills {
        let due = room.changes.load(Relaxed) + 1 + random.below(200);
        while room.changes.load(Relaxed) < due {
            thread::yield_now();
        }
        (0..random.below(20_000)).for_each(|_| std::hint::spin_loop());
        let doomed = random.index(WRITERS);
        let killed = std::mem::replace(&mut writers[doomed], writer(room, random));
        killed.kill().unwrap();
        room.check(false);
        killed.wait();
    }
    room.over.advance();
    for writer in writers {
        writer.join().unwrap();
    }
}

#[test]
fn killed_writers_leave_everything_whole_and_nothing_behind() {
    let name = TestName::new();
    let manager = Manager::create(name.as_str()).unwrap();
    let mut room = Room::new(manager.clone());
    let mut used = Vec::new();
    Kills::asked_for(if cfg!(debug_assertions) { 3 } else { 10 }).each_round(|round, random| {
        room.over = Stage::new();
        kill_some(&room, random, 15);
        room.check(true);
        let alone = |room: Room| {
            room.check(true);
            (0..200).for_each(|seed| room.change(&mut Draw(seed)).unwrap());
            room.check(true);
        };
        Process::spawn(alone, (&room,)).unwrap().join().unwrap();
        if round % 2 == 1 {
            room.clear();
            room.check(true);
        }
        used.push(bytes_used(name.as_str()));
        assert!(used[used.len() - 1] <= MOST, "grows: {used:?}");
    });
    println!("{} changes, bytes used: {used:?}", room.changes.load(Relaxed));
}
