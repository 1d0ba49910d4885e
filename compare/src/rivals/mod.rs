//! Whom crossproc is compared with, each as its documentation and its own benches use it.

#[cfg(boost)]
pub(crate) mod boost;
pub(crate) mod crossbeam;
pub(crate) mod iceoryx;
pub(crate) mod ipc_channel;
pub(crate) mod kernel_pipe;
pub(crate) mod raw_sync;
pub(crate) mod rtrb;
pub(crate) mod unix_socket;
