//! Which numbers PostgreSQL can keep exactly: the bounds of `numeric`, which `jsonb` stores its
//! numbers as.
//!
//! Read from `set_var_from_str` and `make_result` of PostgreSQL 15, and verified against a running
//! 15.18; the table of boundary cases stands in the tests. A number is refused before it is sent,
//! because the server's error would name the statement and not the record, and would take the whole
//! batch with it.

/// Decimal digits before the point of a number that is not zero: 32 768 digits in base 10 000.
const MAX_INTEGER_DIGITS: i64 = 131_072;
/// Decimal digits after the point, those that an exponent moves there included. Zero is held to it,
/// too: `0e-16384` is refused.
const MAX_SCALE: i64 = 16_383;
/// An exponent of this size (`INT_MAX / 2`) is refused whatever the digits, `0e1073741823`
/// included.
const EXPONENT_BOUND: i64 = 1_073_741_823;

/// Whether `numeric` holds this number exactly.
///
/// `integer` and `fraction` are the digits before and after the point, `exponent` what follows the
/// `e`, with its sign; all as a valid JSON number has them, absent parts being empty.
pub(super) fn storable(integer: &[u8], fraction: &[u8], exponent: &[u8]) -> bool {
    let Some(exponent) = parse_exponent(exponent) else {
        return false;
    };
    let Ok(integer_digits) = i64::try_from(integer.len()) else {
        return false;
    };
    let Ok(fraction_digits) = i64::try_from(fraction.len()) else {
        return false;
    };
    if fraction_digits - exponent > MAX_SCALE {
        return false;
    }
    // Leading zeros carry no weight, wherever the point is moved to.
    let mut digits = integer.iter().chain(fraction);
    match digits.position(|digit| *digit != b'0') {
        None => true,
        Some(zeros) => i64::try_from(zeros).is_ok_and(|zeros| integer_digits + exponent - zeros <= MAX_INTEGER_DIGITS),
    }
}

/// The exponent's value; none when it is out of bounds. Leading zeros may be many.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut value: i64 = 0;
    for digit in digits {
        value = value * 10 + i64::from(digit - b'0');
        if value >= EXPONENT_BOUND {
            return None;
        }
    }
    Some(if negative { -value } else { value })
}
