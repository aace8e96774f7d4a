//! Numbers as parcels write them: seven bits a byte, the lowest first, with the highest bit in all bytes but the last. Also for
//! those who read or write the length of bytes in a parcel by themselves.

/// The most bytes that a number takes.
pub const MAX: usize = 10;

/// Writes a number as a parcel has it to the beginning of `bytes`; what was written.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{pack_data, varint};
///
/// assert_eq!(varint::write(300, &mut [0; varint::MAX]), pack_data(&300u64, "a queue")?);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[inline]
pub fn write(number: u64, bytes: &mut [u8; MAX]) -> &[u8] {
    let (mut left, mut length) = (number, 1);
    while left >= 0x80 {
        bytes[length - 1] = left as u8 | 0x80;
        left >>= 7;
        length += 1;
    }
    bytes[length - 1] = left as u8;
    &bytes[..length]
}

/// The number at the beginning of `bytes`, and how many bytes it takes; `None` if there is none.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::varint;
///
/// assert_eq!(varint::read(&[0xac, 0x02, 7]), Some((300, 2)));
/// assert_eq!(varint::read(&[0x80]), None);
/// ```
#[inline]
pub fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for (place, byte) in bytes.iter().enumerate().take(MAX) {
        let bits = u64::from(byte & 0x7f);
        if place == MAX - 1 && bits > 1 {
            return None;
        }
        number |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, place + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack_data;

    #[test]
    fn numbers_are_written_as_any_parcel_does_and_read_again() {
        for number in [0, 1, 127, 128, 300, 70000, u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 35] {
            let mut bytes = [0; MAX];
            let written = write(number, &mut bytes);
            assert_eq!(written, pack_data(&number, "a queue").unwrap());
            assert_eq!(read(written), Some((number, written.len())));
        }
        assert_eq!(read(&[0xff; 10]), None);
        assert_eq!(read(&[0x80; 3]), None);
        assert_eq!(read(&[]), None);
    }
}
