//! The canonical tar: which bytes each file takes, and the end.
//!
//! ```text
//! tar    = entry* zeros[1024]
//! entry  = header[512] content zeros up to the next multiple of 512
//! ```
//! The header is ustar's: mode 0644, owner and group 0 without names, time 0, regular file, no link name. These are
//! the bytes of `tar --format=ustar -b1 --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0644`.

use std::io::{self, Write};

use super::files::Files;

/// The unit of a tar.
pub(super) const BLOCK: usize = 512;
/// The end of a tar: two blocks of zeros.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Writes the whole tar.
pub(super) fn write_tar(files: &Files, out: &mut dyn Write) -> io::Result<()> {
    for (name, content) in files.iter() {
        out.write_all(&header(name, content.len() as u64))?;
        out.write_all(content)?;
        out.write_all(&END[..padding(content.len())])?;
    }
    out.write_all(&END)
}

/// The number of zeros after a content of that length.
pub(super) fn padding(content_bytes: usize) -> usize {
    content_bytes.next_multiple_of(BLOCK) - content_bytes
}

/// The header of a file; the name has passed `check_name`, and sizes are below 8 GiB by the limits.
pub(super) fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = tar::Header::new_ustar();
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.name[..name.len()].copy_from_slice(name.as_bytes());
        ustar.mode = *b"0000644\0";
        ustar.uid = *b"0000000\0";
        ustar.gid = *b"0000000\0";
        ustar.mtime = *b"00000000000\0";
        ustar.typeflag = *b"0";
        ustar.dev_major = *b"0000000\0";
        ustar.dev_minor = *b"0000000\0";
        ustar.size[..11].copy_from_slice(format!("{size:011o}").as_bytes());
        ustar.cksum = *b"        ";
    }
    // POSIX wants six digits, a zero and a space here; the usual helper writes seven digits.
    let sum: u32 = header.as_bytes().iter().map(|&byte| u32::from(byte)).sum();
    let mut bytes = *header.as_bytes();
    bytes[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    bytes[154..156].copy_from_slice(b"\0 ");
    bytes
}
