//! Which pages of the program and its libraries a clone finds in place.
//!
//! A page that is missing is fetched when it is touched, and a clone that ran an empty function fetched about fifty. There are
//! two kinds. Its *code*: fork(2) copies no page table of a part of a file that
//! nobody has written to, so every clone would look up its code anew. Its *data*: shared with its maker until it writes to them.

use rustix::fs::{Mode, OFlags};
use rustix::mm::Advice;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;

/// Larger code is the program's own, and a child may never reach most of it.
const CODE_MAX: usize = 1 << 20;
/// Larger data likewise.
const DATA_MAX: usize = 128 << 10;

/// Has clones of this process find the code in place that it has in place now.
///
/// The kernel copies the page table of a part that holds a page of the process's own. So one byte of each part is written as
/// it is, through `/proc/self/mem`, which may write to code as a debugger does (proc_pid_mem(5)). Where that is refused, clones
/// are as right and a little slower.
pub fn keep_code() {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let Ok(memory) = rustix::fs::open(c"/proc/self/mem", flags, Mode::empty()) else { return };
    for part in parts().iter().filter(|part| part.is_code) {
        let mut byte = [0];
        let at = part.place.start as u64;
        if rustix::io::pread(&memory, &mut byte, at) == Ok(1) {
            let _ = rustix::io::pwrite(&memory, &byte, at);
        }
        if part.place.len() <= CODE_MAX {
            advise(&part.place, Advice::LinuxPopulateRead);
        }
    }
    // What ends a process stands in the C library, which is too large to be taken as a whole.
    for function in
        [libc::exit as *const u8, libc::fflush as *const u8, libc::signal as *const u8, libc::dup2 as *const u8]
    {
        // SAFETY: the first byte of a function can be read.
        std::hint::black_box(unsafe { function.read_volatile() });
    }
}

/// Has this process's own copies made now, while nobody waits for it, of the data that every process writes to when it lives and
/// ends.
pub fn warm_up() {
    for part in parts().iter().filter(|part| !part.is_code && part.place.len() <= DATA_MAX) {
        advise(&part.place, Advice::LinuxPopulateWrite);
    }
}

/// A part of a loaded file, in whole pages.
struct Part {
    place: Range<usize>,
    is_code: bool,
}

/// Found once: a clone finds the list of its maker.
fn parts() -> &'static [Part] {
    static PARTS: OnceLock<Vec<Part>> = OnceLock::new();
    PARTS.get_or_init(|| {
        let mut parts: Vec<Part> = Vec::with_capacity(32);
        // SAFETY: the callback gets the pointer given here, to a value that outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(add_parts), (&raw mut parts).cast()) };
        parts
    })
}

unsafe extern "C" fn add_parts(info: *mut libc::dl_phdr_info, _size: usize, parts: *mut c_void) -> c_int {
    // SAFETY: the loader passes a valid description.
    let info = unsafe { &*info };
    // SAFETY: the caller of dl_iterate_phdr passed a pointer to its list, which nobody else uses meanwhile.
    let parts = unsafe { &mut *parts.cast::<Vec<Part>>() };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the description says that this many headers lie there.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let page = rustix::param::page_size();
    let start_of = |header: &libc::Elf64_Phdr| info.dlpi_addr as usize + header.p_vaddr as usize;
    let end_of = |header: &libc::Elf64_Phdr| start_of(header) + header.p_memsz as usize;
    // What was made read-only after the relocation stands at the beginning of the data.
    let constant = headers.iter().find(|header| header.p_type == libc::PT_GNU_RELRO).map_or(0, end_of);
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let is_code = header.p_flags & libc::PF_X != 0;
        if !is_code && header.p_flags & libc::PF_W == 0 {
            continue;
        }
        let start = if is_code { start_of(header) } else { start_of(header).max(constant) };
        // What lies behind the file's own data begins as zeros, and most of it stays so.
        let filled = start_of(header) + header.p_filesz as usize;
        let place = start & !(page - 1)..filled.next_multiple_of(page);
        if !place.is_empty() {
            parts.push(Part { place, is_code });
        }
    }
    0
}

fn advise(place: &Range<usize>, advice: Advice) {
    // SAFETY: this advice changes nothing but which pages are present. Where it is refused (an older kernel) they come when they
    // are touched.
    let _ = unsafe { rustix::mm::madvise(std::ptr::with_exposed_provenance_mut(place.start), place.len(), advice) };
}
