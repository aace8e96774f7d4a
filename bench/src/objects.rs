//! P10: making an object without a name, and opening one with a name.

use std::error::Error;
use std::time::Instant;

use multiprocess::Lock;

use crate::options::Options;
use crate::placement::Placement;
use crate::report::{Side, Unit, ratio};
use crate::rounds::{self, Contender, Medians};

pub(crate) fn measure(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let name = format!("bench.{}", std::process::id());
    // Kept open here by another process, so that opening and closing it does not make and unlink it.
    let kept = Lock::create(&name)?;
    let keeper = multiprocess::spawn(keep, (name.clone(), kept.clone()))?;
    let mut contenders = [
        Contender::new("Lock::new", || {
            let start = Instant::now();
            let lock = Lock::new().expect("a lock");
            let time = start.elapsed();
            drop(lock);
            Some(time)
        }),
        Contender::new("memfd, size, mapping", || {
            let start = Instant::now();
            let memory = floor().expect("a memory object");
            let time = start.elapsed();
            drop(memory);
            Some(time)
        }),
    ];
    drop(kept);
    let again = name.clone();
    let mut opening = [Contender::new("Lock::open", move || {
        let start = Instant::now();
        let lock = Lock::open(&name).expect("a lock of that name");
        let time = start.elapsed();
        drop(lock);
        Some(time)
    })];
    let mut medians = vec![Medians::new(); 2];
    let mut opened = vec![Medians::new(); 1];
    for _ in 0..if options.quick { 5 } else { 15 } {
        rounds::batch(&mut contenders, 101, &mut medians);
        rounds::batch(&mut opening, 101, &mut opened);
    }
    let floor = Side(contenders[1].name, &medians[1]);
    ratio("P10", placement, Side(contenders[0].name, &medians[0]), floor, Unit::Microseconds, None);
    let floor = Side(contenders[1].name, &medians[1]);
    ratio("P10", placement, Side(opening[0].name, &opened[0]), floor, Unit::Microseconds, None);
    keeper.kill()?;
    let _ = keeper.join();
    // Whoever makes it anew and drops it removes what the killed keeper has left.
    drop(Lock::create(&again)?);
    Ok(())
}

/// Keeps the object open until it is killed.
fn keep(_name: String, _lock: Lock) {
    loop {
        std::thread::park();
    }
}

/// The least that shared memory takes.
fn floor() -> rustix::io::Result<rustix::fd::OwnedFd> {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    let memory = rustix::fs::memfd_create("floor", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&memory, 4096)?;
    let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    // SAFETY: a new mapping at an address that the kernel chooses.
    let page = unsafe { mmap(std::ptr::null_mut(), 4096, access, flags, &memory, 0) }?;
    // SAFETY: the page was just mapped with write access, and is this function's alone.
    unsafe { page.cast::<u64>().write_volatile(1) };
    // SAFETY: the mapping of above, to which no reference is left.
    unsafe { munmap(page, 4096) }?;
    Ok(memory)
}
