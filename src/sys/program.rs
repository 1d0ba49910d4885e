//! The program that runs: which build it is, and where its functions are.
//!
//! A function travels to another process of the same program as its distance from the address at which the program was
//! loaded. That is worth something only if the other process runs the very same build, so the build id travels along:
//! the note that the linker puts into an executable, found in memory through dl_iterate_phdr(3) in about a
//! microsecond. A program linked without one is recognised by its file and by the place of a function of ours.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs, slice};

use serde::{Deserialize, Serialize};

use super::fork;
use crate::error::{Error, Result};

/// What two processes compare to know that they run the same build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Build {
    /// The linker's build id.
    Id(Vec<u8>),
    /// The executable file, and how far [`this`] lies from the start of the program.
    File { device: u64, inode: u64, size: u64, modified: (i64, i64), anchor: u64 },
}

pub(crate) struct Program {
    pub(crate) build: Build,
    /// What the loader added to the addresses in the file.
    base: usize,
    /// The executable parts, as addresses of this process.
    text: Vec<Range<usize>>,
}

/// The program of this process.
pub(crate) fn this() -> Result<&'static Program> {
    static THIS: OnceLock<Program> = OnceLock::new();
    if let Some(program) = THIS.get() {
        return Ok(program);
    }
    let program = look()?;
    Ok(fork::fill(&THIS, program))
}

/// Has `ps` and `top` show this process by the name by which it was started, and not by that of the link that was executed.
pub(crate) fn show_name() {
    let started_as = env::args_os().next().map(PathBuf::from);
    if let Some(name) = started_as.as_deref().and_then(Path::file_name) {
        // Where there is no such file, nobody can look.
        let _ = fs::write("/proc/self/comm", name.as_encoded_bytes());
    }
}

/// The build of this program as other machines know it: 32 hexadecimal characters, from the linker's build id or, without one, from the
/// executable.
#[cfg(feature = "redis")]
pub(crate) fn build_name() -> Result<String> {
    let hash = match &this()?.build {
        Build::Id(id) => xxhash_rust::xxh3::xxh3_128(id),
        Build::File { .. } => {
            let program = fs::read("/proc/self/exe").map_err(|error| Error::os("read /proc/self/exe", error))?;
            xxhash_rust::xxh3::xxh3_128(&program)
        }
    };
    Ok(format!("{hash:032x}"))
}

