//! Copying from and to memory that others change meanwhile, at the speed of an ordinary copy; see `copying.rs` of the ring in core.

use multiprocess_core::ring;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU8;

/// Copies `from` into `into`, which is as long.
pub(crate) fn load_bytes(from: &[AtomicU8], into: &mut [u8]) {
    let into: *mut [u8] = into;
    // SAFETY: the same bytes, for as long; all that is done with them is to write initialised ones.
    copy_out(from, unsafe { &mut *(into as *mut [MaybeUninit<u8>]) });
}

/// Appends `from` to `into`, which has room for so much.
pub(crate) fn append_bytes(from: &[AtomicU8], into: &mut Vec<u8>) {
    let length = into.len() + from.len();
    copy_out(from, &mut into.spare_capacity_mut()[..from.len()]);
    // SAFETY: the bytes up to there were initialised before, or just now, and lie within the capacity.
    unsafe { into.set_len(length) };
}

fn copy_out(from: &[AtomicU8], into: &mut [MaybeUninit<u8>]) {
    assert_eq!(from.len(), into.len(), "as many bytes as there is room for");
    // SAFETY: so many bytes can be read there, and are seen as atomics by everybody.
    unsafe { ring::load_bytes(from.as_ptr().cast(), into) };
}

/// Copies `bytes` into `to`, which is as long.
pub(crate) fn store_bytes(to: &[AtomicU8], bytes: &[u8]) {
    assert_eq!(to.len(), bytes.len(), "as many bytes as there is room for");
    // SAFETY: so many bytes can be written there, and are seen as atomics by everybody.
    unsafe { ring::store_bytes(to.as_ptr().cast_mut().cast(), bytes) };
}
