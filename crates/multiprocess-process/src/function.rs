//! Which functions can be sent, and the one place that turns an offset in the executable back into a function.
//!
//! A function, or a closure that captures nothing, is a type without a value: nothing of it needs to travel but which type it
//! is. For each type the compiler makes one constant [`Entry`] in the executable, with code that unpacks the arguments, calls
//! the function and packs its result. Parent and child are the same file, so the entry's offset names it in both. The child
//! checks that an entry lies there: inside the executable, aligned, with its magic word, and pointing at instructions.

use multiprocess_parcel::{Message, Parcel, RemoteError, pack, unpack};
use multiprocess_sys::image::Image;
use multiprocess_sys::{Error, ErrorKind};
use std::any::Any;
use std::marker::PhantomData;
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

const MAGIC: u64 = u64::from_ne_bytes(*b"mp-entry");

/// How to call one function.
#[repr(C)]
pub(crate) struct Entry {
    magic: u64,
    call: fn(Parcel) -> Outcome,
}

/// An entry as bits that may be anything.
#[repr(C)]
pub(crate) struct Unchecked {
    magic: u64,
    call: usize,
}

const _: () = assert!(size_of::<Entry>() == size_of::<Unchecked>() && align_of::<Entry>() == align_of::<Unchecked>());

impl Entry {
    /// The entry of the function type `F` for the arguments `A`.
    pub(crate) fn of_function<F, A>() -> &'static Entry
    where
        F: Function<A>,
        A: Message,
        F::Output: Message,
    {
        struct Of<F, A>(PhantomData<(F, A)>);
        impl<F: Function<A>, A: Message> Of<F, A>
        where
            F::Output: Message,
        {
            const ENTRY: &'static Entry = &Entry { magic: MAGIC, call: call_function::<F, A> };
        }
        Of::<F, A>::ENTRY
    }

    /// The entry of a struct with a [`Run`].
    pub(crate) fn of_run<T: Run>() -> &'static Entry {
        struct Of<T>(PhantomData<T>);
        impl<T: Run> Of<T> {
            const ENTRY: &'static Entry = &Entry { magic: MAGIC, call: call_run::<T> };
        }
        Of::<T>::ENTRY
    }

    /// Where it lies in the executable.
    ///
    /// # Errors
    ///
    /// It lies elsewhere: in a plugin, or in a library that another program loaded.
    pub(crate) fn offset(&'static self) -> Result<u64, Error> {
        offset_of(self, self.call as *const (), "starting a process")
    }

    /// The entry at `offset`, if one lies there.
    ///
    /// # Errors
    ///
    /// None does.
    pub(crate) fn at(offset: u64) -> Result<&'static Entry, Error> {
        let place = find(offset, MAGIC)?;
        // SAFETY: its magic word and a pointer to instructions are there, as the compiler writes them for an entry alone, and
        // constants of the executable live as long as the process.
        Ok(unsafe { &*place.cast::<Entry>() })
    }

    /// Calls the function in this process.
    pub(crate) fn call(&self, arguments: Parcel) -> Outcome {
        (self.call)(arguments)
    }
}

/// Where a constant with a pointer to `call` lies in the executable.
pub(crate) fn offset_of<T>(entry: &'static T, call: *const (), what: &str) -> Result<u64, Error> {
    let image = Image::of_program();
    let offset = image.offset(entry).filter(|_| image.holds_code(call));
    offset.ok_or_else(|| {
        let why = "the function lies outside the program's executable (in a plugin or a shared library), where the child, which \
                   runs the executable alone, would not find it";
        Error::new(ErrorKind::OutsideExecutable, format!("{what}: {why}"))
    })
}

/// The place at `offset` of the executable, if a constant lies there that begins with `magic` and a pointer to instructions.
pub(crate) fn find(offset: u64, magic: u64) -> Result<*const Unchecked, Error> {
    let image = Image::of_program();
    let found = image.at::<Unchecked>(offset).filter(|place| {
        // SAFETY: the image says that so many bytes lie there, aligned, in a part of the file that the loader mapped
        // readable; any bits are two numbers.
        let unchecked = unsafe { &**place };
        let call = std::ptr::with_exposed_provenance::<()>(unchecked.call);
        unchecked.magic == magic && image.holds_code(call)
    });
    found.ok_or_else(|| Error::new(ErrorKind::Damaged, "looking for the function of a start: none is there"))
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
        let value = function(unpack::<A>(arguments)?);
        pack(&value)
    }));
    match result {
        Ok(Ok(parcel)) => Outcome::Value(parcel),
        Ok(Err(error)) => Outcome::Failed(RemoteError::new(error)),
        Err(payload) => Outcome::Panicked(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_by_its_offset_and_nothing_else_is() {
        fn entry_of<F: Function<(u8,), Output = u8>>(_: F) -> &'static Entry {
            Entry::of_function::<F, (u8,)>()
        }
        let offset = entry_of(|x: u8| x + 1).offset().unwrap();
        let Outcome::Value(parcel) = Entry::at(offset).unwrap().call(pack(&(1u8,)).unwrap()) else { panic!() };
        assert_eq!(unpack::<u8>(parcel).unwrap(), 2);
        for wrong in [0, 8, offset + 1, offset + 8, offset ^ 0xffff, u64::MAX, u64::MAX / 2] {
            assert!(Entry::at(wrong).is_err(), "{wrong}");
        }
    }
}
