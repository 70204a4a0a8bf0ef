//! Parses a token URL's answer as leniently as other clients do: harmless deviations from RFC 6749
//! are accepted, and a refusal is reported with the source's own words and status.

use serde_json::{Map, Value};

use super::credentials::Redactor;
use super::message::SendError;

/// Characters of a refusal that are shown, and of its code, which is an identifier of a few.
const SAID_MAX: usize = 200;
const CODE_MAX: usize = 64;
/// Members in which APIs say what is wrong. No other member is shown of an answer that may hold a
/// token.
const SAYING: [&str; 10] =
    ["error", "error_description", "erro", "code", "status", "title", "message", "mensagem", "msg", "detail"];

/// An answer's JSON as section 5.1 of RFC 6749 has it, from an answer of this status.
///
/// # Errors
/// `Interrupted` for what may pass; `CredentialRefused` for a refusal, and for whatever else is no
/// token.
pub(super) fn token_answer(status: u16, body: &[u8], redactor: &Redactor) -> Result<Vec<u8>, SendError> {
    let json: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    match status {
        408 | 425 | 429 | 500..=599 => {
            Err(SendError::Interrupted(format!("HTTP {status}{}", said(json.as_ref(), body, redactor))))
        }
        200..=299 => match json {
            Some(answer) if text(&answer, "access_token").is_some() => Ok(strict(answer)),
            Some(answer) => Err(refused(status, &said_by(&answer, redactor))),
            // A proxy's page in the place of an answer: as a rule the next one is whole.
            None => Err(SendError::Interrupted(format!("HTTP {status}{}", said(None, body, redactor)))),
        },
        _ => Err(refused(status, &said(json.as_ref(), body, redactor))),
    }
}

fn refused(status: u16, said: &str) -> SendError {
    SendError::CredentialRefused(format!("the token URL answered HTTP {status}{said}"))
}

/// The answer without what the library refuses: no type of token, a life that is a string, members
/// that are there and say nothing.
fn strict(mut answer: Map<String, Value>) -> Vec<u8> {
    let kind = text(&answer, "token_type").map_or_else(|| "bearer".to_owned(), str::to_owned);
    answer.insert("token_type".to_owned(), kind.into());
    if let Some(life) = answer.remove("expires_in").as_ref().and_then(seconds) {
        answer.insert("expires_in".to_owned(), life.into());
    }
    if text(&answer, "refresh_token").is_none() {
        answer.remove("refresh_token");
    }
    match answer.remove("scope") {
        Some(Value::String(scope)) => drop(answer.insert("scope".to_owned(), scope.into())),
        Some(Value::Array(scopes)) => {
            let scopes: Vec<&str> = scopes.iter().filter_map(Value::as_str).collect();
            answer.insert("scope".to_owned(), scopes.join(" ").into());
        }
        _ => {}
    }
    Value::Object(answer).to_string().into_bytes()
}

/// Texts that programs write for a missing value.
const NOTHING: [&str; 7] = ["null", "undefined", "none", "nil", "false", "[]", "{}"];

/// A member's text, unless it is blank or stands for a missing value: a token has a visible
/// character (RFC 6749, appendix A).
fn text<'a>(answer: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let says_something = |text: &&str| {
        let plain = text.trim().trim_matches(['"', '\'']);
        plain.chars().any(|c| c.is_ascii_graphic())
            && !NOTHING.iter().any(|nothing| plain.eq_ignore_ascii_case(nothing))
    };
    answer.get(name).and_then(Value::as_str).filter(says_something)
}

