//! Sealed memfds (memfd_create(2)): once sealed nobody can write, grow or shrink them, so a reader may trust their size.

use super::handle::OwnedHandle;
use crate::{Error, ErrorKind, seam};
use rustix::fs::{MemfdFlags, SealFlags};

const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// In what the kernel counts a file's memory.
const BLOCK: u64 = 512;

/// A memory object that holds `parts`, one behind the other, and can never change.
///
/// # Errors
///
/// Out of descriptors or memory.
///
/// # Crash
///
/// The object goes with its last handle, also one that lies in an unread message.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::memory;
///
/// let handle = memory::seal(&[b"ab", b"c"])?;
/// assert_eq!(memory::unseal(handle, 3)?, b"abc");
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn seal(parts: &[&[u8]]) -> Result<OwnedHandle, Error> {
    let failed = |e| Error::os("making a memory object for a large message", e);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory =
        seam::call("memfd_create", || rustix::fs::memfd_create("multiprocess-message", flags)).map_err(failed)?;
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let written = seam::retry("write", || rustix::io::write(&memory, rest)).map_err(failed)?;
            rest = &rest[written..];
        }
    }
    seam::call("fcntl(F_ADD_SEALS)", || rustix::fs::fcntl_add_seals(&memory, SEALS)).map_err(failed)?;
    Ok(memory)
}

/// The bytes of a memory object from another process, if it is sealed and has exactly `length` bytes.
///
/// # Errors
///
/// It is something else, or of another size; or there is no memory for a copy.
pub fn unseal(memory: OwnedHandle, length: u64) -> Result<Vec<u8>, Error> {
    let damaged = |what: &str| Error::new(ErrorKind::Damaged, format!("reading a large message: {what}"));
    let seals = seam::call("fcntl(F_GET_SEALS)", || rustix::fs::fcntl_get_seals(&memory))
        .map_err(|e| damaged("its memory is not a memory object").with_source(std::io::Error::from(e)))?;
    if !seals.contains(SEALS) {
        return Err(damaged("its memory is not sealed"));
    }
    let failed = |e| Error::os("reading a large message", e);
    let stat = seam::call("fstat", || rustix::fs::fstat(&memory)).map_err(failed)?;
    if u64::try_from(stat.st_size) != Ok(length) {
        return Err(damaged("its memory has another size than it says"));
    }
    // An object may be large without having any memory; the copy would have it. What we send was written, so it is there.
    if u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK) < length {
        return Err(damaged("its memory has holes"));
    }
    let length = usize::try_from(length).map_err(|_| damaged("it does not fit into memory"))?;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|e| Error::new(ErrorKind::TooLarge, "reading a large message").with_source(e))?;
    while bytes.len() < length {
        let at = bytes.len() as u64;
        let read = seam::retry("pread", || rustix::io::pread(&memory, rustix::buffer::spare_capacity(&mut bytes), at));
        if read.map_err(failed)? == 0 {
            return Err(damaged("its memory ended early"));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_sealed_or_of_another_size() {
        let open = rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert_eq!(unseal(open, 0).unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(unseal(seal(&[b"abc"]).unwrap(), u64::MAX).unwrap_err().kind(), ErrorKind::Damaged);
        let sparse = rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&sparse, 1 << 40).unwrap();
        rustix::fs::fcntl_add_seals(&sparse, SEALS).unwrap();
        assert_eq!(unseal(sparse, 1 << 40).unwrap_err().kind(), ErrorKind::Damaged);
        let (pipe, _) = std::io::pipe().unwrap();
        assert_eq!(unseal(pipe.into(), 3).unwrap_err().kind(), ErrorKind::Damaged);
    }
}
