//! From the outcome of a call to the pipeline's: why there is no page, and what can be done about
//! it.

use std::time::Duration;

use atlas_http::{PageMeter, Refusal, WAIT_MAX};
use atlas_pipeline::FetchFailure;
use atlas_sandbox::{CallError, FetchError, REASON_READ, REASON_SHOWN, cut};
use chrono::{SecondsFormat, Utc};

/// The longest that a secret may be, however it is encoded. This many bytes before the cut of a
/// text are not shown, since they may be the beginning of one.
const SECRET_READ: usize = 16 * 1024;

/// Why a call gave no page. `meter` is the account of its requests, and `api` the connector's.
pub(super) fn failure(error: CallError, meter: &PageMeter, api: &str) -> FetchFailure {
    match error {
        CallError::Limit(limit) => FetchFailure::Limit { name: limit.name, value: limit.value },
        CallError::Trapped(reason) | CallError::Lost(reason) => FetchFailure::Crashed(reason),
        CallError::NoMemory(_) | CallError::Late { .. } => {
            FetchFailure::Passing { reason: error.to_string(), wait: None }
        }
        CallError::Mistake(what) => seen_limit(meter).unwrap_or(FetchFailure::Mistake(what)),
        CallError::Returned(error) => seen(meter, api).unwrap_or_else(|| said(error, meter)),
    }
}

/// The limit that a request of the page went past. It is the operator's to raise, whatever the
/// connector makes of it; trying again would only meet it again.
fn seen_limit(meter: &PageMeter) -> Option<FetchFailure> {
    meter.limit.map(|(name, value)| FetchFailure::Limit { name, value })
}

/// The failure that the host saw itself: a missing grant is the operator's to give, even if the
/// connector calls the failure passing.
fn seen(meter: &PageMeter, api: &str) -> Option<FetchFailure> {
    if let Some(limit) = seen_limit(meter) {
        return Some(limit);
    }
    Some(match meter.refusal.clone()? {
        Refusal::NotGranted(what) => FetchFailure::NotGranted(what),
        Refusal::Headers(headers) => FetchFailure::HeadersNotGranted { api: api.to_owned(), headers },
        Refusal::Address(refused) => FetchFailure::AddressRefused {
            host: refused.host,
            address: refused.address,
            class: refused.class.name(),
            grantable: refused.class.is_grantable(),
        },
        Refusal::Untrusted(why) => FetchFailure::Untrusted(why),
        Refusal::Unreadable(why) => FetchFailure::InvalidResponse(why),
        Refusal::Mistake(why) => FetchFailure::Mistake(why),
    })
}

/// The connector's verdict, with what the host itself saw: an answer that was a passing fault stays
/// one if the connector took it for a broken contract, and the wait that it asked for holds
/// whatever the connector said.
fn said(error: FetchError, meter: &PageMeter) -> FetchFailure {
    let (passing, asked) = (meter.passing_fault, meter.retry_after);
    let failure = match error {
        FetchError::Retry { reason, after } => {
            let status = meter.status.filter(|_| !passing);
            let wait = asked.max(after);
            match status {
                // A connector that says when to ask again after an answer of success polls.
                Some(status @ 200..=299) if status == 202 || after.is_some() => {
                    FetchFailure::NotReady { reason, wait: wait.unwrap_or_default() }
                }
                _ => FetchFailure::Passing { reason, wait },
            }
        }
        FetchError::Unauthorized(reason) => FetchFailure::Unauthorized(reason),
        FetchError::Quota { reason, until } => FetchFailure::Quota { reason, until },
        FetchError::InvalidResponse(reason) if passing => FetchFailure::Passing { reason, wait: asked },
        FetchError::InvalidResponse(reason) => FetchFailure::InvalidResponse(reason),
        FetchError::Fatal(reason) => FetchFailure::Fatal(reason),
    };
    let answered = meter.answered.as_deref();
    // JSON that is tried again was cut short, as a rule: that is records, and no message.
    let is_passing = matches!(failure, FetchFailure::Passing { .. } | FetchFailure::NotReady { .. });
    let is_json = |answered: &&str| answered.split_once(": ").is_some_and(|(_, body)| body.starts_with(['{', '[']));
    let answered = answered.filter(|answered| !(is_passing && is_json(answered)));
    failure.map_reason(|reason| with_answer(reason, answered))
}

