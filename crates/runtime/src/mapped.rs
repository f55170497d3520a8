//! The kernel's BTF as the kernel has it in memory.
//!
//! What must hold: only files of sysfs are mapped, whose contents nothing changes or cuts short while they exist; a map of
//! another file could change under its reader, or kill it.

use bpfquery_host::Lent;
use nix::sys::statfs::{SYSFS_MAGIC, fstatfs};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

/// A mapping, which ends with it.
struct Mapped {
    start: *const u8,
    len: usize,
}

// SAFETY: nothing writes to the mapping, so that all threads may read it; nothing of it belongs to one thread.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `map` made the mapping of so many bytes, readable, and it lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody can hold a reference into it now.
        unsafe { libc::munmap(self.start.cast_mut().cast(), self.len) };
    }
}

/// Maps a file of sysfs for reading; `None` where the kernel does not offer that (BTF: since 6.16), or it is no such file.
pub fn map(path: &Path) -> Option<Lent> {
    let file = File::open(path).ok()?;
    if fstatfs(&file).ok()?.filesystem_type() != SYSFS_MAGIC {
        return None;
    }
    let len = usize::try_from(file.metadata().ok()?.len()).ok().filter(|len| *len > 0)?;
    // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
    let start =
        unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    Some(Box::new(Mapped { start: start.cast_const().cast(), len }))
}

#[cfg(test)]
mod tests {
    use super::map;
    use std::path::Path;

    #[test]
    fn what_is_mapped_is_what_is_read() {
        let path = Path::new("/sys/kernel/btf/vmlinux");
        // Kernels before 6.16 do not map it.
        if let Some(mapped) = map(path) {
            assert!((*mapped).as_ref() == std::fs::read(path).unwrap());
        }
        assert!(map(Path::new("/proc/self/exe")).is_none());
        assert!(map(Path::new("/nowhere")).is_none());
    }
}
