//! The program's executable as it lies in memory: where its code and constants are, and taking over before its `main`.
//!
//! Parent and child are the same file, so what lies at an offset in the one lies at that offset in the other. The dynamic
//! loader tells where the file was put (dl_iterate_phdr(3); the first entry is the program itself).

use std::ffi::{c_char, c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;

/// A function that runs before `main`, as the C library calls it.
pub type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// Where the program's executable lies.
#[derive(Debug)]
pub struct Image {
    base: usize,
    headers: usize,
    code: Vec<Range<usize>>,
    loaded: Vec<Range<usize>>,
    dynamic: Option<usize>,
    wants_loader: bool,
}

impl Image {
    /// The program's executable.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::image::Image;
    ///
    /// static CONSTANT: u64 = 7;
    /// let image = Image::of_program();
    /// let offset = image.offset(&CONSTANT).unwrap();
    /// assert_eq!(image.at::<u64>(offset).map(|p| p as *const u64), Some(&raw const CONSTANT));
    /// assert!(image.at::<u64>(offset + 1).is_none(), "not aligned");
    /// assert!(image.offset(&Box::new(1)).is_none(), "not in the executable");
    /// ```
    pub fn of_program() -> &'static Image {
        static IMAGE: OnceLock<Image> = OnceLock::new();
        IMAGE.get_or_init(|| {
            let mut image =
                Image { base: 0, headers: 0, code: vec![], loaded: vec![], dynamic: None, wants_loader: false };
            // SAFETY: the callback gets the pointer given here, to a value that outlives the call.
            unsafe { libc::dl_iterate_phdr(Some(describe_first), (&raw mut image).cast()) };
            image
        })
    }

    /// How far `constant` lies from the beginning of the executable; `None` if it is no part of it.
    pub fn offset<T>(&self, constant: &T) -> Option<u64> {
        let address = (&raw const *constant).addr();
        self.holds(&self.loaded, address, size_of::<T>()).then(|| (address - self.base) as u64)
    }

    /// The constant at `offset`, if a whole `T` lies there, aligned, inside the executable. What it holds is for the caller
    /// to check.
    pub fn at<T>(&self, offset: u64) -> Option<*const T> {
        let address = self.base.checked_add(usize::try_from(offset).ok()?)?;
        let fits = self.holds(&self.loaded, address, size_of::<T>()) && address.is_multiple_of(align_of::<T>());
        fits.then(|| std::ptr::with_exposed_provenance(address))
    }

    /// Whether `address` is one of the executable's instructions.
    pub fn holds_code(&self, address: *const ()) -> bool {
        self.holds(&self.code, address.addr(), 1)
    }

    fn holds(&self, ranges: &[Range<usize>], address: usize, size: usize) -> bool {
        ranges
            .iter()
            .any(|range| range.contains(&address) && address.checked_add(size).is_some_and(|end| end <= range.end))
    }

    /// Whether the kernel started this file itself, so that `/proc/self/exe` is this file. A program started through the
    /// dynamic loader (`ld.so program`) is not: the kernel told the first program of the process where *its* headers lie.
    pub fn is_started_directly(&self) -> bool {
        static DIRECTLY: OnceLock<bool> = OnceLock::new();
        *DIRECTLY.get_or_init(|| {
            // The loader mends its own copy of this list, the kernel's copy stays as it was (proc_pid_auxv(5)).
            // Where it may not be read (the program has changed its user), the loader is known by having no loader itself.
            // SAFETY: reads one word of a list that the kernel made.
            let has_loader = unsafe { libc::getauxval(libc::AT_BASE) } != 0;
            let Ok(list) = std::fs::read("/proc/self/auxv") else { return has_loader || !self.wants_loader };
            let (words, _) = list.as_chunks::<{ size_of::<usize>() }>();
            let words: Vec<usize> = words.iter().map(|word| usize::from_ne_bytes(*word)).collect();
            words.chunks_exact(2).any(|pair| pair == [libc::AT_PHDR as usize, self.headers])
        })
    }

    /// The program's constructors, as the linker listed them.
    fn constructors(&self) -> &[Constructor] {
        let Some(mut entry) = self.dynamic else { return &[] };
        let (mut list, mut size) = (0, 0);
        loop {
            // SAFETY: the dynamic section is a list of entries that ends with a null tag, and the loader has mapped it.
            let [tag, value] = unsafe { *std::ptr::with_exposed_provenance::<[usize; 2]>(entry) };
            match tag {
                0 => break,
                DT_INIT_ARRAY => list = self.base + value,
                DT_INIT_ARRAYSZ => size = value,
                _ => {}
            }
            entry += size_of::<[usize; 2]>();
        }
        if list == 0 {
            return &[];
        }
        let list = std::ptr::with_exposed_provenance::<Constructor>(list);
        // SAFETY: the linker put that many function pointers there, and the loader has relocated them.
        unsafe { std::slice::from_raw_parts(list, size / size_of::<Constructor>()) }
    }
}

