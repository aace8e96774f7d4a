//! `Vec<u8>`, alone or as the only argument: its bytes are copied at once, or it is passed on as it is.
//!
//! Serde has no other way for it than byte by byte, which takes ten times as long as to copy them. In a message it is its length as
//! a varint and its bytes, and so is a tuple of it alone. Where both sides know the type and the length, its bytes alone will do.

use multiprocess_parcel::{Parcel, varint};
use multiprocess_sys::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::TypeId;
use std::mem::ManuallyDrop;

type Octets = Vec<u8>;

/// Whether `T` is one of those types.
#[inline]
pub(crate) fn are<T>() -> bool {
    typeid::of::<T>() == TypeId::of::<Octets>() || typeid::of::<T>() == TypeId::of::<(Octets,)>()
}

/// If `T` is one of those types and the bytes from `start` on are a value of it and nothing else: where the vector's own bytes begin.
/// Otherwise whoever reads all types finds out what is wrong.
#[inline]
pub(crate) fn find<T>(bytes: &[u8], start: usize) -> Option<usize> {
    if !are::<T>() {
        return None;
    }
    let (length, prefix) = varint::read(bytes.get(start..)?)?;
    (u64::try_from(bytes.len() - start - prefix) == Ok(length)).then_some(start + prefix)
}

/// The vector that `value` is, or the value again.
#[inline]
pub(crate) fn of<T>(value: T) -> Result<Octets, T> {
    let kept = ManuallyDrop::new(value);
    if typeid::of::<T>() == TypeId::of::<Octets>() {
        // SAFETY: the two are one type; what was copied is not dropped.
        return Ok(unsafe { std::mem::transmute_copy::<ManuallyDrop<T>, Octets>(&kept) });
    }
    if typeid::of::<T>() == TypeId::of::<(Octets,)>() {
        // SAFETY: the two are one type; what was copied is not dropped.
        let (octets,) = unsafe { std::mem::transmute_copy::<ManuallyDrop<T>, (Octets,)>(&kept) };
        return Ok(octets);
    }
    Err(ManuallyDrop::into_inner(kept))
}

/// The value of `T` that is this vector. Only for a `T` that [is one](are).
#[inline]
pub(crate) fn value<T>(octets: Octets) -> T {
    if typeid::of::<T>() == TypeId::of::<Octets>() {
        let octets = ManuallyDrop::new(octets);
        // SAFETY: the two are one type; what was copied is not dropped.
        return unsafe { std::mem::transmute_copy::<ManuallyDrop<Octets>, T>(&octets) };
    }
    assert!(typeid::of::<T>() == TypeId::of::<(Octets,)>(), "a value that is a vector of bytes");
    let octets = ManuallyDrop::new((octets,));
    // SAFETY: likewise.
    unsafe { std::mem::transmute_copy::<ManuallyDrop<(Octets,)>, T>(&octets) }
}

/// The parcel of a value.
pub(crate) fn pack<T: Serialize>(value: T) -> Result<Parcel, Error> {
    let octets = match of(value) {
        Ok(octets) => octets,
        Err(value) => return multiprocess_parcel::pack(&value),
    };
    let bytes = [varint::write(octets.len() as u64, &mut [0; varint::MAX]), &octets[..]].concat();
    Ok(Parcel { bytes, ..Parcel::default() })
}

/// The value of a parcel.
pub(crate) fn unpack<T: DeserializeOwned>(mut parcel: Parcel) -> Result<T, Error> {
    match find::<T>(&parcel.bytes, 0).filter(|_| parcel.handles.is_empty()) {
        Some(start) => {
            parcel.bytes.drain(..start);
            Ok(value(parcel.bytes))
        }
        None => multiprocess_parcel::unpack(parcel),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multiprocess_parcel::{pack_data, unpack_data};

    #[test]
    fn parcels_are_those_that_others_make() {
        let octets = vec![7u8; 300];
        let parcel = pack((octets.clone(),)).unwrap();
        assert_eq!(parcel.bytes, multiprocess_parcel::pack(&octets).unwrap().bytes);
        assert_eq!(unpack::<Octets>(parcel).unwrap(), octets);
        assert_eq!(unpack::<(u8, String)>(pack((1u8, "text".to_owned())).unwrap()).unwrap().1, "text");
        let more = || Parcel { bytes: vec![1, 2, 3], ..Parcel::default() };
        assert!(unpack::<Octets>(more()).is_err() && unpack::<(Octets, u8)>(more()).is_ok());
    }

    #[test]
    fn they_are_found_where_any_parcel_has_them() {
        for length in [0usize, 1, 127, 128, 300, 70_000] {
            let octets = vec![7u8; length];
            let bytes = pack_data(&octets, "a task").unwrap();
            assert_eq!(bytes, pack_data(&(&octets,), "a task").unwrap());
            let start = find::<Octets>(&bytes, 0).unwrap();
            assert_eq!(value::<Octets>(bytes[start..].to_vec()), octets);
            assert_eq!(find::<(Octets,)>(&[&[1, 2], &bytes[..]].concat(), 2), Some(start + 2));
            assert_eq!(value::<(Octets,)>(bytes[start..].to_vec()), (octets,));
            assert_eq!(find::<Vec<i8>>(&bytes, 0), None);
        }
    }

    #[test]
    fn they_are_passed_on_as_they_are() {
        let octets = vec![7u8; 100];
        let place = octets.as_ptr();
        let octets = of((of(octets).unwrap(),)).unwrap();
        assert_eq!((octets.as_ptr(), octets.len()), (place, 100));
        assert_eq!(of(vec![7i8]), Err(vec![7i8]));
        assert!(are::<Octets>() && are::<(Octets,)>() && !are::<[u8; 2]>());
    }

    #[test]
    fn what_is_not_right_is_left_to_others() {
        for bytes in [&[][..], &[2, 1], &[1, 1, 1], &[0x80, 0x80], &[0xff; 12]] {
            assert_eq!(find::<Octets>(bytes, 0), None, "{bytes:?}");
            assert!(unpack_data::<Octets>(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(find::<Octets>(&[0], 2), None);
    }
}
