//! A program that never called `init`; this file must not use `test_support!`.

use crossproc::{Error, Process};

#[test]
fn spawn_without_init_is_an_error_that_names_the_missing_line() {
    let error = Process::spawn(|| (), ()).unwrap_err();
    assert_eq!(error, Error::NotInitialised);
    assert!(error.to_string().contains("`crossproc::init();`"), "{error}");
    assert!(error.to_string().contains("`crossproc::test_support!();`"), "{error}");
}
