//! Copying bytes that a peer may write meanwhile.
//!
//! Rust knows no copy that may race with another process. So the copying is done by instructions of which the compiler
//! knows nothing: what comes out may be anything, but it is a copy, taken once.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// Copies `length` bytes, which others may write meanwhile, or read.
///
/// # Safety
///
/// They can be read at `from` and written at `to`, and the two do not overlap.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) unsafe fn racing(from: *const u8, to: *mut u8, length: usize) {
    /// From here on, one instruction is faster than block by block: a round trip of 1 KiB took 1.6 us with it, and 1.3
    /// without.
    const HUGE: usize = 4096;
    /// Up to here, word by word. A guess.
    const WORDS: usize = 129;

    // In each case but the first and the last, the last piece overlaps the one before it.
    match length {
        // SAFETY: as the caller promises.
        HUGE.. => unsafe { x86::string(from, to, length) },
        WORDS.. => {
            let last = length - 64;
            for at in (0..last).step_by(64).chain([last]) {
                // SAFETY: the block at `at` lies within `length`.
                unsafe { x86::block(from.wrapping_add(at), to.wrapping_add(at)) };
            }
        }
        // Not by vectors: a word that its owner has just written is then still on its way to the cache, from where only loads of
        // the same size get it at once. A stream of 64 bytes in words made 25 M/s by vectors.
        8.. => {
            let last = length - 8;
            for at in (0..last).step_by(8).chain([last]) {
                // SAFETY: the word at `at` lies within `length`.
                unsafe { x86::word(from.wrapping_add(at), to.wrapping_add(at)) };
            }
        }
        _ => {
            for at in 0..length {
                // SAFETY: `at` is below `length`.
                let byte = unsafe { from.wrapping_add(at).read_volatile() };
                // SAFETY: as above.
                unsafe { to.wrapping_add(at).write_volatile(byte) };
            }
        }
    }
}

/// Copies `length` bytes, which others may write meanwhile, or read.
///
/// # Safety
///
/// They can be read at `from` and written at `to`, and the two do not overlap.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) unsafe fn racing(from: *const u8, to: *mut u8, length: usize) {
    let words = length / 8;
    let (source, target) = (from.cast::<[u8; 8]>(), to.cast::<[u8; 8]>()); // of any alignment
    for at in 0..words {
        // SAFETY: the word lies within `length`.
        let word = unsafe { source.wrapping_add(at).read_volatile() };
        // SAFETY: as above.
        unsafe { target.wrapping_add(at).write_volatile(word) };
    }
    for at in 8 * words..length {
        // SAFETY: `at` is below `length`.
        let byte = unsafe { from.wrapping_add(at).read_volatile() };
        // SAFETY: as above.
        unsafe { to.wrapping_add(at).write_volatile(byte) };
    }
}

/// Writes a value that others may read meanwhile, word by word, from wherever the compiler has it: a copy of its bytes by
/// [`racing`] has it written to the stack first, and waits there until the processor has done so.
///
/// # Safety
///
/// Its bytes can be written at `to`, and the two do not overlap.
#[inline(always)]
pub(crate) unsafe fn write_value<T: Copy>(value: &T, to: *mut u8) {
    let from = ptr::from_ref(value).cast::<u8>();
    let words = size_of::<T>() / size_of::<Word>();
    for at in (0..words).map(|word| word * size_of::<Word>()) {
        // SAFETY: the word lies within the value.
        let word = unsafe { from.wrapping_add(at).cast::<Word>().read() };
        // SAFETY: as the caller promises.
        unsafe { to.wrapping_add(at).cast::<Word>().write_volatile(word) };
    }
    for at in words * size_of::<Word>()..size_of::<T>() {
        // SAFETY: the byte lies within the value.
        let byte = unsafe { from.wrapping_add(at).cast::<MaybeUninit<u8>>().read() };
        // SAFETY: as the caller promises.
        unsafe { to.wrapping_add(at).cast::<MaybeUninit<u8>>().write_volatile(byte) };
    }
}

/// Eight bytes, of any alignment and any history.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Word(MaybeUninit<u64>);

/// Each copies as many bytes as its name says; `from` and `to` are as for [`racing`].
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    #[inline]
    pub(super) unsafe fn word(from: *const u8, to: *mut u8) {
        // SAFETY: as the caller promises.
        unsafe {
            asm!(
                "mov {word}, [{from}]",
                "mov [{to}], {word}",
                from = in(reg) from,
                to = in(reg) to,
                word = out(reg) _,
                options(nostack, preserves_flags)
            );
        }
    }

    #[inline]
    pub(super) unsafe fn block(from: *const u8, to: *mut u8) {
        // SAFETY: as the caller promises.
        unsafe {
            asm!(
                "movups {a}, [{from}]",
                "movups {b}, [{from} + 16]",
                "movups {c}, [{from} + 32]",
                "movups {d}, [{from} + 48]",
                "movups [{to}], {a}",
                "movups [{to} + 16], {b}",
                "movups [{to} + 32], {c}",
                "movups [{to} + 48], {d}",
                from = in(reg) from,
                to = in(reg) to,
                a = out(xmm_reg) _,
                b = out(xmm_reg) _,
                c = out(xmm_reg) _,
                d = out(xmm_reg) _,
                options(nostack, preserves_flags)
            );
        }
    }

    #[inline]
    pub(super) unsafe fn string(from: *const u8, to: *mut u8, length: usize) {
        // SAFETY: as the caller promises; the direction flag is clear, as everywhere in Rust.
        unsafe {
            asm!(
                "rep movsb",
                inout("rcx") length => _,
                inout("rdi") to => _,
                inout("rsi") from => _,
                options(nostack, preserves_flags)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_the_same_and_nothing_beside_it_changes() {
        for length in (0..300).chain([1023, 1024, 1025, 4095, 4096, 4097, 5000]) {
            let source: Vec<u8> = (0..length).map(|index| (index * 7 + length) as u8).collect();
            let mut target = vec![0xEE; length + 6];
            // SAFETY: the target has 3 bytes on either side of so many.
            unsafe { racing(source.as_ptr(), target.as_mut_ptr().wrapping_add(3), length) };
            let expected = [&[0xEE; 3][..], &source, &[0xEE; 3]].concat();
            assert_eq!(target, expected, "{length} bytes");
        }
    }

    #[test]
    fn a_value_is_written_whole_and_nothing_beside_it_changes() {
        let value: [u8; 13] = std::array::from_fn(|index| index as u8 + 1);
        let mut target = [0xEE; 19];
        // SAFETY: the target has 3 bytes on either side of the value.
        unsafe { write_value(&value, target.as_mut_ptr().wrapping_add(3)) };
        assert_eq!(target[..], [&[0xEE; 3][..], &value, &[0xEE; 3]].concat());
    }
}
