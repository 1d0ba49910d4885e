//! What the tests before this one have left behind, as the last test binary to run: nothing.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Executables of the same build as this test: other test binaries and their children.
fn is_of_this_build(executable: &PathBuf) -> bool {
    let own = env::current_exe().unwrap();
    let folder = own.parent().and_then(|deps| deps.parent()).unwrap();
    executable != &own && executable.starts_with(folder)
}

#[test]
fn no_process_is_left() {
    let left: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let process = entry.ok()?.path();
            let executable = fs::read_link(process.join("exe")).ok()?;
            is_of_this_build(&executable).then_some((process, executable))
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn no_zombie_and_no_child_is_left() {
    let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    assert_eq!(children, "");
}

#[test]
fn no_file_is_left_in_shared_memory() {
    let left: Vec<_> = fs::read_dir("/dev/shm")
        .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    let ours: Vec<&String> = left.iter().filter(|name| name.contains("crossproc")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

/// Whether a folder is a server's that a test has started whose process has ended since. Its name has the process in it.
fn is_left_by_a_test(folder: &str) -> bool {
    let rest = ["crossproc-redis-", "crossproc-parrot-", "crossproc-connect-"]
        .iter()
        .find_map(|prefix| folder.strip_prefix(prefix));
    rest.and_then(|rest| rest.split('-').next()).is_some_and(|process| !Path::new("/proc").join(process).exists())
}

#[test]
fn no_folder_of_a_server_is_left() {
    let left: Vec<_> = fs::read_dir(env::temp_dir())
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|folder| is_left_by_a_test(folder))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Which programs tests start as servers.
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

/// Each runs in its folder, also when that has been removed.
#[test]
fn no_server_is_left() {
    let left: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let process = entry.ok()?.path();
            let name = fs::read_to_string(process.join("comm")).ok()?;
            let folder = fs::read_link(process.join("cwd")).ok()?;
            let is_left = is_left_by_a_test(folder.strip_prefix(env::temp_dir()).ok()?.to_str()?);
            (is_left && SERVERS.iter().any(|server| name.starts_with(server))).then_some((process, folder))
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
