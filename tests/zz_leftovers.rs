//! What the tests before this one have left behind, as the last test binary to run: nothing.

use std::fs;
use std::path::PathBuf;

/// Executables of the same build as this test: other test binaries and their children.
fn is_of_this_build(executable: &PathBuf) -> bool {
    let own = std::env::current_exe().unwrap();
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
