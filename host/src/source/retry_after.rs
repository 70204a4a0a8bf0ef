//! The wait that an answer asks for: `Retry-After` in seconds, in fractions of them (Shopify sends `2.0`), or as a date
//! (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

/// The longest wait that is taken at its word; what is longer counts as this. A day, since budgets are daily at most.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the header's value. A date in the past is no wait. `None`: it says nothing.
pub(super) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if value.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !value.contains(' ') {
        let seconds: f64 = value.parse().ok()?;
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST);
        return Some(wait.min(LONGEST));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(LONGEST))
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
        for nothing in ["", "soon", "-5", "1.2.3", "inf", "NaN"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }
}
