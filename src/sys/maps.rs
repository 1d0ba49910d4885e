//! Which file is mapped where: proc(5), `/proc/thread-self/maps`.

use std::fs;

use super::memory::FileKey;
use crate::error::{Error, Result};

/// The file that is mapped at an address of this process, if one is.
pub(crate) fn file_at(address: usize) -> Result<Option<FileKey>> {
    let maps = fs::read_to_string("/proc/thread-self/maps")
        .map_err(|error| Error::os("read /proc/thread-self/maps", error))?;
    Ok(maps.lines().find_map(|line| file_of(line, address)))
}

/// `7f0c2a000000-7f0c2a001000 rw-s 00000000 00:1b 1234    /dev/shm/x`: from, to, ..., device, inode.
fn file_of(line: &str, address: usize) -> Option<FileKey> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let address_of = |text| usize::from_str_radix(text, 16).ok();
    if !(address_of(start)?..address_of(end)?).contains(&address) {
        return None;
    }
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let number_of = |text| u32::from_str_radix(text, 16).ok();
    let device = libc::makedev(number_of(major)?, number_of(minor)?);
    Some(FileKey::new(device, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_file_of_its_addresses() {
        let line = "7f0000000000-7f0000001000 rw-s 00000000 08:1b 1234    /dev/shm/a file 1-2";
        let file = Some(FileKey::new(libc::makedev(8, 27), 1234));
        let cases = [(0x7f00_0000_0000, file), (0x7f00_0000_0fff, file), (0x7f00_0000_1000, None), (0, None)];
        for (address, expected) in cases {
            assert_eq!(file_of(line, address), expected, "{address:#x}");
        }
        assert_eq!(file_of("nothing of this form", 0), None);
    }
}
