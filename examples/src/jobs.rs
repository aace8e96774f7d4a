//! The tutorial's two jobs that keep a CPU busy, a long sum and a long product, and what their results must be.

use std::hint::black_box;

use num_bigint::BigUint;

/// The sum runs over the numbers below this one.
pub const SUM_BELOW: u64 = 100_000_000;

/// The product runs over the numbers from 1 to below this one, as Python's `range(1, 100000)` does.
pub const PRODUCT_BELOW: u32 = 100_000;

/// What [`sum`] of [`SUM_BELOW`] must be, by the formula that it is not allowed to use: n (n - 1) / 2.
pub const SUM: u64 = SUM_BELOW * (SUM_BELOW - 1) / 2;

/// What [`product`] of [`PRODUCT_BELOW`] must look like.
///
/// Computed with CPython, which multiplies by another method than the loop here does:
///
/// ```python
/// import math, sys
/// sys.set_int_max_str_digits(0)
/// text = str(math.factorial(99999))
/// print(len(text), len(text) - len(text.rstrip("0")), text.rstrip("0")[-20:])
/// hash = 0xcbf29ce484222325                       # FNV-1a of the text, 64 bits
/// for byte in text.encode():
///     hash = (hash ^ byte) * 0x100000001b3 % 2**64
/// print(hex(hash))
/// ```
pub const PRODUCT: Fingerprint<'static> =
    Fingerprint { digits: 456_569, zeros: 24_994, last: "18545898454957162496", hash: 0x1a27_c9e0_1636_ef33 };

/// What tells a very long decimal number from its neighbours.
///
/// # Examples
///
/// ```
/// use multiprocess_examples::jobs::Fingerprint;
///
/// let number = Fingerprint::of("3628800");
/// assert_eq!((number.digits, number.zeros, number.last), (7, 2, "36288"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint<'a> {
    /// How many digits there are.
    pub digits: usize,
    /// How many of them are zeros at the end.
    pub zeros: usize,
    /// The last digits before those zeros, twenty at most.
    pub last: &'a str,
    /// The 64-bit FNV-1a hash of the digits as ASCII text.
    pub hash: u64,
}

impl<'a> Fingerprint<'a> {
    /// Takes the fingerprint of a number written in decimal digits.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_examples::jobs::Fingerprint;
    ///
    /// assert_ne!(Fingerprint::of("1234").hash, Fingerprint::of("1243").hash);
    /// ```
    pub fn of(decimal: &'a str) -> Self {
        let nonzero = decimal.trim_end_matches('0');
        let hash = decimal
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        Fingerprint {
            digits: decimal.len(),
            zeros: decimal.len() - nonzero.len(),
            last: &nonzero[nonzero.len().saturating_sub(20)..],
            hash,
        }
    }
}

/// Adds the numbers from 0 to below `below`, one after the other.
///
/// # Examples
///
/// ```
/// assert_eq!(multiprocess_examples::jobs::sum(5), 0 + 1 + 2 + 3 + 4);
/// ```
pub fn sum(below: u64) -> u64 {
    let mut total = 0;
    for i in 0..below {
        // Without the black box the compiler replaces the whole loop by a formula.
        total += black_box(i);
    }
    total
}

/// Multiplies the numbers from 1 to below `below`, one after the other.
///
/// There are far quicker ways to a factorial. This is the tutorial's: the point is to keep a CPU busy.
///
/// # Examples
///
/// ```
/// assert_eq!(multiprocess_examples::jobs::product(6).to_string(), "120");
/// ```
pub fn product(below: u32) -> BigUint {
    let mut result = BigUint::from(1_u32);
    for i in 1..below {
        result *= i;
    }
    result
}
