//! Python's `multiprocessing` for Rust, rebuilt on shared memory: any process may be `kill -9`ed at any instruction, and
//! nobody else hangs, loses a lock, sees a torn value or leaks memory.
//!
//! | | |
//! |---|---|
//! | [`Value`], [`Array`] | plain data ([`Shared`]) under a robust lock |
//! | [`RawValue`], [`RawArray`] | atomics ([`Atomics`]), without a lock |
//! | [`SharedMemory`] | bytes under a robust lock |
//! | [`ShareableList`] | a fixed row of numbers, texts and bytes ([`ShareableItem`]), never seen half written |
//! | [`Lock`] | mutual exclusion that survives the death of its owner |
//! | [`RLock`] | the same, for a thread that may lock it again |
//! | [`RwLock`] | a value with many readers or one writer at a time, in place |
//! | [`Semaphore`], [`BoundedSemaphore`] | so many at a time; the permits of the dead come back |
//! | [`Condvar`] | waiting, without the lock, until somebody says that what it guards has changed |
//! | [`Event`] | a flag to set, clear and wait for |
//! | [`Barrier`] | a number of parties that wait for each other; a death breaks it for the others |
//! | [`Queue`] | messages of nearly any serde type for whoever is free, and tasks that outlive whoever had them |
//! | [`Ring`] | messages of plain data, copied or in place |
//! | [`channel`](channel()) | a one-way stream of messages: [`Sender`], [`Receiver`] |
//! | [`pipe`](pipe()) | a two-way one: two [`Connection`]s |
//! | [`Name`] | all of these but channels and pipes under a name: `create`, `open`, `open_or_create`; [`names`], [`unlink`], [`gc`], [`inspect`](inspect()) |
//! | [`Arena`] | many objects behind one descriptor |
//! | [`Process`], [`ProcessBuilder`], [`Child`] | functions in processes of their own |
//! | [`Pool`], [`Task`] | many tasks for a fixed number of processes: apply, map, lazily or not; a killed worker is one lost task |
//! | [`Manager`] | containers of any serde types, nested, atomic: [`managed`]; on this machine, or at a Redis server ([`Manager::connect`]) |
//! | [`wait_any`] | waiting for several queues, channels, events, processes and sockets at once; `AsFd` for event loops |
//!
//! All of them but the processes are *handles*: cheap to clone, usable from any thread, and sent to another process by passing
//! them in its arguments, at any depth. What they refer to lives as long as anybody has a handle. The ends of channels and pipes
//! are no such handles: each has one owner, and is given away with the arguments.
//!
//! Children are this same program, started anew. So [`init`] is the first line of `main`: in a child it runs the child's
//! function and never returns. In a test binary, where `main` is not yours, [`test_support!`] stands in for it. A program that starts
//! many processes calls [`init_with_zygote`] instead, and has them in about half the time.
//!
//! ```
//! use crossproc::{Array, Process, Result, Value};
//!
//! fn job(number: Value<f64>, array: Array<i32>) -> Result<()> {
//!     number.set(3.1415927);
//!     for item in array.lock()?.iter_mut() {
//!         *item = -*item;
//!     }
//!     Ok(())
//! }
//!
//! fn main() -> Result<()> {
//!     crossproc::init();
//!     let number = Value::new(0.0)?;
//!     let array = Array::from_iter(0..4)?;
//!     Process::spawn(job, (&number, &array))?.join()??;
//!     assert_eq!((number.get(), array.to_vec()), (3.1415927, vec![0, -1, -2, -3]));
//!     Ok(())
//! }
//! ```
//!
//! # When a process dies
//!
//! A lock whose owner was killed goes to the next one as an error that carries the guard, and so on until somebody says that
//! what it guards is whole again:
//!
//! ```
//! # let lock = crossproc::Lock::new()?;
//! use crossproc::{Guard, LockError};
//!
//! let guard = match lock.lock() {
//!     Err(LockError::OwnerDied(mut guard)) => {
//!         // put right what the dead owner may have left half done, then:
//!         guard.repair();
//!         guard
//!     }
//!     locked => locked?,
//! };
//! # drop(guard);
//! // The same, when nothing has to be put right:
//! let guard = lock.lock().or_else(LockError::repair)?;
//! # drop(guard);
//! # Ok::<(), crossproc::Error>(())
//! ```
//!
//! # Limits
//!
//! Linux 5.10 or newer, x86-64 and aarch64. At most 256 processes may be attached to one segment at a time: have handles of one
//! object, of the objects of one [`Arena`] or of one [`Manager`]; the next one is told so ([`Error::TooManyPeers`]). Values travel
//! through the stack: for more than some kilobytes use an [`Array`]. Handles travel in arguments and results, not through queues
//! and channels, which refuse them ([`Error::HandleOutsideTransfer`]); through queues at a server, handles of what lies there do.
//!
//! # Features
//!
//! None by default. `cli`: the command line, and a bar for [`Pool`] (`show_progress`). `compat-shared-memory`: `Arena::in_shmem`, an arena in memory that the crate
//! `shared_memory` has made. `compat-raw-sync`: `EventAt`, an event behind the traits of the crate `raw_sync`. `redis`: managers and pools at a Redis
//! or Valkey server, for several machines ([`Manager::connect`], [`PoolBuilder`]); it builds a TLS library.
//!
//! # From Python
//!
//! | Python | crossproc |
//! |---|---|
//! | `Process(target=f, args=(1, x)).start()` | `Process::spawn(f, (1, &x))?` |
//! | `p.join()`, `p.exitcode` | `p.join()?` gives the function's result; `p.wait()`, `p.exit()` |
//! | `p.close()` | `p.close()?`, or drop |
//! | `set_start_method('spawn')`, `'forkserver'`, `'fork'` | `init()`, [`init_with_zygote()`](init_with_zygote), `unsafe { Process::fork(f)? }` |
//! | `p.sentinel`, `c.fileno()` | `AsFd`: a descriptor for `poll` |
//! | `multiprocessing.connection.wait([c, p.sentinel], t)` | `wait_any(&[&c, &p], Some(t))?`: indices; queues, rings and events, too |
//! | `Value('d', 0.0)`, `v.value` | `Value::new(0.0)?`, `v.get()`, `v.set(..)` |
//! | `with v.get_lock(): v.value += 1` | `v.update(\|n\| n + 1)` |
//! | `Array('i', range(10))`, `a[:]` | `Array::from_iter(0..10)?`, `a.to_vec()`, `a.lock()?[1..3]` |
//! | `SharedMemory(create=True, size=n)`, `SharedMemory(name, create=True, size=n)` | `SharedMemory::create(n)?`, `SharedMemory::create_named(name, n)?`; `m.len()` is `n` |
//! | `SharedMemory(name)`, `m.buf[:5] = b'howdy'`, `m.unlink()` | `SharedMemory::open(name)?`, `m.lock()?[..5].copy_from_slice(b"howdy")` or `m.write_at(0, b"howdy")?`, `m.unlink()?` |
//! | `ShareableList(['a', 1, None])`, `ShareableList(items, name=n)`, `ShareableList(name=n)` | `ShareableList::new(["a".into(), 1.into(), ShareableItem::None])?`, `ShareableList::create(n, items)?`, `ShareableList::open(n)?` |
//! | `l[0]`, `l[0] = 'b'`, `list(l)`, `l.count(x)`, `l.index(x)` | `l.get(0)?`, `l.set(0, "b")?` ([`Error::ExceedsSpace`] if it is too long), `l.to_vec()?`, `l.count(x)`, `l.index(x)` |
//! | `with lock:` | `let _guard = lock.lock()?;` |
//! | `RLock()` | `RLock::new()?`; each guard is one level |
//! | `Semaphore(n)`, `BoundedSemaphore(n)`, `with s:` | `Semaphore::new(n)?`, `BoundedSemaphore::new(n)?`, `let _permit = s.acquire()?;` |
//! | `s.acquire()`, `s.release()`, `s.get_value()` | `s.acquire()?.forget()`, `s.release(1)?`, `s.value()` |
//! | `c = Condition(lock)`, `with c: c.wait_for(p)` | `c = Condvar::new()?`, `c.wait_while(lock.lock()?, not_p)?`, with the guard of any exclusive lock |
//! | `c.wait(t)`, `c.notify(n)`, `c.notify_all()` | `c.wait_timeout(guard, t)?`: the guard, and whether notified; `c.notify(n)`, `c.notify_all()` |
//! | `e.set()`, `e.clear()`, `e.is_set()` | the same |
//! | `e.wait()`, `e.wait(t)` | `e.wait()`, `e.wait_timeout(t)` |
//! | `b = Barrier(n, timeout=t)` | `Barrier::builder().parties(n).timeout(t).build()?`, or `Barrier::new(n)?` |
//! | `b.wait()`, `b.wait(t)`, `BrokenBarrierError` | `b.wait()?.index()`, `b.wait_timeout(t)`, [`BarrierError::Broken`] |
//! | `Barrier(n, action)` | `b.wait_with(action)`, in each party |
//! | `b.broken`, `b.abort()`, `b.reset()` | `b.is_broken()`, the same |
//! | `q = Queue(n)`, `JoinableQueue(n)` | `Queue::new(n)?`, or `Ring::new(n)?` for plain data; always bounded |
//! | `q.put(x)`, `q.get()` | `q.put(&x)?`, `q.get()?` |
//! | `q.put_nowait(x)`, `q.get(timeout=t)`, `Full`, `Empty` | `q.try_put(x)`, `q.get_timeout(t)`, [`TryPutError::Full`], [`TryGetError::Empty`] |
//! | `q.empty()`, `q.full()`, `q.qsize()` | `q.is_empty()`, `q.is_full()`, `q.len()`: what has been put is there at once |
//! | `q.task_done()`, `q.join()` | the same; or `q.get_task()?`, which is done when it is dropped |
//! | `q.put(None)`, once for each worker | `q.close()`: `get` gives what is left, and then [`GetError::Closed`] |
//! | `a, b = Pipe()` | `let (a, b) = pipe()?`; types may differ by direction; `b` is moved into the child |
//! | `r, w = Pipe(duplex=False)` | `let (sender, receiver) = channel()?` |
//! | `c.send(x)`, `c.recv()`, `EOFError` | `c.send(&x)?`, `c.recv()?`, [`RecvError::EndOfFile`] |
//! | `c.poll(t)`, `c.close()` | `c.poll(t)?`, `c.close()` or drop |
//! | `c.send_bytes(b)`, `c.recv_bytes_into(b)` | the same; [`BufferTooShort`] keeps the message |
//! | `with Pool(n) as p:`, `p.apply(f, (1,))` | `let p = Pool::new(n)?;`, `p.apply(f, (1,))?` |
//! | `Pool(n, initializer=f, initargs=a, maxtasksperchild=k)` | `Pool::builder().workers(n).initializer(f, a).max_tasks_per_worker(k).start()?`; `k` counts items, Python's chunks |
//! | `r = p.apply_async(f, a, callback=c)`, `r.get(t)`, `r.ready()` | `r = p.apply_async(f, a).on_done(c)`, `r.get_timeout(t)`, `r.is_ready()` |
//! | `p.map(f, xs)`, `p.map(f, xs, chunksize=k)`, `p.starmap(f, xs)` | `p.map(f, xs)?`, `p.chunk(k).map(f, xs)?`, `p.starmap(f, xs)?` |
//! | `p.imap(f, xs)`, `p.imap_unordered(f, xs, k)` | the same, `p.chunk(k).imap_unordered(f, xs)`: an iterator of `Result`s, which pulls `xs` lazily |
//! | `i.next(t)`, `TimeoutError` | `i.next_timeout(t)`, [`TryNextError::NotYet`] |
//! | `p.map_async(f, xs)`, `p.starmap_async(f, xs)` | the same: a [`Task`] for all results |
//! | `p.close()`, `p.join()`, `p.terminate()`, the end of `with` | the same; `join` closes; drop terminates |
//! | `concurrent.futures`: `as_completed(fs)`, `wait(fs)`, `f.cancel()` | [`Task::as_completed`], [`Task::wait_all`], [`Task::wait_any`], [`Task::cancel`], which also ends one that runs |
//! | `if __name__ == '__main__':` | `crossproc::init();` |

