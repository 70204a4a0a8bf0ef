//! How long a source wants to be left alone, by what it says of its budget: `Retry-After` of an
//! answer 429 or 503 (RFC 9110, section 10.2.3; RFC 6585, section 4), and the headers by which
//! sources say that nothing is left:
//!
//! - `RateLimit: "name";r=0;t=30` (draft-ietf-httpapi-ratelimit-headers, from -08 on), in seconds
//! - `RateLimit-Remaining`, `RateLimit-Reset` (the same draft up to -07), in seconds
//! - `X-RateLimit-Remaining`, `X-RateLimit-Reset`: in seconds, or the moment as seconds or
//!   milliseconds since 1970 (GitHub)
//! - `X-Rate-Limit-Remaining`, `X-Rate-Limit-Reset`: in milliseconds, or as above (Nuvemshop)

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::HeaderMap;

/// The longest wait that is taken at its word: budgets are daily at most.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// From this on a number is a moment and no wait, in seconds since 1970 (2001), and in
/// milliseconds.
const MOMENT_S: f64 = 1e9;
const MOMENT_MS: f64 = 1e12;

/// The wait that an answer's headers ask for, and by what name. `None`: they ask for none.
pub(super) fn wait(
    status: u16,
    headers: &HeaderMap,
    retry_after: Option<Duration>,
    now: SystemTime,
) -> Option<(&'static str, Duration)> {
    let asked = retry_after.filter(|_| matches!(status, 429 | 503)).map(|wait| ("Retry-After", wait));
    let spent = spent(headers, now);
    let longest = asked.into_iter().chain(spent).max_by_key(|(_, wait)| *wait);
    longest.map(|(name, wait)| (name, wait.min(LONGEST))).filter(|(_, wait)| !wait.is_zero())
}

fn spent(headers: &HeaderMap, now: SystemTime) -> Option<(&'static str, Duration)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let reset = |remaining: &str, reset: &'static str, unit: f64| {
        let left = number(remaining)?;
        (left <= 0.0).then_some(())?;
        Some((reset, until(number(reset)?, unit, now)?))
    };
    structured(headers)
        .or_else(|| reset("ratelimit-remaining", "ratelimit-reset", 1.0))
        .or_else(|| reset("x-ratelimit-remaining", "x-ratelimit-reset", 1.0))
        .or_else(|| reset("x-rate-limit-remaining", "x-rate-limit-reset", 0.001))
}

/// `"name";r=0;t=30`, of several the longest wait.
fn structured(headers: &HeaderMap) -> Option<(&'static str, Duration)> {
    let text = headers.get("ratelimit")?.to_str().ok()?;
    let parameter = |item: &str, name: &str| {
        item.split(';').skip(1).find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')?.parse::<f64>().ok())
    };
    let spent = |item: &str| parameter(item, "r").filter(|left| *left <= 0.0).and_then(|_| parameter(item, "t"));
    let longest = text
        .split(',')
        .filter_map(spent)
        .fold(None, |longest: Option<f64>, wait| Some(longest.map_or(wait, |longest| longest.max(wait))))?;
    Some(("ratelimit", Duration::try_from_secs_f64(longest).ok()?))
}

/// How long it is until then: a number of so many seconds each, or a moment.
pub(super) fn until(number: f64, unit: f64, now: SystemTime) -> Option<Duration> {
    let moment = match number {
        n if n >= MOMENT_MS => n / 1000.0,
        n if n >= MOMENT_S => n,
        n => return Duration::try_from_secs_f64(n * unit).ok(),
    };
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Duration::try_from_secs_f64((moment - now).max(0.0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, retry_after: Option<u64>, pairs: &[(&'static str, &str)]) -> Option<(&'static str, u64)> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap_or_else(|e| panic!("{e}")));
        }
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let wait = wait(status, &headers, retry_after.map(Duration::from_secs), now)?;
        Some((wait.0, u64::try_from(wait.1.as_millis()).unwrap_or(u64::MAX)))
    }

    #[test]
    fn a_wait_is_asked_for_by_a_refusal_or_by_a_budget_that_is_spent() {
        assert_eq!(read(429, Some(7), &[]), Some(("Retry-After", 7_000)));
        assert_eq!(read(503, Some(7), &[]), Some(("Retry-After", 7_000)));
        assert_eq!(read(200, Some(7), &[]), None);
        let spent = |reset: &'static str, value: &str| {
            let remaining: &'static str = match reset {
                "ratelimit-reset" => "ratelimit-remaining",
                "x-ratelimit-reset" => "x-ratelimit-remaining",
                _ => "x-rate-limit-remaining",
            };
            read(200, None, &[(remaining, "0"), (reset, value)]).map(|(name, wait)| {
                assert_eq!(name, reset);
                wait
            })
        };
        assert_eq!(spent("ratelimit-reset", "30"), Some(30_000));
        assert_eq!(spent("x-ratelimit-reset", "1.5"), Some(1_500));
        assert_eq!(spent("x-ratelimit-reset", "1700000060"), Some(60_000));
        assert_eq!(spent("x-ratelimit-reset", "1700000060500"), Some(60_500));
        assert_eq!(spent("x-ratelimit-reset", "1600000000"), None);
        assert_eq!(spent("x-rate-limit-reset", "250"), Some(250));
        assert_eq!(
            read(200, None, &[("ratelimit", r#""default";r=0;t=12, "day";r=5;t=9000"#)]),
            Some(("ratelimit", 12_000))
        );
        // The longer of two.
        assert_eq!(read(429, Some(2), &[("ratelimit", r#""a";r=0;t=12"#)]), Some(("ratelimit", 12_000)));
    }

    #[test]
    fn what_says_nothing_or_nonsense_asks_for_nothing() {
        for pairs in [
            &[("ratelimit-remaining", "3"), ("ratelimit-reset", "30")][..],
            &[("ratelimit-remaining", "0")],
            &[("ratelimit-reset", "30")],
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "soon")],
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "-5")],
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "NaN")],
            &[("ratelimit", "r=0;t=12")],
            &[("ratelimit", "\"a\";r=0;t=x")],
        ] {
            assert_eq!(read(200, None, pairs), None, "{pairs:?}");
        }
        let endless = read(200, None, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "1e8")]);
        assert_eq!(endless.map(|(_, wait)| wait), Some(24 * 60 * 60 * 1000));
    }
}
