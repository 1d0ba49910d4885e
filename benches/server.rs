//! What a managed container at a Redis server costs for each call, against the server's own `redis-benchmark` with one client and without
//! pipelining. Both over the same Unix socket.
//!
//! | row | what is measured | the rival |
//! |---|---|---|
//! | get, contains, insert | of a dictionary with 1,000 entries | HGET, HEXISTS, HSET of a hash |
//! | push, index | of a list | RPUSH, LINDEX |
//! | extend | a dictionary by 1,000 entries at once, for each of them | HSET, one by one |

mod common;
#[path = "../tests/common/redis.rs"]
mod redis;

use std::process::Command;
use std::time::Instant;

use common::{Plan, Table, Target, alternate, is_asked_for};
use crossproc::{Manager, Result};
use redis::Server;

const ENTRIES: u64 = 1_000;

fn main() -> Result<()> {
    let plan = Plan::from_args();
    let table = Table::new(plan, "server");
    let server = Server::start();
    let manager = Manager::connect(&server.url())?;
    let (numbers, items) = (manager.dict::<u64, u64>()?, manager.list::<u64>(0..ENTRIES)?);
    numbers.extend((0..ENTRIES).map(|i| (i, i)))?;
    // What the rival reads is there, too.
    server.ask("EVAL \"for i=0,999 do redis.call('HSET','hash',i,i) redis.call('RPUSH','list',i) end\" 0");
    let bench = Bench { plan, table, server };
    bench.row("get", "HGET hash 7", || numbers.get(7).map(drop));
    bench.row("contains", "HEXISTS hash 7", || numbers.contains_key(7).map(drop));
    bench.row("insert", "HSET hash 7 7", || numbers.insert(7, 7).map(drop));
    bench.row("index of a list", "LINDEX list 7", || items.get(7).map(drop));
    bench.row("push to a list", "RPUSH list 7", || items.push(7));
    bench.extend(|| numbers.extend((0..ENTRIES).map(|i| (i, i))));
    Ok(())
}

struct Bench {
    plan: Plan,
    table: Table,
    server: Server,
}

impl Bench {
    fn row(&self, what: &str, command: &str, call: impl Fn() -> Result<()>) {
        let many = self.plan.of(3_000, 100);
        // Within 1.3 x of the rival's rate.
        self.measure(what, command, many, many, call, Some(Target::RatioAtLeast(0.77)));
    }

    fn extend(&self, call: impl Fn() -> Result<()>) {
        let many = self.plan.of(10, 1);
        self.measure("extend by 1,000, an entry", "HSET hash 7 7", many, many * ENTRIES, call, None);
    }

    /// Thousands of entries a second; `calls` are so many `entries`.
    fn measure(
        &self,
        what: &str,
        command: &str,
        calls: u64,
        entries: u64,
        call: impl Fn() -> Result<()>,
        target: Option<Target>,
    ) {
        if !is_asked_for(what) {
            return;
        }
        let mut ours = || {
            let start = Instant::now();
            (0..calls).for_each(|_| call().unwrap());
            entries as f64 / start.elapsed().as_secs_f64() / 1e3
        };
        let mut theirs = || self.rival(command, self.plan.of(3_000, 100));
        let [ours, theirs] = alternate(self.plan.turns(), [&mut ours, &mut theirs]);
        self.table.row(what, "K/s", &ours, ("redis-benchmark", &theirs), target.as_slice());
    }

    /// Thousands of requests a second.
    fn rival(&self, command: &str, requests: u64) -> f64 {
        let socket = self.server.socket();
        let ran = Command::new("redis-benchmark")
            .arg("-s")
            .arg(socket)
            .args(["-c", "1", "-n", &requests.to_string(), "--csv"])
            .args(command.split(' '))
            .output()
            .expect("redis-benchmark comes with redis-server");
        let text = String::from_utf8_lossy(&ran.stdout);
        let rate = text.lines().last().and_then(|line| line.split(',').nth(1));
        rate.and_then(|rate| rate.trim_matches('"').parse::<f64>().ok()).expect("a rate") / 1e3
    }
}
