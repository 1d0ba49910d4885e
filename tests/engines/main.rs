//! What a manager and its handles do, wherever the containers are: on this machine, and at a Redis server.

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "redis")]
#[path = "../common/redis.rs"]
mod redis;
#[cfg(feature = "redis")]
#[path = "../common/proxy.rs"]
mod proxy;
#[cfg(feature = "redis")]
#[path = "../common/tls.rs"]
mod tls;

mod atomic;
mod containers;
#[cfg(feature = "redis")]
mod cuts;
mod exact;
#[cfg(feature = "redis")]
mod examples;
mod handles;
#[cfg(feature = "redis")]
mod held_by_nobody;
#[cfg(feature = "redis")]
mod kill_loop;
mod names;
#[cfg(feature = "redis")]
mod over_tls;
mod python;
mod queue;
mod refusals;
#[cfg(feature = "redis")]
mod server;
#[cfg(feature = "redis")]
mod signals;
mod strangers;
mod sync;
mod sync_barrier;
mod sync_deaths;
#[cfg(feature = "redis")]
mod sync_server;

crossproc::test_support!();

/// Each function as a test of each engine; at a server, whose address ends so.
macro_rules! on_each_engine {
    ($($name:ident),* $(,)?) => {
        $crate::on_each_engine!(""; $($name),*);
    };
    ($options:literal; $($name:ident),* $(,)?) => {
        mod local {
            $(
                #[test]
                fn $name() {
                    let _watchdog = $crate::common::watchdog();
                    super::$name(&crossproc::Manager::start().unwrap());
                }
            )*
        }

        #[cfg(feature = "redis")]
        mod server {
            $(
                #[test]
                fn $name() {
                    let _watchdog = $crate::common::watchdog();
                    let server = $crate::redis::Server::start();
                    super::$name(&crossproc::Manager::connect(&format!("{}{}", server.url(), $options)).unwrap());
                }
            )*
        }
    };
}
use on_each_engine;
