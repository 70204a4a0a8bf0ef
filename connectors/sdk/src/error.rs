//! What a failure means for the page.

use crate::{BodyError, FetchError, HttpError, RetryHint};

impl FetchError {
    /// A passing fault: the host asks again, after as long as its backoff says.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry(RetryHint { reason: reason.into(), after_ms: None })
    }

    /// What a status that is no success means. 401 and 403 refuse the credential; 408, 425, 429 and
    /// 5xx pass, not before `retry_after_ms`; any other 4xx would be the same the next time; the
    /// rest is no answer to a request.
    #[must_use]
    pub fn from_status(status: u16, retry_after_ms: Option<u64>, body: &[u8]) -> Self {
        let mut reason = format!("HTTP {status}");
        let said = excerpt(body);
        if !said.is_empty() {
            reason.push_str(": ");
            reason.push_str(&said);
        }
        match status {
            401 | 403 => Self::Unauthorized(reason),
            408 | 425 | 429 | 500..=599 => Self::Retry(RetryHint { reason, after_ms: retry_after_ms }),
            400..=499 => Self::Fatal(reason),
            _ => Self::InvalidResponse(reason),
        }
    }
}

impl From<HttpError> for FetchError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Connect(why) => Self::retry(format!("no connection: {why}")),
            HttpError::Interrupted(why) => Self::retry(format!("the connection broke: {why}")),
            HttpError::Timeout(why) => Self::retry(format!("no answer in time: {why}")),
            HttpError::Denied(why) => Self::Fatal(format!("not granted: {why}")),
            HttpError::InvalidRequest(why) => Self::Fatal(format!("not a request: {why}")),
            HttpError::TooLarge(limit) => Self::Fatal(format!("the answer is larger than {limit} bytes")),
            HttpError::Exhausted(why) => Self::Fatal(format!("too much for one page: {why}")),
        }
    }
}

impl From<BodyError> for FetchError {
    fn from(error: BodyError) -> Self {
        match error {
            // A proxy's HTML under status 200, or half a body: as a rule the next answer is whole.
            BodyError::NotJson(why) => Self::retry(why),
            BodyError::Missing(why) => Self::InvalidResponse(why),
            BodyError::NotAnArray(why) => Self::InvalidResponse(why),
            BodyError::TooMany(max) => Self::InvalidResponse(format!("more than {max} records on one page")),
            BodyError::InvalidPointer(why) => Self::Fatal(format!("not a JSON pointer: {why}")),
        }
    }
}

/// The beginning of a body, fit to stand in a line of text.
pub(crate) fn excerpt(body: &[u8]) -> String {
    /// Bytes of a body that a reason quotes: enough for the message, too little for a page of HTML.
    const QUOTED: usize = 200;

    let cut = body.get(..QUOTED).unwrap_or(body);
    let mut text = String::from_utf8_lossy(cut).split_whitespace().collect::<Vec<_>>().join(" ");
    text.retain(|c| !c.is_control());
    if cut.len() < body.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_token_is_unauthorized_and_says_what_the_source_said() {
        let FetchError::Unauthorized(reason) = FetchError::from_status(401, None, b"{\"erro\":\n \"token\"}") else {
            panic!("401 must be unauthorized");
        };
        assert_eq!(reason, r#"HTTP 401: {"erro": "token"}"#);
        assert!(matches!(FetchError::from_status(403, None, b""), FetchError::Unauthorized(_)));
    }

    #[test]
    fn passing_statuses_are_tried_again_when_the_source_says() {
        for status in [408, 425, 429, 500, 503, 599] {
            let FetchError::Retry(hint) = FetchError::from_status(status, Some(1500), b"") else {
                panic!("{status} must be tried again");
            };
            assert_eq!(hint.after_ms, Some(1500));
        }
    }

    #[test]
    fn other_refusals_are_fatal_and_no_answers_are_invalid() {
        assert!(matches!(FetchError::from_status(404, None, b""), FetchError::Fatal(_)));
        assert!(matches!(FetchError::from_status(302, None, b""), FetchError::InvalidResponse(_)));
    }

    #[test]
    fn a_half_body_is_tried_again_and_a_missing_field_is_not() {
        assert!(matches!(BodyError::NotJson(String::new()).into(), FetchError::Retry(_)));
        assert!(matches!(BodyError::Missing(String::new()).into(), FetchError::InvalidResponse(_)));
    }

    #[test]
    fn an_excerpt_is_short_and_one_line_whatever_the_body() {
        let page = "<p>não\u{7}\r\n</p>".repeat(1000);
        let said = excerpt(page.as_bytes());
        assert!(said.len() < 220 && said.ends_with('…'), "{said}");
        assert!(!said.contains(char::is_control));
        assert_eq!(excerpt(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }
}
