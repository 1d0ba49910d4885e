//! What the first line of `main` does: a process may have been started to run one function, or to be a host.

#[cfg(feature = "redis")]
use std::env;

#[cfg(feature = "redis")]
use super::host::{self, VARIABLE};
use crate::process;
#[cfg(feature = "redis")]
use crate::sys::program;

/// Makes this program able to start processes: call it in the first line of `main`.
///
/// A child is this same program, started anew. In it, this call runs the child's function, on the calling thread, and
/// never returns; what stands before it in `main` runs in every child, too. In every other process it returns at once.
/// Further calls do nothing; one on another thread that comes while a child's first is at work never returns.
///
/// It also has this process wait for its children when it exits, by a return from `main` or by `exit`; daemon children
/// are ended instead.
///
/// A child recognises itself by what its parent left for it in a socket at descriptor 3; no environment variable and
/// no argument is involved. What is at that descriptor in any other process stays as it is. A program that exec gave
/// the privileges of another user (`AT_SECURE`), and one whose socket another user made, does nobody's bidding: it ends
/// here with code 1.
///
/// With the feature `redis`, a process that the command `crossproc worker` has started serves pools as a host: see
/// [`PoolBuilder::engine`](crate::PoolBuilder). That is the one thing that a variable of the environment decides, `CROSSPROC_HOST`; not in a
/// program with privileges of its own.
///
/// # Async programs
///
/// have a plain `main`, whose first line this is, and build their runtime after it, as the last example does. With an attribute like
/// `#[tokio::main]` the runtime is there before the first line: every child starts its threads for nothing and runs its function inside
/// it, where one that builds a runtime of its own panics; and [`init_with_zygote`](crate::init_with_zygote) finds threads, and has no
/// zygote. Tasks of a pool are futures for any runtime; a [`Process`](crate::Process) is joined where blocking is allowed (`spawn_blocking`).
///
/// # Panics
///
/// If the first call is not on the main thread, as in a `#[test]`: each child would run everything before it, all tests
/// and the harness, to get there. [`test_support!`](crate::test_support) is for tests.
///
/// # Examples
///
/// ```
/// use crossproc::Process;
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     Process::spawn(|| println!("hello from a child"), ())?.join()?;
///     Ok(())
/// }
/// ```
///
/// A process that has nothing more to do waits for its children, here for one that waits for input:
///
/// ```
/// use std::time::Duration;
/// use crossproc::{Process, TryJoinError};
///
/// fn wait_for_input() {
///     std::io::read_to_string(std::io::stdin()).unwrap();
/// }
///
/// fn leave_a_child() -> crossproc::Result<()> {
///     Process::spawn(wait_for_input, ()).map(drop)
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     crossproc::init();
///     let (input, to_child) = std::io::pipe()?;
///     let process = Process::builder().stdin(input).spawn(leave_a_child, ())?;
///     match process.join_timeout(Duration::from_millis(100)) {
///         Err(TryJoinError::Running(process)) => {
///             drop(to_child);
///             process.join()??;
///         }
///         other => panic!("did not wait: {other:?}"),
///     }
///     Ok(())
/// }
/// ```
///
/// An async program:
///
/// ```
/// # mod tokio {
/// #     pub mod runtime {
/// #         use std::pin::pin;
/// #         use std::task::{Context, Poll, Waker};
/// #
/// #         pub struct Runtime;
/// #
/// #         impl Runtime {
/// #             pub fn new() -> std::io::Result<Self> {
/// #                 Ok(Runtime)
/// #             }
/// #
/// #             pub fn block_on<F: Future>(&self, future: F) -> F::Output {
/// #                 let mut future = pin!(future);
/// #                 loop {
/// #                     match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
/// #                         Poll::Ready(output) => return output,
/// #                         Poll::Pending => std::thread::yield_now(),
/// #                     }
/// #                 }
/// #             }
/// #         }
/// #     }
/// # }
/// use crossproc::Pool;
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     tokio::runtime::Runtime::new()?.block_on(serve()) // not `#[tokio::main]`
/// }
///
/// async fn serve() -> crossproc::Result<()> {
///     let pool = Pool::new(2)?;
///     assert_eq!(pool.apply_async(u64::pow, (2, 10)).await?, 1024);
///     Ok(())
/// }
/// ```
pub fn init() {
    process::init();
    serve_if_asked();
}

