//! As much of JSON as a connector reads itself: one number or one string, whose text the host has
//! found and checked.

/// A JSON value as an author wants it: `None` is `null`. The error is for what is neither.
type Scalar<T> = Result<Option<T>, NotThis>;

/// The value is of another kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotThis;

/// Words for nothing of the languages that sources are written in, where one was made a string.
const NOTHING: [&str; 5] = ["", "null", "undefined", "none", "nil"];
/// Words for no.
const NO: [&str; 3] = ["0", "false", "no"];

/// Whether a value says that nothing is there: APIs write it as `null`, `false`, a blank string,
/// `"null"`, `[]` or `{}`.
pub(crate) fn is_nothing(text: &str) -> bool {
    let text = text.trim();
    let inner = |open, close| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).map(str::trim);
    matches!(text, "null" | "false")
        || inner('[', ']').or_else(|| inner('{', '}')).is_some_and(str::is_empty)
        || is_one_of(&NOTHING, text)
}

/// Whether a value says no where one stands that is more than a number: nothing, `0`, `"false"`.
pub(crate) fn is_no(text: &str) -> bool {
    is_nothing(text) || text.trim().parse() == Ok(0.0) || is_one_of(&NO, text.trim())
}

/// Whether a text is a JSON string of one of these words.
fn is_one_of(words: &[&str], text: &str) -> bool {
    let said = if text.starts_with('"') { string(text).ok().flatten() } else { None };
    said.is_some_and(|said| words.iter().any(|word| said.trim().eq_ignore_ascii_case(word)))
}

/// A whole number from 0 on, or a string that is one, as many APIs write it: `3`, `"3"`, `3.0`. A
/// blank string is nothing.
pub(crate) fn unsigned(text: &str) -> Scalar<u64> {
    match string(text)?.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(digits) => whole(digits).map(Some).ok_or(NotThis),
    }
}

/// The value of a decimal number without a fraction, however it is written.
fn whole(digits: &str) -> Option<u64> {
    /// From here on a double leaves out whole numbers.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

    if let Ok(number) = digits.parse() {
        return Some(number);
    }
    let (before, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0') {
        return before.parse().ok();
    }
    // With an exponent.
    let number: f64 = digits.parse().ok()?;
    let is_whole = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
    is_whole.then_some(number as u64)
}

/// A string's value, or a number's text.
pub(crate) fn string(text: &str) -> Scalar<String> {
    let text = text.trim();
    if text == "null" {
        return Ok(None);
    }
    if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Ok(Some(text.to_owned()));
    }
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(NotThis)?;
    unescaped(quoted).map(Some)
}

fn unescaped(quoted: &str) -> Result<String, NotThis> {
    let mut value = String::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        match after.next().ok_or(NotThis)? {
            'n' => value.push('\n'),
            't' => value.push('\t'),
            'r' => value.push('\r'),
            'b' => value.push('\u{8}'),
            'f' => value.push('\u{c}'),
            'u' => {
                let (units, left) = utf16(after.as_str())?;
                // A lone surrogate has no place in a string.
                value.push(char::decode_utf16(units).next().ok_or(NotThis)?.map_err(|_| NotThis)?);
                rest = left;
                continue;
            }
            other => value.push(other),
        }
        rest = after.as_str();
    }
    value.push_str(rest);
    Ok(value)
}

/// The code unit that `text` begins with (what follows `\u`), with its partner if there is one, and
/// what is left.
fn utf16(text: &str) -> Result<(Vec<u16>, &str), NotThis> {
    let (first, rest) = code_unit(text).ok_or(NotThis)?;
    if (0xd800..0xdc00).contains(&first)
        && let Some((second, rest)) = rest.strip_prefix("\\u").and_then(code_unit)
    {
        return Ok((vec![first, second], rest));
    }
    Ok((vec![first], rest))
}

fn code_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_numbers_and_as_strings() {
        assert_eq!(unsigned("12"), Ok(Some(12)));
        assert_eq!(unsigned("\"12\""), Ok(Some(12)));
        assert_eq!(unsigned(" 0 "), Ok(Some(0)));
        assert_eq!(unsigned("null"), Ok(None));
        assert_eq!(unsigned("18446744073709551615"), Ok(Some(u64::MAX)));
        for three in ["3.0", "3.000", "\"3.0\"", "3e0", "0.3e1", "30E-1"] {
            assert_eq!(unsigned(three), Ok(Some(3)), "{three}");
        }
        assert_eq!(unsigned("18446744073709551615.0"), Ok(Some(u64::MAX)));
        for nothing in ["\"\"", "\"  \"", "null"] {
            assert_eq!(unsigned(nothing), Ok(None), "{nothing}");
        }
        for wrong in ["-1", "1.5", "\"x\"", "true", "[1]", "18446744073709551616", "1e300", "-0.5", "\"NaN\"", "\".\""]
        {
            assert_eq!(unsigned(wrong), Err(NotThis), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_written_in_many_ways() {
        for nothing in ["null", "false", "\"\"", "\" \\n\\t\"", "\"\\u0020\"", "[]", "[ ]", "{}", " { } "] {
            assert!(is_nothing(nothing) && is_no(nothing), "{nothing}");
        }
        for nothing in ["\"null\"", "\" NULL \"", "\"undefined\"", "\"None\"", "\"nil\"", "\"nu\\u006cl\""] {
            assert!(is_nothing(nothing) && is_no(nothing), "{nothing}");
        }
        for no in ["0", "0.0", "-0", "\"0\"", "\"false\"", "\"No\""] {
            assert!(is_no(no) && !is_nothing(no), "{no}");
        }
        for something in ["1", "true", "\"1\"", "\"nulls\"", "\"/null\"", "[0]", "{\"a\":1}", "\"[]\"", "\"\\ud83d\""] {
            assert!(!is_nothing(something) && !is_no(something), "{something}");
        }
    }

    #[test]
    fn strings_lose_their_escapes() {
        let url = r#""https:\/\/api.example\/pedido?page=2\u0026q=\u00e7\ud83d\ude80\n\"\\""#;
        assert_eq!(string(url), Ok(Some("https://api.example/pedido?page=2&q=ç🚀\n\"\\".to_owned())));
        assert_eq!(string("7"), Ok(Some("7".to_owned())));
        assert_eq!(string("null"), Ok(None));
        for wrong in ["{}", "true", r#""\ud83d""#, r#""\u12""#, r#""\"#, "\""] {
            assert_eq!(string(wrong), Err(NotThis), "{wrong}");
        }
    }
}
