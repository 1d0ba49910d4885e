//! Somebody is killed at each crash point of the package.
//!
//! Looks at sources alone, and so in every build.

mod common;

use std::fs;
use std::path::Path;

use common::rust_files;

/// The names in `crash_point!`s of a file.
fn points_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("crash_point!(\"").skip(1).filter_map(|rest| rest.split('"').next())
}

/// The code of a file, without what its comments say.
fn code_in(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect()
}

/// Points stand in lists as often as in `dies_at!` itself: a name in any test that kills counts.
#[test]
fn somebody_dies_at_every_point() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = package.join("tests");
    let mut tests = rust_files(&folder);
    tests.retain(|test| test.strip_prefix(&folder).unwrap().to_string_lossy().starts_with("crash"));
    let tests = tests.iter().map(|test| code_in(&fs::read_to_string(test).unwrap()));
    let code: String = tests.filter(|code| code.contains("dies_at!(") || code.contains("crash_at")).collect();
    let mut found = 0;
    for file in rust_files(&package.join("src")) {
        for point in points_in(&fs::read_to_string(&file).unwrap()) {
            let is_used = code.contains(&format!("\"{point}\""));
            assert!(is_used, "{}: nobody dies at {point}", file.display());
            found += 1;
        }
    }
    assert!(found > 30, "only {found} points: the reader of this test is broken");
}