/// Does what [`init`](crate::init) does, and forks a *zygote*, from which children are started in about half the time: call it
/// in the first line of `main`.
///
/// The zygote is a copy of this process as it is now, which does nothing but make copies of itself when this process wants
/// a child. So children do not start in an empty program but here, in this call: what the program did before it, they find
/// done, and no constructors run in them. Nothing that this process does afterwards is in them, and everything that
/// [`Process`](crate::Process) and [`ProcessBuilder`](crate::ProcessBuilder) say of children holds for them: arguments,
/// descriptors, the parent, results, daemons. From the thread that starts them they have what an executed child has:
/// directory, environment, umask, signal mask, ignored signals, limits, affinity, nice value and process group.
///
/// What is different:
///
/// - They are no business of a plain `waitpid(-1)`, nor of a handler for `SIGCHLD`: their end sends no signal, and only
///   `__WALL` waits for them. How they ended is therefore always known.
/// - They have the zygote's control group, memory policy, keyrings, Landlock rules and `coredump_filter`, and the address space
///   layout that this process has, too.
/// - They have what was drawn at random before this call. A `HashMap` that the main thread makes before it gives all
///   children the same seeds.
/// - A daemon ends when the main thread of this process ends, whichever thread has started it.
///
/// Where the zygote cannot be used, a child is executed, as after [`init`](crate::init): if this was not the first call of it
/// and [`init`](crate::init), if other threads were running, or with a C library other than glibc; once credentials,
/// capabilities, securebits, `no_new_privs`, seccomp filters, security label, session, namespaces, root directory, scheduling
/// class, real-time or I/O priority, timer slack, personality, use of huge or merged pages, what may become code
/// (`PR_SET_MDWE`) or `oom_score_adj` of the calling thread are not those at this call, or one of its hard limits is higher, or its
/// nice value lower; after the zygote has died; in forked copies of this process; and in its children, whose own children are
/// executed.
/// [`ProcessBuilder::start_method`](crate::ProcessBuilder::start_method) chooses for one child.
///
/// The zygote has no descriptors of this process, sits in `/`, blocks all signals, and dies with this process, be it by
/// SIGKILL. `waitpid(-1)` does not see it, and nobody waits for it. It is `SCHED_BATCH`, where this process is `SCHED_OTHER`:
/// to fork a child ahead takes no processor from who is at work. From the first start on there is, besides, the child of
/// the next one: a copy of the zygote that sleeps, and dies with it, and of which all the same is true. It takes the
/// memory of one small process, and counts where processes are counted; one that somebody kills is made up for. A program that
/// replaces itself by `execve` leaves these two for the program that follows: both end at once, and are zombies until that one ends.
///
/// # Panics
///
/// As [`init`](crate::init).
///
/// # Examples
///
/// ```
/// use crossproc::Process;
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init_with_zygote();
///     let children: Vec<_> = (0..8_u64).map(|n| Process::spawn(|n: u64| n * n, (n,))).collect::<Result<_, _>>()?;
///     let squares: Vec<_> = children.into_iter().map(|child| child.join()).collect::<Result<_, _>>()?;
///     assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49]);
///     Ok(())
/// }
/// ```
pub fn init_with_zygote() {
    process::init_with_zygote();
    serve_if_asked();
}

/// Runs as a host, and never returns, if the command `crossproc worker` has started this process.
#[doc(hidden)]
pub fn serve_if_asked() {
    // Whoever started a program with privileges of its own may not say what it does.
    #[cfg(feature = "redis")]
    if !program::privileged_by_exec()
        && let Ok(order) = env::var(VARIABLE)
    {
        host::serve(&order);
    }
}
