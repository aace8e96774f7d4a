//! The one place that chooses the atomics: the processor's, or the model checker's under `--cfg loom`.
//!
//! Every ordering other than `Relaxed` is written through `order!` or `fence!` with a name. Under the model checker a
//! run can weaken one of them (by its name in `MULTIPROCESS_WEAKEN`), and then a model must fail: otherwise either the
//! ordering is not needed, or no model sees what it is for.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The ordering of one place in a protocol: `order!("mutex.lock", Acquire)`.
macro_rules! order {
    ($site:literal, $ordering:ident) => {
        $crate::atomics::named($site, $crate::atomics::Ordering::$ordering)
    };
}
pub(crate) use order;

/// A sequentially consistent fence of one place in a protocol: `fence!("event.set")`. Accesses alone are never
/// `SeqCst`: a fence says which two of them it orders, and the model checker treats it exactly.
macro_rules! fence {
    ($site:literal) => {
        $crate::atomics::named_fence($site)
    };
}
pub(crate) use fence;

/// The same right after an exchange, compare-exchange or other read-modify-write of the same thread. On x86-64 these
/// are locked instructions, which are full fences already: then only the compiler has to be told.
macro_rules! light_fence {
    ($site:literal) => {
        $crate::atomics::named_light_fence($site)
    };
}
pub(crate) use light_fence;

#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn named(_site: &str, ordering: Ordering) -> Ordering {
    ordering
}

#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn named_fence(_site: &str) {
    core::sync::atomic::fence(Ordering::SeqCst);
}

#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn named_light_fence(site: &str) {
    if cfg!(target_arch = "x86_64") {
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
    } else {
        named_fence(site);
    }
}

#[cfg(loom)]
pub(crate) fn named_light_fence(site: &str) {
    named_fence(site);
}

#[cfg(loom)]
fn is_weakened(site: &str) -> bool {
    use std::sync::OnceLock;
    static WEAKENED: OnceLock<Option<String>> = OnceLock::new();
    WEAKENED.get_or_init(|| std::env::var("MULTIPROCESS_WEAKEN").ok()).as_deref() == Some(site)
}

#[cfg(loom)]
pub(crate) fn named(site: &str, ordering: Ordering) -> Ordering {
    if is_weakened(site) { Ordering::Relaxed } else { ordering }
}

#[cfg(loom)]
pub(crate) fn named_fence(site: &str) {
    if !is_weakened(site) {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}
