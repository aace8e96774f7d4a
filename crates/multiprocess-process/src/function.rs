//! Which functions can be sent, and the one place that turns an offset in the executable back into a function.
//!
//! A function, or a closure that captures nothing, is a type without a value: nothing of it needs to travel but which
//! type it is. For each type the compiler makes one constant [`Entry`] in the executable, with code that unpacks the
//! arguments, calls the function and packs its result; another one for tasks (`task.rs`). Parent and child are the same
//! file, so the entry's offset names it in both. The child checks that an entry lies there: inside the executable,
//! aligned, with its magic word, and pointing at instructions.

use crate::octets;
use multiprocess_parcel::{Message, Parcel, RemoteError};
use multiprocess_sys::image::Image;
use multiprocess_sys::{Error, ErrorKind};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A function, or a closure that captures nothing, that takes the arguments `A`, which are always a tuple.
///
/// Implemented by the compiler's functions of 0 to 12 arguments; nobody else implements it.
///
/// # Examples
///
/// ```
/// use multiprocess_process::Function;
///
/// fn add(a: u64, b: u64) -> u64 { a + b }
/// fn takes<A, F: Function<A>>(_: F) {}
///
/// takes::<(u64, u64), _>(add);
/// takes::<(u64,), _>(|x: u64| x + 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of the arguments `{A}`",
    label = "cannot be called with these arguments",
    note = "arguments are always a tuple: `(x,)` for one, `()` for none, at most twelve",
    note = "a closure may not capture: pass what it needs as an argument"
)]
pub trait Function<A>: Copy + Send + 'static {
    /// What it returns.
    type Output;

    #[doc(hidden)]
    fn call(self, arguments: A) -> Self::Output;
}

macro_rules! functions {
    ($($($T:ident)*;)*) => {$(
        #[allow(non_snake_case)]
        impl<Fun, Ret, $($T,)*> Function<($($T,)*)> for Fun
        where
            Fun: Fn($($T),*) -> Ret + Copy + Send + 'static,
        {
            type Output = Ret;

            fn call(self, ($($T,)*): ($($T,)*)) -> Ret {
                self($($T),*)
            }
        }
    )*};
}

functions! {
    ;
    A1;
    A1 A2;
    A1 A2 A3;
    A1 A2 A3 A4;
    A1 A2 A3 A4 A5;
    A1 A2 A3 A4 A5 A6;
    A1 A2 A3 A4 A5 A6 A7;
    A1 A2 A3 A4 A5 A6 A7 A8;
    A1 A2 A3 A4 A5 A6 A7 A8 A9;
    A1 A2 A3 A4 A5 A6 A7 A8 A9 A10;
    A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11;
    A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12;
}

/// Refuses at compile time what captures.
#[doc(hidden)]
pub const fn must_not_capture<F>() {
    assert!(
        size_of::<F>() == 0,
        "this closure captures a value, or this is a function pointer: name the function itself and pass values as arguments"
    );
}