/// A reason with what the source answered, unless the connector quotes it already: under status 200
/// an API may say what is wrong, and a connector that looks for records only finds none.
fn with_answer(reason: String, answered: Option<&str>) -> String {
    /// Bytes of an answer by which a quotation is known: quotations are cut, and differ in how they
    /// write blanks.
    const KNOWN_BY: usize = 24;

    let said = answered.and_then(|answered| answered.split_once(": ")).map_or("", |(_, body)| body);
    let known_by = &said[..said.floor_char_boundary(KNOWN_BY)];
    match answered {
        Some(answered) if !known_by.is_empty() && !reason.contains(known_by) => format!("{reason} [{answered}]"),
        _ => reason,
    }
}

/// The failure of a page whose budget is spent: a short wait is sat out, a longer one suspends the
/// scrap until then.
pub(super) fn later(why: String, wait: Duration) -> FetchFailure {
    if wait <= WAIT_MAX {
        return FetchFailure::Passing { reason: why, wait: Some(wait) };
    }
    let until = chrono::TimeDelta::from_std(wait).ok().and_then(|wait| Utc::now().checked_add_signed(wait));
    FetchFailure::Quota { reason: why, until: until.map(|until| until.to_rfc3339_opts(SecondsFormat::Secs, true)) }
}

/// What is shown of a reason, without the secrets that `redact` takes out of it.
pub(super) fn told(reason: String, redact: impl FnOnce(String) -> String) -> String {
    let reason = cut(reason, REASON_READ);
    let near_a_cut = if reason.len() + char::MAX_LEN_UTF8 > REASON_READ { SECRET_READ } else { 0 };
    let cleaned = redact(reason);
    // Without its secrets a text may be short enough for its end to be shown.
    let whole = cleaned.len().saturating_sub(near_a_cut);
    cut(cleaned, whole.min(REASON_SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_that_says_when_to_ask_again_after_a_good_answer_polls() {
        let failed = |status: u16, after_ms: Option<u64>| {
            let passing_fault = matches!(status, 408 | 425 | 429 | 500..=599);
            let mut meter = PageMeter::default();
            (meter.status, meter.passing_fault) = (Some(status), passing_fault);
            let after = after_ms.map(Duration::from_millis);
            let retry = FetchError::Retry { reason: "not yet".to_owned(), after };
            failure(CallError::Returned(retry), &meter, "api")
        };
        for (status, after_ms) in [(200, Some(5_000)), (202, Some(0)), (202, None), (204, Some(1))] {
            let failed = failed(status, after_ms);
            assert!(matches!(failed, FetchFailure::NotReady { .. }), "{status}, {after_ms:?}: {failed:?}");
        }
        // Half a body under 200 is a fault, and so is what the source itself calls one.
        for (status, after_ms) in [(200, None), (429, Some(5_000)), (503, Some(5_000)), (404, Some(1))] {
            let failed = failed(status, after_ms);
            assert!(matches!(failed, FetchFailure::Passing { .. }), "{status}, {after_ms:?}: {failed:?}");
        }
    }

    #[test]
    fn no_piece_of_a_secret_is_left_where_a_reason_is_cut() {
        let secret = "s3gredo".repeat(400);
        let told = |reason: String| told(reason, |reason| reason.replace(&secret, "***"));
        assert_eq!(told("x".repeat(8 * 1024 * 1024)).len(), REASON_SHOWN);
        for before in [0, 1, 7, 1000, 2000, secret.len()] {
            let at_the_end = "x".repeat(REASON_SHOWN - before) + &secret + &"x".repeat(100);
            assert!(!told(at_the_end).contains("s3g"), "{before} bytes before what is shown ends");
            let many = "x".repeat(before) + &secret.repeat(REASON_READ / secret.len() + 1);
            assert!(!told(many).contains("s3g"), "{before} bytes before the first of many");
        }
        assert_eq!(told(format!("a {secret} b")), "a *** b");
    }
}
