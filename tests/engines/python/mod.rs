//! What the tests of CPython 3.13 (`test/_test_multiprocessing.py`) find of managers, here of both engines.
//!
//! | CPython's test | here |
//! |---|---|
//! | `_TestContainers.test_list`, `test_list_iter`, `test_list_proxy_in_list`, `test_dict`, `test_dict_iter`, `test_dict_proxy_nested` | [`containers`]; slices cannot be assigned to, and `extend` stands for `+=`, `*` |
//! | `test_nested_queue` | does not apply: a queue is no value (`queue.rs`: `a_queue_is_no_value`). Its handles travel in arguments, results and messages |
//! | `test_namespace` | [`types`]; no names are hidden |
//! | `TestSyncManagerTypes.test_event`, `test_barrier`, `test_value`, `test_array`, `test_namespace` | [`types`] |
//! | `test_list`, `test_dict` | [`containers`]: `a_child_uses_its_parents_..` |
//! | `test_lock`, `test_semaphore` | [`types`]: what a child has kept is not anybody's to release, but the next one's to take over, or made good by `release` |
//! | `test_rlock`, `test_condition` | [`types`]: `locks_are_locked_and_unlocked_by_a_child` |
//! | `test_bounded_semaphore`, `_TestSemaphore.test_bounded_semaphore` | does not apply: a manager has none; `crossproc::BoundedSemaphore` is for one machine (`tests/semaphore`) |
//! | `test_queue`, `test_joinable_queue` | [`types`]: each queue can be joined |
//! | `test_pool`, `_TestPool` | does not apply: no pool lies in a manager; at a server its tasks do (`tests/engines_pool`) |
//! | `_TestQueue.test_put`, `test_get`, `test_fork`, `test_qsize`, `test_task_done`, `test_timeout` | [`queues`]; a queue is as long as one says, never boundless |
//! | `test_closed_queue_..` | `queue.rs`: `a_closed_queue_is_drained`; looking at a closed queue is no error |
//! | `test_queue_feeder_..`, `test_no_import_lock_contention` | does not apply: nothing is put behind one's back |
//! | `_TestLock` | [`waits`]; releasing what one has not does not compile |
//! | `_TestSemaphore.test_semaphore` | [`waits`] |
//! | `_TestSemaphore.test_timeout` | `sync.rs`: `permits_go_back` |
//! | `_TestCondition.test_notify`, `test_notify_all`, `test_notify_n`, `test_timeout`, `test_waitfor`, `test_waitfor_timeout`, `test_wait_result` | [`waits`]; a signal does not end a wait |
//! | `_TestEvent.test_event` | [`waits`] |
//! | `_TestEvent.test_repr` | does not apply: `Debug` shows no state, which might have to be asked for elsewhere |
//! | `_TestBarrier.test_barrier`, `test_barrier_10`, `test_wait_return`, `test_abort`, `test_reset`, `test_abort_and_reset`, `test_timeout`, `test_single_thread` | [`barriers`] |
//! | `test_action` | `sync_barrier.rs`: `the_last_at_a_barrier_acts`; without one, [`barriers`]: who is the leader does it |
//! | `test_default_timeout` | does not apply: each wait says how long |
//! | `test_thousand` | CPython leaves it out for managers; `tests/barrier` for those without |
//! | `_TestValue`, `_TestArray` | CPython has them for memory only (`tests/value.rs`, `tests/array.rs`); the parts on values in [`types`] |
//! | `_TestMyManager` | does not apply: no functions are registered; a type of one's own is a value, and functions are for processes and pools |
//! | `_TestRemoteManager` | [`addresses`]; a key is a password (`server.rs`: `who_does_not_know_the_password_is_refused`), and on one machine the user (`tests/names`) |
//! | `_TestManagerRestart` | [`addresses`] |
//! | `TestManagerExceptions` | does not apply: there are no cycles of references in errors |
//! | `TestInitializers.test_manager_initializer` | does not apply: there is no process to be initialized |
//! | `TestInitializers.test_pool_initializer` | [`types`] |

mod addresses;
mod barriers;
mod containers;
mod queues;
mod types;
mod waits;

use std::time::Duration;

/// Long enough to be seen, a guess.
const MOMENT: Duration = Duration::from_millis(5);
