//! The layering of `src/`: a file uses only what lies below it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::rust_files;

/// Lowest first, as `src/lib.rs` lists them. `error` and `fault` may be used everywhere.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    let mut layers = Vec::new();
    for line in lib.lines() {
        let name =
            line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
        match name {
            Some("error" | "fault") | None => {}
            Some(name) if layers.iter().any(|known| known == name) => {}
            Some(name) => layers.push(name.to_owned()),
        }
    }
    layers
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules that a text reaches through `crate::`, doc comments and macros' bodies aside.
fn used_modules(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let after_crate = code.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>());
    after_crate.map(|path| path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn the_layers_are_listed_in_order() {
    let expected = [
        "sys", "word", "ring", "segment", "heap", "cell", "watch", "sync", "message", "queue", "pipe", "process",
        "remote", "pool", "managed", "inspect",
    ];
    assert_eq!(layers(), expected);
}

#[test]
fn no_file_reaches_up() {
    let layers = layers();
    let rank = |name: &str| layers.iter().position(|layer| layer == name);
    let mut checked = 0;
    for file in rust_files(&source()) {
        let inside = file.strip_prefix(source()).unwrap();
        let top = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let own = match top.as_str() {
            "lib" | "bin" => continue,
            // Used by all, so they may use `sys` at most.
            "error" | "fault" => 0,
            layer => rank(layer).unwrap_or_else(|| panic!("{} belongs to no layer", inside.display())),
        };
        for used in used_modules(&fs::read_to_string(&file).unwrap()) {
            assert!(!used.is_empty(), "{} groups what it uses: one path each", inside.display());
            if let Some(used_rank) = rank(&used) {
                assert!(used_rank <= own, "{} uses {used}, which lies above it", inside.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "only {checked} uses found: the reader of this test is broken");
}

/// Everything that talks to the kernel, or turns an offset into a reference, says so in its own file.
#[test]
fn unsafe_code_is_where_it_may_be() {
    let allowed = |path: &str| {
        ["sys/", "cell/"].iter().any(|folder| path.starts_with(folder))
            || [
                "heap/body.rs",
                "pipe/body.rs",
                "queue/cells.rs",
                "queue/encoded/body.rs",
                "queue/plain/mod.rs",
                "queue/plain/slot.rs",
                "segment/place.rs",
                "segment/region.rs",
                "segment/shared.rs",
                "segment/arena.rs",
                "sync/barrier/mod.rs",
                "sync/condvar.rs",
                "sync/event.rs",
                "sync/event_at.rs",
                "sync/lock.rs",
                "sync/rlock.rs",
                "sync/rwlock/guard.rs",
                "sync/rwlock/mod.rs",
                "sync/semaphore/placed.rs",
                "process/fork.rs",
                "process/test_support.rs",
                "process/trampoline.rs",
            ]
            .contains(&path)
    };
    for file in rust_files(&source()) {
        let path = file.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            allowed(&path) || !text.contains("allow(unsafe_code)"),
            "{path} allows unsafe code and is not one of those that may"
        );
    }
}