/// Whether exec gave this process privileges that the one before had not: set-user-id, file capabilities and the like.
pub(crate) fn privileged_by_exec() -> bool {
    // SAFETY: reads a word that the kernel left at the start of the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether what the calling thread executes runs with other privileges than it was started with.
pub(crate) fn has_privileges_of_another() -> bool {
    // SAFETY: these have no preconditions and never fail.
    let [user, effective_user] = [unsafe { libc::getuid() }, unsafe { libc::geteuid() }];
    // SAFETY: as above.
    let [group, effective_group] = [unsafe { libc::getgid() }, unsafe { libc::getegid() }];
    user != effective_user || group != effective_group || privileged_by_exec()
}

impl Program {
    /// Where the function at `address` is, as a number that every process of this build understands; `None` if it is
    /// not part of the program's executable.
    pub(crate) fn offset_of(&self, address: usize) -> Option<u64> {
        self.contains(address).then(|| address.wrapping_sub(self.base) as u64)
    }

    /// The address that [`offset_of`](Self::offset_of) was asked about, in this process; `None` if it is not one of the
    /// program's executable bytes.
    pub(crate) fn address_of(&self, offset: u64) -> Option<usize> {
        let address = self.base.wrapping_add(usize::try_from(offset).ok()?);
        self.contains(address).then_some(address)
    }

    fn contains(&self, address: usize) -> bool {
        self.text.iter().any(|text| text.contains(&address))
    }
}

fn look() -> Result<Program> {
    let mut headers = Headers::default();
    // SAFETY: `read_headers` fits the signature, and takes the pointer for the `Headers` that it is; both live until
    // the call returns.
    unsafe { libc::dl_iterate_phdr(Some(read_headers), (&raw mut headers).cast()) };
    let Headers { base, text, build_id, interpreted } = headers;
    // The loader was executed, with the program as its argument: a child would execute the loader, with the program's.
    // SAFETY: reads a word that the kernel left at the start of the process.
    if interpreted && unsafe { libc::getauxval(libc::AT_BASE) } == 0 {
        return Err(Error::Unsupported { what: "a program started through the dynamic loader".into() });
    }
    if text.is_empty() {
        return Err(Error::Unsupported { what: "a program without program headers".into() });
    }
    let build = match build_id {
        Some(id) => Build::Id(id),
        None => {
            let file = fs::metadata("/proc/thread-self/exe")
                .map_err(|error| Error::os("look at /proc/thread-self/exe", error))?;
            Build::File {
                device: file.dev(),
                inode: file.ino(),
                size: file.size(),
                modified: (file.mtime(), file.mtime_nsec()),
                anchor: (this as fn() -> Result<&'static Program> as usize).wrapping_sub(base) as u64,
            }
        }
    };
    Ok(Program { build, base, text })
}

#[derive(Default)]
struct Headers {
    base: usize,
    text: Vec<Range<usize>>,
    build_id: Option<Vec<u8>>,
    /// Whether it names a loader to start it.
    interpreted: bool,
}

/// Called with the program itself first (dl_iterate_phdr(3)); the libraries are of no interest.
extern "C" fn read_headers(info: *mut libc::dl_phdr_info, _size: usize, headers: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid record, which lives during this call.
    let info = unsafe { &*info };
    // SAFETY: `look` passed its `Headers`, which nobody else touches meanwhile.
    let headers = unsafe { &mut *headers.cast::<Headers>() };
    // SAFETY: the loader keeps the program's `dlpi_phnum` headers at `dlpi_phdr` for the life of the process.
    let segments = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    headers.base = info.dlpi_addr as usize;
    let range = |segment: &libc::Elf64_Phdr| {
        let start = headers.base.wrapping_add(segment.p_vaddr as usize);
        start..start.saturating_add(segment.p_memsz as usize)
    };
    let loaded = |part: &Range<usize>| {
        segments.iter().filter(|segment| segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_R != 0).any(
            |segment| {
                let whole = range(segment);
                whole.start <= part.start && part.end <= whole.end
            },
        )
    };
    headers.build_id = segments
        .iter()
        .filter(|segment| segment.p_type == libc::PT_NOTE)
        .map(|segment| (range(segment), segment.p_align))
        .filter(|(notes, _)| loaded(notes))
        .find_map(|(notes, align)| {
            // SAFETY: a readable segment of the program contains the range, and nobody writes into notes.
            let notes = unsafe { slice::from_raw_parts(notes.start as *const u8, notes.len()) };
            build_id_in(notes, if align == 8 { 8 } else { 4 })
        });
    headers.interpreted = segments.iter().any(|segment| segment.p_type == libc::PT_INTERP);
    headers.text = segments
        .iter()
        .filter(|segment| segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_X != 0)
        .map(range)
        .collect();
    1
}

/// Looks for the build id among notes: each is the lengths of name and description and a type, three words, then the
/// name and the description, both padded to `align` (elf(5)).
fn build_id_in(mut notes: &[u8], align: usize) -> Option<Vec<u8>> {
    const NT_GNU_BUILD_ID: u32 = 3;
    loop {
        let (header, rest) = notes.split_first_chunk::<12>()?;
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (name_length, length, kind) = (word(0) as usize, word(4) as usize, word(8));
        let start = (12 + name_length).next_multiple_of(align) - 12;
        let end = start.checked_add(length)?;
        if kind == NT_GNU_BUILD_ID && rest.get(..name_length) == Some(b"GNU\0") && length > 0 {
            return rest.get(start..end).map(<[u8]>::to_vec);
        }
        notes = rest.get((12 + end).next_multiple_of(align) - 12..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((description.len() as u32).to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        for part in [name, description] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn build_id_is_found_behind_other_notes() {
        let notes = [note(b"stapsdt\0", 3, &[9; 5]), note(b"GNU\0", 1, &[0; 16]), note(b"GNU\0", 3, &[7; 20])].concat();
        assert_eq!(build_id_in(&notes, 4), Some(vec![7; 20]));
    }

    #[test]
    fn truncated_notes_hold_no_build_id() {
        let whole = note(b"GNU\0", 3, &[7; 20]);
        for length in 0..whole.len() {
            assert_eq!(build_id_in(&whole[..length], 4), None, "{length} bytes");
        }
        let endless = [u32::MAX.to_le_bytes(), u32::MAX.to_le_bytes(), 3_u32.to_le_bytes()].concat();
        assert_eq!(build_id_in(&endless, 4), None);
    }

    #[test]
    fn only_functions_of_the_executable_have_an_offset() {
        let program = this().unwrap();
        let inside = this as fn() -> Result<&'static Program> as usize;
        let offset = program.offset_of(inside).unwrap();
        assert_eq!(program.address_of(offset), Some(inside));
        assert_eq!(program.offset_of(libc::getpid as unsafe extern "C" fn() -> libc::pid_t as usize), None);
        assert_eq!(program.address_of(u64::MAX / 2), None);
    }
}
