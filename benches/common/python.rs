//! The rivals of pools and managers: Python's `multiprocessing.Pool`, of two forked processes, and its `Manager`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

/// A Python with a pool of its own.
pub(crate) struct Python {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// For each line, a number and an expression that gives the squares of the numbers below it: how many seconds that takes.
pub(crate) const POOL: &str = "
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

/// For each line, a number, how many clients, and an expression of `i`: how many seconds it takes them to do that so often each.
pub(crate) const MANAGER: &str = "
import multiprocessing, sys, time

context = multiprocessing.get_context('fork')
manager = context.Manager()
numbers, texts, items, value = manager.dict(), manager.dict(), manager.list(range(1000)), manager.Value('Q', 0)
numbers.update({i: i for i in range(1000)})
texts.update({'key %d' % i: bytes(1024) for i in range(1000)})
lock, barrier = context.Lock(), context.Barrier(2)

# A manager's dictionary cannot add in one step.
def add():
    with lock:
        numbers[0] += 1

def work(n, clients, expression):
    run = eval('lambda i: ' + expression)
    if clients > 1:
        barrier.wait()
    start = time.perf_counter()
    for i in range(n):
        run(i)
    return start, time.perf_counter()

pool = context.Pool(2)
for line in sys.stdin:
    n, clients, expression = line.split(maxsplit=2)
    n, clients = int(n), int(clients)
    before = numbers[0]
    times = pool.starmap(work, [(n, clients, expression)] * clients, 1)
    assert 'add' not in expression or numbers[0] == before + n * clients
    print(max(end for _, end in times) - min(start for start, _ in times), flush=True)
pool.terminate()
";

impl Python {
    /// Or `None`, if there is no `python3`.
    pub(crate) fn start(program: &str) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().ok()?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take().unwrap());
        Some(Python { process, orders, answers: BufReader::new(answers) })
    }

    /// How long `expression` takes, for so many.
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
