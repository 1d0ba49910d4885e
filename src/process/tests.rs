//! Handles in flight, with a handle that is nothing but a descriptor.

use std::fs::File;
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Process;
use crate::error::Error;
use crate::segment::{Segment, handle};

crate::test_support!();

#[derive(Clone)]
struct Handle(Arc<Segment>);

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0, 0, serializer)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        handle::deserialize(deserializer, |segment, _| Ok(Handle(segment)))
    }
}

impl Handle {
    fn new(descriptor: impl Into<std::os::fd::OwnedFd>) -> Self {
        Handle(Segment::attach(descriptor.into()).unwrap())
    }

    fn file(&self) -> File {
        File::from(self.0.as_fd().try_clone_to_owned().unwrap())
    }
}

fn descriptors() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !std::fs::read_link(entry.path()).is_ok_and(|target| target.ends_with("fd")))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn handles_travel_at_any_depth_and_bring_nothing_else() {
    type Deep = Vec<Option<(u8, Handle)>>;
    let (mut reader, writer) = pipe().unwrap();
    let handle = Handle::new(writer);
    let deep: Deep = vec![None, Some((1, handle.clone())), Some((2, handle.clone()))];
    let write = |deep: Deep, again: Handle| {
        for (number, handle) in deep.iter().flatten() {
            assert!(Arc::ptr_eq(&handle.0, &again.0));
            handle.file().write_all(&[*number]).unwrap();
        }
        descriptors()
    };
    let found = Process::spawn(write, (&deep, &handle)).unwrap().join().unwrap();
    assert_eq!(found, ["0", "1", "2", "3", "4"]);
    drop((deep, handle));
    let mut written = Vec::new();
    reader.read_to_end(&mut written).unwrap();
    assert_eq!(written, [1, 2]);
}

#[test]
fn more_handles_travel_than_one_message_holds() {
    let null = || Handle::new(File::open("/dev/null").unwrap());
    let handles: Vec<_> = (0..600).map(|_| null()).collect();
    let count = |handles: Vec<Handle>, text: String| (handles.len(), descriptors().len(), text.len());
    let text = "x".repeat(1 << 20);
    assert_eq!(Process::spawn(count, (&handles, &text)).unwrap().join().unwrap(), (600, 604, 1 << 20));
}

#[test]
fn handles_come_back_in_results() {
    let make = || {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"from the child").unwrap();
        (Some(Handle::new(reader)), vec![7_u8; 1 << 20])
    };
    let (handle, bytes) = Process::spawn(make, ()).unwrap().join().unwrap();
    let mut text = String::new();
    handle.unwrap().file().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), bytes.len()), ("from the child", 1 << 20));
}

#[test]
fn too_many_handles_for_this_process_are_an_error() {
    // In a process of its own, which has used up its descriptors before the handles arrive.
    let limited = || {
        let make = || (0..60).map(|_| Handle::new(File::open("/dev/null").unwrap())).collect::<Vec<_>>();
        let process = Process::spawn(make, ()).unwrap();
        process.wait();
        let hold: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).take(100_000).collect();
        let error = process.join().map(drop).unwrap_err();
        drop(hold);
        error.to_string()
    };
    let error = Process::spawn(limited, ()).unwrap().join().unwrap();
    assert!(error.ends_with("cannot receive the answer of a process"), "{error}");
}

#[test]
fn a_handle_outside_a_transfer_is_an_error() {
    let handle = Handle::new(File::open("/dev/null").unwrap());
    let refused = postcard::to_stdvec(&handle).unwrap_err();
    assert_eq!(refused, postcard::Error::SerdeSerCustom);
    let decoded: Result<Handle, Error> = handle::unpack("a handle", &[5, 0], Vec::new());
    assert!(matches!(decoded, Err(Error::Decode { .. })));
}
