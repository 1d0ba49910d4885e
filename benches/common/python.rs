//! The rival of pools: Python's `multiprocessing.Pool`, of two forked processes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

/// A Python with a pool of its own.
pub(crate) struct Python {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// For each line, a number and an expression: how many seconds that takes.
const PROGRAM: &str = "
import multiprocessing, sys, time

def square(i):
    return i * i

pool = multiprocessing.get_context('fork').Pool(2)
for line in sys.stdin:
    n, expression = line.split(maxsplit=1)
    n = int(n)
    start = time.perf_counter()
    squares = eval(expression)
    seconds = time.perf_counter() - start
    assert squares == [i * i for i in range(n)]
    print(seconds, flush=True)
pool.terminate()
";

impl Python {
    /// Or `None`, if there is no `python3`.
    pub(crate) fn start() -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().ok()?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take().unwrap());
        Some(Python { process, orders, answers: BufReader::new(answers) })
    }

    /// How long `expression` takes, which is to give the squares of the numbers below `n`.
    pub(crate) fn seconds(&mut self, expression: &str, n: u64) -> f64 {
        writeln!(self.orders.as_mut().unwrap(), "{n} {expression}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().parse().expect("Python has checked its results")
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.orders = None;
        let ended = self.process.wait();
        assert!(thread::panicking() || ended.unwrap().success());
    }
}
