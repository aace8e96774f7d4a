//! What lies behind a lock: values whose size and alignment are parameters of the object, and checked when it is found.

use crate::object::{ALIGNMENT, Object, Parameters, kind};
use bytemuck::Pod;
use multiprocess_sys::{Error, ErrorKind};
use std::ptr::NonNull;

/// The parameters of an object with `length` values of this type: size, alignment, number.
pub(crate) fn parameters_of<T>(length: usize) -> Parameters {
    Parameters([size_of::<T>() as u64, align_of::<T>() as u64, length as u64, 0])
}

/// The bytes of all values; `None` if no object has such parameters.
pub(crate) fn bytes_of(parameters: &Parameters) -> Option<usize> {
    let [size, alignment, length, nothing] = parameters.0;
    let is_possible =
        alignment.is_power_of_two() && alignment <= ALIGNMENT as u64 && size.is_multiple_of(alignment) && nothing == 0;
    let bytes = size.checked_mul(length).and_then(|bytes| usize::try_from(bytes).ok())?;
    (is_possible && bytes <= isize::MAX as usize).then_some(bytes)
}

/// Checks that an object of this kind holds values of this type: as many as it likes, unless `length` says how many.
pub(crate) fn check<T>(kind: u32, found: &Parameters, length: Option<usize>) -> Result<(), Error> {
    let wanted = parameters_of::<T>(length.unwrap_or(found.0[2] as usize)).0;
    if wanted == found.0 {
        return Ok(());
    }
    let noun = kind::noun(kind);
    let text = match found.0[2] == wanted[2] {
        true => format!(
            "opening {noun} with values of {} bytes, aligned to {}, that has values of {} bytes, aligned to {}",
            wanted[0], wanted[1], found.0[0], found.0[1]
        ),
        false => format!("opening {noun} of {} values that has {}", wanted[2], found.0[2]),
    };
    Err(Error::new(ErrorKind::WrongKind, text))
}

/// Writes the first values of an object that nobody else can see yet, `offset` bytes into its payload.
pub(crate) fn initialise<B: crate::object::Body, T: Pod>(object: &Object<B>, offset: usize, values: &[T]) {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    assert!(offset + bytes.len() <= object.payload_length(), "room that the parameters promise");
    // SAFETY: inside the payload (asserted).
    let place = unsafe { object.payload().byte_add(offset) };
    // SAFETY: there is room (asserted), nobody else knows this memory, and it is not that of `values`.
    unsafe { place.copy_from_nonoverlapping(NonNull::from_ref(bytes).cast(), bytes.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_parameters_are_refused() {
        assert_eq!(bytes_of(&parameters_of::<u64>(3)), Some(24));
        assert_eq!(bytes_of(&parameters_of::<()>(1)), Some(0));
        let impossible = [
            [8, 0, 1, 0],
            [8, 3, 1, 0],
            [8, 256, 1, 0],
            [9, 8, 1, 0],
            [u64::MAX, 1, 2, 0],
            [1, 1, 1 << 63, 0],
            [8, 8, 1, 1],
        ];
        for parameters in impossible {
            assert_eq!(bytes_of(&Parameters(parameters)), None, "{parameters:?}");
        }
    }

    #[test]
    fn another_type_is_told() {
        check::<u32>(kind::MUTEX, &parameters_of::<u32>(1), Some(1)).unwrap();
        check::<u32>(kind::ARRAY, &parameters_of::<f32>(9), None).unwrap();
        for (found, words) in [(parameters_of::<u64>(9), "4 bytes"), (parameters_of::<u32>(8), "of 9 values")] {
            let error = check::<u32>(kind::ARRAY, &found, Some(9)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongKind);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
