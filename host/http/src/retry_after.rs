//! The wait that an answer asks for: `Retry-After` in seconds, in fractions of them (Shopify sends
//! `2.0`), or as a date (RFC 9110, section 10.2.3); and what sources write there besides, such as a
//! moment in seconds since 1970.

use std::time::{Duration, SystemTime};

use chrono::DateTime;

use super::rate_headers;

/// The longest wait that is taken at its word; what is longer counts as this. A day, since budgets
/// are daily at most.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the header's value. A date in the past is no wait. `None`: it says nothing.
pub(super) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim().trim_matches('"').trim();
    let wait = match number(value) {
        Some(number) => rate_headers::until(number, 1.0, now).unwrap_or(LONGEST),
        None => date(value)?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST))
}

/// Seconds, with their unit or without: `120`, `2.5`, `120s`, `120 seconds`. Of what proxies joined
/// (`120, 120`) the first.
fn number(value: &str) -> Option<f64> {
    let first = value.split(',').next().unwrap_or_default();
    let letters = first.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim();
    let digits = match letters.to_ascii_lowercase().as_str() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => first.strip_suffix(letters)?.trim(),
        // With an exponent.
        _ => first.trim(),
    };
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.').then(|| digits.parse().ok())?
}

/// A date as HTTP has it, or as other standards do (RFC 5322, RFC 3339).
fn date(value: &str) -> Option<SystemTime> {
    let other = || DateTime::parse_from_rfc2822(value).or_else(|_| DateTime::parse_from_rfc3339(value)).ok();
    httpdate::parse_http_date(value).ok().or_else(|| Some(other()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_fractions_and_dates_are_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |text| parse(text, now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read(" 2.5 "), Some(Duration::from_millis(2500)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("1e300"), Some(LONGEST));
        for nothing in ["", "soon", "-5", "1.2.3", "inf", "NaN", "s", ",", "5 minutes", "1h", "2s3"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_no_standard_has_and_sources_write_is_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_784_111_777);
        for (text, seconds) in [
            ("120s", 120),
            ("120 Seconds", 120),
            ("\"120\"", 120),
            ("120, 120", 120),
            ("1784111787", 10),
            ("1784111787000", 10),
            ("1784111767", 0),
            ("Wed, 15 Jul 2026 10:36:27 +0000", 10),
            ("Wed, 15 Jul 2026 07:36:27 -0300", 10),
            ("2026-07-15T10:36:27Z", 10),
            ("2026-07-15T07:36:27-03:00", 10),
            ("2026-07-15T10:36:07Z", 0),
        ] {
            assert_eq!(parse(text, now), Some(Duration::from_secs(seconds)), "{text}");
        }
    }
}