/// A struct with a method that runs in a process of its own: Python's "inherit from `Process`".
///
/// # Examples
///
/// ```
/// use multiprocess_process::{Process, Run};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Greeter {
///     name: String,
/// }
///
/// impl Run for Greeter {
///     type Output = String;
///     fn run(self) -> String {
///         format!("hello {}", self.name)
///     }
/// }
///
/// let child = Greeter { name: "world".into() }.start()?;
/// assert_eq!(child.join()?, "hello world");
/// let child = Process::from_run(Greeter { name: "again".into() }).name("greeter").start()?;
/// assert_eq!(child.join()?, "hello again");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Run: Message {
    /// What it returns.
    type Output: Message;

    /// Runs in the child.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Run;
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Square(u64);
    ///
    /// impl Run for Square {
    ///     type Output = u64;
    ///     fn run(self) -> u64 {
    ///         self.0 * self.0
    ///     }
    /// }
    ///
    /// assert_eq!(Square(3).run(), 9); // here, in this process
    /// ```
    fn run(self) -> Self::Output;

    /// Starts a process that runs it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Run;
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Square(u64);
    ///
    /// impl Run for Square {
    ///     type Output = u64;
    ///     fn run(self) -> u64 {
    ///         self.0 * self.0
    ///     }
    /// }
    ///
    /// assert_eq!(Square(3).start()?.join()?, 9); // in one of its own
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Process::start`](crate::Process::start).
    fn start(self) -> Result<crate::Child<Self::Output>, Error>
    where
        Self: Sized,
    {
        crate::Process::from_run(self).start()
    }
}

/// What came of a call in a child.
pub(crate) enum Outcome {
    /// Its value, packed.
    Value(Parcel),
    /// It panicked with this payload.
    Panicked(Box<dyn Any + Send>),
    /// Its arguments could not be unpacked, or its value not packed.
    Failed(RemoteError),
}

/// What an entry points at: code of one shape.
pub trait Code: Copy + 'static {
    /// The word that the entries of this shape begin with.
    const MAGIC: u64;
    /// What is done when an entry is sent.
    const ERRAND: &'static str;

    /// Where the code lies.
    fn address(self) -> *const ();
}

/// How to call one function: a constant of the executable.
#[repr(C)]
pub struct Entry<C> {
    magic: u64,
    call: C,
}

/// An entry as bits that may be anything.
#[repr(C)]
struct Unchecked {
    magic: u64,
    call: usize,
}

impl<C: Code> Entry<C> {
    const AS_LARGE: () =
        assert!(size_of::<Self>() == size_of::<Unchecked>() && align_of::<Self>() == align_of::<Unchecked>());

    pub(crate) const fn new(call: C) -> Entry<C> {
        Entry { magic: C::MAGIC, call }
    }

    /// The code.
    #[inline]
    pub(crate) fn code(&self) -> C {
        self.call
    }

    /// Where it lies in the executable.
    ///
    /// # Errors
    ///
    /// It lies elsewhere: in a plugin, or in a library that another program loaded.
    pub fn offset(&'static self) -> Result<u64, Error> {
        let image = Image::of_program();
        let offset = image.offset(self).filter(|_| image.holds_code(self.call.address()));
        offset.ok_or_else(|| {
            let why = "the function lies outside the program's executable (in a plugin or a shared library), where the child, \
                       which runs the executable alone, would not find it";
            Error::new(ErrorKind::OutsideExecutable, format!("{}: {why}", C::ERRAND))
        })
    }

    /// The entry at `offset`, if one lies there.
    ///
    /// # Errors
    ///
    /// None does.
    pub fn at(offset: u64) -> Result<&'static Entry<C>, Error> {
        const { Self::AS_LARGE };
        let image = Image::of_program();
        let found = image.at::<Unchecked>(offset).filter(|place| {
            // SAFETY: the image says that so many bytes lie there, aligned, in a part of the file that the loader mapped
            // readable; any bits are two numbers.
            let unchecked = unsafe { &**place };
            let call = std::ptr::with_exposed_provenance::<()>(unchecked.call);
            unchecked.magic == C::MAGIC && image.holds_code(call)
        });
        let damaged = || Error::new(ErrorKind::Damaged, "looking for the function of a start: none is there");
        let place = found.ok_or_else(damaged)?;
        // SAFETY: its magic word and a pointer to instructions are there, as the compiler writes them for such an entry alone, and
        // constants of the executable live as long as the process.
        Ok(unsafe { &*place.cast::<Entry<C>>() })
    }
}

/// The code that a child runs.
type Call = fn(Parcel) -> Outcome;

impl Code for Call {
    const MAGIC: u64 = u64::from_ne_bytes(*b"mp-entry");
    const ERRAND: &'static str = "starting a process";

    fn address(self) -> *const () {
        self as *const ()
    }
}

/// How a child calls a function.
pub(crate) type ChildEntry = Entry<Call>;

impl ChildEntry {
    /// The entry of the function type `F` for the arguments `A`.
    pub(crate) fn of_function<F, A>() -> &'static ChildEntry
    where
        F: Function<A>,
        A: Message,
        F::Output: Message,
    {
        const { &Entry::new(call_function::<F, A> as Call) }
    }

    /// The entry of a struct with a [`Run`].
    pub(crate) fn of_run<T: Run>() -> &'static ChildEntry {
        const { &Entry::new(call_run::<T> as Call) }
    }

    /// Calls the function in this process.
    pub(crate) fn call(&self, arguments: Parcel) -> Outcome {
        (self.call)(arguments)
    }
}

/// A value of a function's type, which has no bytes.
pub(crate) fn conjure<F: Copy>() -> F {
    const { must_not_capture::<F>() };
    // SAFETY: a type of size zero has no bytes to get wrong; a value of it exists, for whoever named the function gave one,
    // and it is `Copy`, so another one may be made.
    unsafe { std::ptr::NonNull::dangling().read() }
}

fn call_function<F, A>(arguments: Parcel) -> Outcome
where
    F: Function<A>,
    A: Message,
    F::Output: Message,
{
    let function = conjure::<F>();
    call(arguments, |arguments: A| function.call(arguments))
}

fn call_run<T: Run>(arguments: Parcel) -> Outcome {
    call(arguments, T::run)
}

fn call<A: Message, R: Message>(arguments: Parcel, function: impl FnOnce(A) -> R) -> Outcome {
    // Unwind safe: what the function left half-done is in this process alone, which ends next. Reading the arguments and writing
    // the value run code of the user's too.
    let result = catch_unwind(AssertUnwindSafe(|| {
        __rust_begin_short_backtrace(|| {
            let value = function(octets::unpack::<A>(arguments)?);
            octets::pack(value)
        })
    }));
    match result {
        Ok(Ok(parcel)) => Outcome::Value(parcel),
        Ok(Err(error)) => Outcome::Failed(RemoteError::new(error)),
        Err(payload) => Outcome::Panicked(payload),
    }
}

/// A short backtrace ends here: what called this is the library's. The name is the one that std's own reports look for.
#[inline(never)]
fn __rust_begin_short_backtrace<R>(function: impl FnOnce() -> R) -> R {
    let value = function();
    // Something to do after the call, so that this frame is there while it runs.
    std::hint::black_box(());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_by_its_offset_and_nothing_else_is() {
        fn entry_of<F: Function<(u8,), Output = u8>>(_: F) -> &'static ChildEntry {
            ChildEntry::of_function::<F, (u8,)>()
        }
        let offset = entry_of(|x: u8| x + 1).offset().unwrap();
        let Outcome::Value(parcel) = ChildEntry::at(offset).unwrap().call(octets::pack((1u8,)).unwrap()) else {
            panic!()
        };
        assert_eq!(octets::unpack::<u8>(parcel).unwrap(), 2);
        for wrong in [0, 8, offset + 1, offset + 8, offset ^ 0xffff, u64::MAX, u64::MAX / 2] {
            assert!(ChildEntry::at(wrong).is_err(), "{wrong}");
        }
    }
}
