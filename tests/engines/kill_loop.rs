//! Processes that lock, acquire, put, get and push at a server, killed at random instants and replaced: afterwards everything can be had, nothing is
//! lost or twice, and nothing is left.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::managed::{List, Lock, Queue, Semaphore};
use crossproc::{Error, Exit, LockError, Manager, Process, ProcessError, RawArray, TryPutError};

use crate::common::kills::{Kills, Random};
use crate::common::watchdog;
use crate::redis::Server;

const USERS: usize = 4;

/// Fewer than there are users.
const PERMITS: usize = 2;

/// Messages at most: more than are put in so many rounds.
const MESSAGES: usize = 1 << 22;

/// In `totals`: the next message's number, and the greatest fence of an owner that had the lock until it gave it back.
const NEXT: usize = 0;
const FENCE: usize = 1;

/// What has become of a message, written by those who may be killed at any instant.
const BEGUN: u32 = 1;
const PUT: u32 = 2;
const GOT: u32 = 4;
const PUSHED: u32 = 8;

/// What they use, by its names.
struct Things {
    lock: Lock,
    semaphore: Semaphore,
    queue: Queue<u64>,
    list: List<u64>,
}

const NAMES: [&str; 4] = ["lock", "semaphore", "queue", "list"];

impl Things {
    fn of(manager: &Manager) -> Self {
        let [lock, semaphore, queue, list] = NAMES.map(|name| manager.at(name));
        Things {
            lock: lock.lock().unwrap(),
            semaphore: semaphore.semaphore(PERMITS).unwrap(),
            queue: queue.queue(64).unwrap(),
            list: list.list().unwrap(),
        }
    }
}

/// What a process that was not heard for a lease, on a slow machine, is told. Whether it still had what it gave back.
fn was_ours(told: crossproc::Result<()>) -> bool {
    match told {
        Ok(()) => true,
        Err(Error::OwnerDied { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

fn work(url: String, entries: RawArray<AtomicU32>, totals: RawArray<AtomicU64>) {
    let things = Things::of(&Manager::connect(&url).unwrap());
    loop {
        let number = totals[NEXT].fetch_add(1, SeqCst);
        let Some(entry) = entries.get(number as usize) else { return };
        entry.store(BEGUN, SeqCst);

        let guard = things.lock.lock().or_else(LockError::repair).unwrap();
        let (fence, before) = (guard.token(), totals[FENCE].load(SeqCst));
        if was_ours(guard.unlock()) {
            assert!(before < fence, "two had the lock at once, {fence} and {before}");
            totals[FENCE].fetch_max(fence, SeqCst);
        }
        was_ours(things.semaphore.acquire().unwrap().release());

        match things.queue.try_put(number) {
            Ok(()) => entry.fetch_or(PUT, SeqCst),
            Err(TryPutError::Full(_)) => 0,
            Err(other) => panic!("{other}"),
        };
        let task = things.queue.get_task().unwrap();
        let before = entries[*task as usize].fetch_or(GOT, SeqCst);
        assert!(before & BEGUN != 0, "{} has never been put", *task);
        was_ours(task.done());

        things.list.push(number).unwrap();
        entry.fetch_or(PUSHED, SeqCst);
    }
}

/// It has not ended before for another reason.
fn kill(user: Process<()>) {
    user.kill().unwrap();
    match user.join() {
        Err(
            ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. }
            | ProcessError::NeverStarted { exit: Exit::Signal(libc::SIGKILL), .. },
        ) => {}
        other => panic!("{other:?}"),
    }
}

/// Returns when they have done something, and a little later.
fn let_them_work(totals: &RawArray<AtomicU64>, random: &mut Random) {
    let goal = totals[NEXT].load(Relaxed) + random.below(10);
    while totals[NEXT].load(Relaxed) < goal {
        thread::yield_now(); // under the watchdog
    }
    let (start, pause) = (Instant::now(), Duration::from_micros(random.below(3000)));
    while start.elapsed() < pause {
        thread::yield_now();
    }
}

#[test]
fn kills_at_random_instants_lose_nothing_and_leave_nothing() {
    let server = Server::start();
    let url = format!("{}?lease_ms=1000", server.url());
    let manager = Manager::connect(&url).unwrap();
    let things = Things::of(&manager);
    let entries = RawArray::<AtomicU32>::new(MESSAGES).unwrap();
    let totals = RawArray::<AtomicU64>::new(2).unwrap();
    let spawn = || Process::spawn(work, (&url, &entries, &totals)).unwrap();
    let mut users: Vec<_> = (0..USERS).map(|_| spawn()).collect();
    Kills::asked_for(60).each_round(|_, random| {
        let_them_work(&totals, random);
        let index = random.index(USERS);
        kill(std::mem::replace(&mut users[index], spawn()));
    });
    let _watchdog = watchdog();
    users.into_iter().for_each(kill);
    everything_can_be_had(&things);
    nothing_is_lost(&things, &entries, totals[NEXT].load(SeqCst) as usize);
    drop(things);
    nothing_is_left(&server, manager);
}

fn everything_can_be_had(things: &Things) {
    drop(things.lock.lock().or_else(LockError::repair).unwrap());
    let permits: Vec<_> = (0..PERMITS).map(|_| things.semaphore.acquire().unwrap()).collect();
    assert_eq!(things.semaphore.value(), Ok(0));
    drop(permits);
    assert_eq!(things.semaphore.value(), Ok(PERMITS));
}

fn nothing_is_lost(things: &Things, entries: &RawArray<AtomicU32>, count: usize) {
    let entries: Vec<u32> = {
        // Also what was in the hands of the dead: until everything is done.
        while !things.queue.join_timeout(Duration::from_millis(10)).unwrap() {
            if let Ok(number) = things.queue.get_timeout(Duration::from_secs(1)) {
                entries[number as usize].fetch_or(GOT, SeqCst);
                things.queue.task_done().unwrap();
            }
        }
        entries[..count].iter().map(|entry| entry.load(SeqCst)).collect()
    };
    assert_eq!(things.queue.len(), Ok(0));
    let mut pushes = vec![0; count];
    things.list.to_vec().unwrap().into_iter().for_each(|number| pushes[number as usize] += 1);
    for (number, (entry, times)) in entries.iter().zip(pushes).enumerate() {
        assert!(entry & PUT == 0 || entry & GOT != 0, "{number} was put, and never got");
        assert!(times <= 1 && (entry & PUSHED == 0 || times == 1), "{number} was pushed {times} times: {entry:b}");
    }
    assert!(entries.iter().filter(|entry| **entry & PUSHED != 0).count() > USERS, "they have hardly done anything");
}

/// But the clock, one session with its lease, and what was pushed to wake the dead, for a minute.
fn nothing_is_left(server: &Server, manager: Manager) {
    for name in NAMES {
        assert!(manager.remove(name).unwrap());
    }
    let observer = Manager::connect(&format!("{}?lease_ms=1001", server.url())).unwrap();
    drop(manager);
    let left = "local left = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
        if key ~= 'crossproc:clock' and key ~= 'crossproc:leases' and redis.call('PTTL', key) == -1 then \
        left[#left + 1] = key end end return left";
    while server.ask(&format!("EVAL \"{left}\" 0")) != "*1\r\n$18\r\ncrossproc:sessions\r\n"
        || server.ask("ZCARD crossproc:sessions") != ":1\r\n"
        || server.ask("ZCARD crossproc:leases") != ":1\r\n"
    {
        thread::yield_now(); // under the watchdog
    }
    drop(observer);
}