const DT_INIT_ARRAY: usize = 25;
const DT_INIT_ARRAYSZ: usize = 27;

unsafe extern "C" fn describe_first(info: *mut libc::dl_phdr_info, _size: usize, image: *mut c_void) -> c_int {
    // SAFETY: the loader passes a valid description.
    let info = unsafe { &*info };
    // SAFETY: the caller of dl_iterate_phdr passed a pointer to its image, which nobody else uses meanwhile.
    let image = unsafe { &mut *image.cast::<Image>() };
    // SAFETY: the description says that this many headers lie there.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    image.base = info.dlpi_addr as usize;
    image.headers = info.dlpi_phdr.addr();
    for header in headers {
        let start = image.base + header.p_vaddr as usize;
        let range = start..start + header.p_memsz as usize;
        match header.p_type {
            libc::PT_LOAD if header.p_flags & libc::PF_X != 0 => image.code.push(range),
            libc::PT_LOAD => image.loaded.push(range),
            libc::PT_INTERP => image.wants_loader = true,
            libc::PT_DYNAMIC => image.dynamic = Some(start),
            _ => {}
        }
    }
    1 // enough: the first one is the program
}

/// Whether this program was started with more rights than its starter has (set-uid, file capabilities): `AT_SECURE` of
/// getauxval(3).
pub fn is_privileged_start() -> bool {
    // SAFETY: reads one word of a list that the kernel made.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Runs `take_over` instead of the program's `main`, if the environment holds `marker` and `hook` is a constructor of the
/// program itself; the constructors that stand behind it in the list run first. Called by [`before_main!`](crate::before_main).
#[doc(hidden)]
pub fn intercept(
    hook: Constructor,
    arguments: (c_int, *const *const c_char, *const *const c_char),
    marker: &str,
    take_over: fn(marker: String) -> bool,
) {
    if is_privileged_start() {
        return;
    }
    // In almost every start the marker is not there, and this is all that happens.
    let Ok(value) = std::env::var(marker) else { return };
    let image = Image::of_program();
    let same = |other: &Constructor| std::ptr::fn_addr_eq(*other, hook);
    let Some(place) = image.constructors().iter().position(same) else { return };
    // SAFETY: constructors run before `main`, on its thread. One that started a thread which reads the environment without
    // the standard library's lock would break any program that changes its environment.
    unsafe { std::env::remove_var(marker) };
    if !crate::process::is_launched() {
        return;
    }
    for constructor in &image.constructors()[place + 1..] {
        constructor(arguments.0, arguments.1, arguments.2);
    }
    if take_over(value) {
        std::process::exit(0);
    }
}

/// Has a function called before the program's `main` if the environment holds a marker (its value is the argument); if it
/// returns `true`, `main` does not run.
///
/// ```
/// fn take_over(marker: String) -> bool { !marker.is_empty() }
/// multiprocess_sys::before_main!("EXAMPLE_MARKER", take_over);
/// ```
#[macro_export]
macro_rules! before_main {
    ($marker:expr, $take_over:path) => {
        const _: () = {
            // SAFETY: the C library calls what is in this section with these three arguments, once, before `main`.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static HOOK: $crate::image::Constructor = hook;

            extern "C" fn hook(
                count: ::std::ffi::c_int,
                arguments: *const *const ::std::ffi::c_char,
                environment: *const *const ::std::ffi::c_char,
            ) {
                $crate::image::intercept(hook, (count, arguments, environment), $marker, $take_over);
            }
        };
    };
}
