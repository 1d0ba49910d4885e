//! A program that never called `init`; this file must not use `test_support!`.

use crossproc::{Error, Process};

#[test]
fn spawn_without_init_is_an_error_that_names_the_missing_line() {
    let error = Process::spawn(|| (), ()).unwrap_err();
    assert_eq!(error, Error::NotInitialised);
    assert!(error.to_string().contains("`crossproc::init();`"), "{error}");
    assert!(error.to_string().contains("`crossproc::test_support!();`"), "{error}");
}

#[test]
fn init_in_a_test_panics_and_names_the_missing_line() {
    let elsewhere = || std::thread::spawn(crossproc::init).join().unwrap_err();
    for panic in [elsewhere(), elsewhere()] {
        let message = panic.downcast_ref::<&str>().unwrap();
        assert!(message.contains("`crossproc::test_support!();`"), "{message}");
    }
    assert_eq!(Process::spawn(|| (), ()).unwrap_err(), Error::NotInitialised);
}