/// Whole seconds, be they written as a number or as a string; none for what is neither, and for a
/// life without any: a token that it is given with is to be used all the same.
fn seconds(life: &Value) -> Option<u64> {
    let seconds = match life {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (seconds.is_finite() && seconds >= 1.0).then_some(seconds as u64)
}

/// The reason in an answer that has no token: its members with a message, else its beginning.
fn said(json: Option<&Map<String, Value>>, body: &[u8], redactor: &Redactor) -> String {
    let by_members = json.map(|answer| said_by(answer, redactor)).unwrap_or_default();
    if !by_members.is_empty() {
        return by_members;
    }
    let text = String::from_utf8_lossy(body).split_whitespace().collect::<Vec<_>>().join(" ");
    let text = shown(&text, SAID_MAX, redactor);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// The members in which an answer says what is wrong, nested ones too.
fn said_by(answer: &Map<String, Value>, redactor: &Redactor) -> String {
    let mut said = String::new();
    for name in SAYING {
        let most = if name == "error" { CODE_MAX } else { SAID_MAX };
        match answer.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => {
                said.push_str(": ");
                said.push_str(&shown(text, most, redactor));
            }
            Some(number @ Value::Number(_)) => {
                said.push_str(": ");
                said.push_str(&number.to_string());
            }
            Some(Value::Object(inner)) => said.push_str(&said_by(inner, redactor)),
            _ => {}
        }
    }
    said.chars().take(CODE_MAX + 2 * SAID_MAX).collect()
}

/// A token URL's own words, without the credential's secrets, and cut: in this order, for what is
/// left of a secret that was cut is not recognised any more.
fn shown(text: &str, max: usize, redactor: &Redactor) -> String {
    redactor.clean_text(text.to_owned()).chars().take(max).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::credentials::{AuthScheme, Endpoint};
    use super::*;
    use atlas_model::Secret;
    use atlas_model::{Access, DefaultFor};

    /// One that looks for this token.
    fn redactor(token: &str) -> Arc<Redactor> {
        let access = Access {
            active: true,
            token: Secret::new(token.to_owned()),
            default_base_url: Some("https://erp.example".to_owned()),
            default_private: false,
            default_for: DefaultFor::ThisApi,
            api: None,
            parts: None,
            access_token: None,
        };
        Endpoint::resolve(access, "bling", &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}")).redactor()
    }

    fn taken(body: &str) -> Value {
        let answer = token_answer(200, body.as_bytes(), &redactor("nenhum-segredo")).unwrap_or_else(|e| panic!("{e}"));
        serde_json::from_slice(&answer).unwrap()
    }

    fn told(status: u16, body: &str) -> SendError {
        token_answer(status, body.as_bytes(), &redactor("segredo-do-cliente")).err().unwrap_or_else(|| panic!("{body}"))
    }

    #[test]
    fn what_differs_from_the_standard_and_does_no_harm_is_taken() {
        let plain = serde_json::json!({ "access_token": "a", "token_type": "bearer", "expires_in": 3600 });
        for body in [
            r#"{"access_token":"a","token_type":"bearer","expires_in":3600}"#,
            r#"{"access_token":"a","expires_in":"3600"}"#,
            r#"{"access_token":"a","token_type":"","expires_in":" 3600 ","refresh_token":""}"#,
            r#"{"access_token":"a","token_type":null,"expires_in":3600.0,"refresh_token":null,"scope":null}"#,
            r#"{"access_token":"a","expires_in":"3600.5","refresh_token":"  ","scope":false}"#,
            r#"{"access_token":"a","token_type":"null","expires_in":3600,"refresh_token":"null"}"#,
            r#"{"access_token":"a","token_type":[],"expires_in":3600,"refresh_token":[]}"#,
            r#"{"access_token":"a","token_type":{},"expires_in":3600,"refresh_token":{}}"#,
            r#"{"access_token":"a","token_type":0,"expires_in":3600,"refresh_token":0}"#,
            r#"{"access_token":"a","token_type":false,"expires_in":3600,"refresh_token":false}"#,
            r#"{"access_token":"a","expires_in":3600,"refresh_token":"\u00a0\u200b\u0000"}"#,
            r#"{"access_token":"a","expires_in":3600,"refresh_token":" Undefined "}"#,
            r#"{"access_token":"a","expires_in":3600,"refresh_token":"\"\""}"#,
            r#"{"access_token":"a","expires_in":3600,"refresh_token":"None"}"#,
        ] {
            assert_eq!(taken(body), plain, "{body}");
        }
        for life in ["null", "-1", "0", "\"0\"", "\"\"", "\"nunca\"", "false", "[]", "{}", "0.5", "\"inf\"", "\"NaN\""]
        {
            let body = format!(r#"{{"access_token":"a","expires_in":{life}}}"#);
            let body = body.as_str();
            assert_eq!(taken(body), serde_json::json!({ "access_token": "a", "token_type": "bearer" }), "{body}");
        }
        assert_eq!(taken(r#"{"access_token":"a","scope":["x","y"]}"#)["scope"], "x y");
        assert_eq!(taken(r#"{"access_token":"a","refresh_token":"r"}"#)["refresh_token"], "r");
    }

    #[test]
    fn a_refusal_is_told_with_its_status_and_the_sources_own_words() {
        for (status, body, said) in [
            (400, r#"{"error":"invalid_grant","error_description":"expirou"}"#, "HTTP 400: invalid_grant: expirou"),
            (401, r#"{"error":{"code":7,"message":"chave segredo-do-cliente"}}"#, "HTTP 401: 7: chave ***"),
            (403, "<p>acesso\n negado</p>", "HTTP 403: <p>acesso negado</p>"),
            (404, "", "HTTP 404"),
            (302, "", "HTTP 302"),
            // Whatever else stands in it may be a token.
            (
                200,
                r#"{"status":"erro","mensagem":"cliente bloqueado","token":"novo"}"#,
                "HTTP 200: erro: cliente bloqueado",
            ),
            (200, r#"{"access_token":" ","token":"novo"}"#, "HTTP 200"),
            (200, r#"{"access_token":7}"#, "HTTP 200"),
            (200, r#"{"access_token":"null"}"#, "HTTP 200"),
            (200, r#"{"access_token":"\u200b"}"#, "HTTP 200"),
            (200, r#"{"access_token":[]}"#, "HTTP 200"),
        ] {
            let refused = SendError::CredentialRefused(format!("the token URL answered {said}"));
            assert_eq!(told(status, body), refused, "{body}");
        }
    }

    #[test]
    fn a_passing_fault_is_none_of_the_credentials() {
        for (status, body) in [(429, "{}"), (503, r#"{"error":"invalid_grant"}"#), (200, "<html>"), (200, "")] {
            assert!(matches!(told(status, body), SendError::Interrupted(_)), "{status} {body}");
        }
    }

    #[test]
    fn a_token_that_a_refusal_echoes_is_taken_out_before_the_refusal_is_cut() {
        let token: String = (0..190_u8).map(|n| char::from(b'a' + n % 26)).collect();
        let redactor = redactor(&token);
        let refused = |code: &str, description: &str| {
            let body = serde_json::json!({ "error": code, "error_description": description }).to_string();
            token_answer(400, body.as_bytes(), &redactor).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let echo = format!("{}{token}", "-".repeat(25));
        assert!(refused("invalid_grant", &echo).ends_with(&format!("invalid_grant: {}***", "-".repeat(25))));
        let why = refused(&echo, &"x".repeat(10_000));
        assert!(!why.contains(&token[..8]) && why.len() < CODE_MAX + SAID_MAX + 100, "{why}");
        assert!(refused(&"x".repeat(10_000), "").len() < CODE_MAX + 100);
    }
}
