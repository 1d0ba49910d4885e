//! A peer that writes into live shared memory, between the operations on it and during them.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// Where the body of the first object of a segment begins: behind the header, the places of peers, and its own header.
pub const BODY: u64 = 128 + 256 * 8 + 128;

/// A word that the peer writes.
#[derive(Clone, Copy)]
pub struct Word {
    pub offset: u64,
    pub content: u64,
}

impl Word {
    pub fn write(self, file: &File) {
        // Behind the end of the file it is refused: that is sealed.
        let _ = file.write_at(&self.content.to_le_bytes(), self.offset);
    }
}

/// Calls `work` with the memory behind a descriptor, into which the peer writes `meanwhile` again and again.
pub fn scribbled(descriptor: &impl AsFd, meanwhile: &[Word], work: impl FnOnce(&File)) {
    let path = format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd());
    let file = File::options().read(true).write(true).open(path).expect("a memory file can be opened again");
    if meanwhile.is_empty() {
        return work(&file);
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let scribbler = scope.spawn(|| {
            while !is_over.load(Relaxed) {
                meanwhile.iter().for_each(|word| word.write(&file));
            }
        });
        // Also when the work panics: else the panic would wait for the scribbler.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Relaxed);
            }
        }
        let over = Over(&is_over);
        work(&file);
        drop(over);
        // The scope alone returns before the thread's own memory is freed, which looks like a leak.
        scribbler.join().expect("writing does not panic");
    });
}