#![deny(unsafe_code)]
// Under loom only the words are built, which do not use everything below them.
#![cfg_attr(all(test, loom), allow(dead_code, unused_imports))]

#[cfg(not(all(target_os = "linux", target_endian = "little", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("crossproc runs on Linux, x86-64 and (little-endian) aarch64 only");

mod error;
mod fault;

// The layers, lowest first: a module uses only those above it in this list.
#[cfg(not(all(test, loom)))]
mod sys;
#[cfg(all(test, loom))]
#[path = "sys/model.rs"]
mod sys;
mod word;
mod ring;
#[cfg(not(all(test, loom)))]
mod segment;
#[cfg(not(all(test, loom)))]
mod heap;
#[cfg(not(all(test, loom)))]
mod cell;
#[cfg(not(all(test, loom)))]
mod watch;
#[cfg(not(all(test, loom)))]
mod sync;
#[cfg(not(all(test, loom)))]
mod message;
#[cfg(not(all(test, loom)))]
mod queue;
#[cfg(not(all(test, loom)))]
mod pipe;
#[cfg(not(all(test, loom)))]
mod process;
#[cfg(all(feature = "redis", not(all(test, loom))))]
mod remote;
#[cfg(not(all(test, loom)))]
mod pool;
#[cfg(not(all(test, loom)))]
pub mod managed;
#[cfg(not(all(test, loom)))]
mod inspect;

#[cfg(not(all(test, loom)))]
pub use cell::{
    Array, ArrayGuard, RawArray, RawValue, ShareableItem, ShareableList, SharedMemory, SharedMemoryGuard, Value,
    ValueGuard,
};
pub use error::{
    AttachError, BarrierError, BrokenBy, BufferTooShort, Error, Exit, GetError, Guard, Kind, LockError, OsError,
    ProcessError, PutError, RecvError, RecvIntoError, Result, SendError, TaskError, TryAcquireError, TryGetError,
    TryLockError, TryNextError, TryPutError, TryRecvError, TryRecvIntoError, TrySendError, TypeStamp,
};
#[cfg(not(all(test, loom)))]
pub use inspect::{Inspection, inspect};
#[cfg(not(all(test, loom)))]
pub use managed::Manager;
#[cfg(not(all(test, loom)))]
pub use message::Sends;
#[cfg(not(all(test, loom)))]
pub use pipe::{BytesRef, Connection, Messages, PipeBuilder, Reader, Receiver, Sender, Writer, channel, pipe};
#[cfg(not(all(test, loom)))]
#[doc(hidden)]
pub use pool::serve_if_asked as __serve_if_asked;
#[cfg(not(all(test, loom)))]
pub use pool::{
    AsCompleted, Imap, ImapUnordered, Mapping, Pool, PoolBuilder, Progress, Task, TryTaskError, init, init_with_zygote,
};
#[cfg(not(all(test, loom)))]
pub use process::{
    Child, Current, Function, Parent, Process, ProcessBuilder, StartMethod, Stdio, TryJoinError, active_children,
    cpu_count, current, parent,
};
#[cfg(not(all(test, loom)))]
#[doc(hidden)]
pub use process::{Constructor as __Constructor, enter_test_binary as __enter_test_binary};
#[cfg(not(all(test, loom)))]
pub use queue::{Consumer, Iter, Producer, Queue, QueueBuilder, QueueTask, Ring, Slot, Taken};
#[cfg(not(all(test, loom)))]
pub use segment::{Arena, Atomics, Name, Peer, Relock, Shared, abandoned, gc, names, unlink, unlink_abandoned};
#[cfg(all(feature = "compat-raw-sync", not(all(test, loom))))]
pub use sync::EventAt;
#[cfg(not(all(test, loom)))]
pub use sync::{
    Barrier, BarrierBuilder, BarrierTurn, BoundedSemaphore, Condvar, Event, Lock, LockGuard, Permit, RLock, RLockGuard,
    ReadGuard, RwLock, Semaphore, SemaphoreBuilder, WriteGuard,
};
#[cfg(not(all(test, loom)))]
pub use watch::wait_any;

/// What the README shows has to run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
