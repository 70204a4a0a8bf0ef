//! One secret, and a credential's named parts. None of these types can be printed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// A token, password or key.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the request that carries it and the store that keeps it alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }
}

/// A credential's parts by their names: `token`; `username` and `password`; `client_id`,
/// `client_secret`, `refresh_token`, `token_url`, `scope` and `client_auth`; or what a connector's
/// placeholders are called.
#[derive(Clone, Default)]
pub struct Parts(BTreeMap<String, Secret>);

/// Parts that one credential may have.
const PARTS_MAX: usize = 16;
/// Bytes of a part's name.
const NAME_MAX: usize = 64;
/// Bytes of one part: long enough for a signed token with many claims.
pub const PART_MAX: usize = 16 * 1024;
/// Parts that say where and how to ask for a token, or for whom. They stand in records and
/// documents too: they are not looked for in answers.
const OPEN_PARTS: [&str; 4] = ["token_url", "scope", "client_id", "client_auth"];

impl Parts {
    /// A single token.
    pub fn of_token(token: Secret) -> Self {
        Self(BTreeMap::from([("token".to_owned(), token)]))
    }

    /// Reads a JSON object of texts, or lines `NAME=value` as a `.env` has them: with comments, and
    /// with quotes around a value or without. An error never shows what was read.
    pub fn parse(text: &str) -> Result<Self, PartsError> {
        let parts = if text.trim_start().starts_with('{') {
            Self::read_json(text).map_err(|error| PartsError::NotJson(error.line()))?
        } else {
            let mut parts = Self::default();
            let says_nothing = |line: &str| line.trim().is_empty() || line.trim().starts_with('#');
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !says_nothing(line)) {
                let (name, value) = line.split_once('=').ok_or(PartsError::BadLine(number + 1))?;
                parts.set(name.trim(), Secret::new(unquoted(value.trim()).to_owned()));
            }
            parts
        };
        parts.checked()
    }

    /// A credential of parts given one by one, checked like those that are parsed.
    pub fn of(named: impl IntoIterator<Item = (String, Secret)>) -> Result<Self, PartsError> {
        Self(named.into_iter().collect()).checked()
    }

    fn checked(self) -> Result<Self, PartsError> {
        let name_fits = |name: &String| {
            let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
            !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(known)
        };
        match self.0.iter().find(|(name, value)| !name_fits(name) || value.is_empty() || value.0.len() > PART_MAX) {
            _ if self.0.is_empty() || self.0.len() > PARTS_MAX => Err(PartsError::Count),
            Some((name, _)) if name_fits(name) => Err(PartsError::BadValue(name.clone())),
            Some(_) => Err(PartsError::BadName),
            None => Ok(self),
        }
    }

    /// A part; one that is empty counts as missing.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|part| !part.is_empty())
    }

    /// Sets a part.
    pub fn set(&mut self, name: &str, value: Secret) {
        self.0.insert(name.to_owned(), value);
    }

    /// The parts' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The only part, if that is a token.
    pub fn only_token(&self) -> Option<&Secret> {
        self.get("token").filter(|_| self.0.len() == 1)
    }

    /// The parts that are redacted in answers. A user name is among them where there is no password
    /// beside it: then it is the key.
    pub fn hidden(&self) -> impl Iterator<Item = &Secret> {
        let has_password = self.get("password").is_some();
        let shown = move |name: &str| OPEN_PARTS.contains(&name) || (name == "username" && has_password);
        self.0.iter().filter(move |(name, _)| !shown(name)).map(|(_, part)| part)
    }

    /// As the store keeps them: a JSON object.
    pub fn to_json(&self) -> Secret {
        let exposed: BTreeMap<&str, &str> = self.0.iter().map(|(name, part)| (name.as_str(), part.expose())).collect();
        to_json(&exposed)
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub fn from_json(text: &str) -> Option<Self> {
        Self::read_json(text).ok()
    }

    fn read_json(text: &str) -> serde_json::Result<Self> {
        let read: BTreeMap<String, String> = serde_json::from_str(text)?;
        Ok(Self(read.into_iter().map(|(name, part)| (name, Secret::new(part))).collect()))
    }
}

/// A value without the quotes around it, if it has such.
fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// What is wrong with parts as they were typed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PartsError {
    /// It begins like a JSON object, and is not one of texts.
    #[error("line {0}: not a JSON object whose values are texts")]
    NotJson(usize),
    /// A line without `=`.
    #[error("line {0} is not NAME=value")]
    BadLine(usize),
    /// A name that cannot be one.
    #[error("a part's name must be 1 to 64 characters of a-z, 0-9, '-' and '_'")]
    BadName,
    /// Nothing, or too much.
    #[error("the part {0} must have 1 to 16384 bytes")]
    BadValue(String),
    /// No parts, or too many.
    #[error("a credential has 1 to 16 parts")]
    Count,
}

/// An OAuth 2 access token.
#[derive(Clone)]
pub struct AccessToken {
    /// The token.
    pub token: Secret,
    /// From when on it is to be renewed, in seconds of the Unix epoch; none: when it is refused.
    pub renew_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredAccessToken<T> {
    token: T,
    renew_at: Option<i64>,
}

impl AccessToken {
    /// Whether it is still to be used at this moment, in seconds of the Unix epoch.
    pub fn is_fresh(&self, now: i64) -> bool {
        self.renew_at.is_none_or(|renew_at| now < renew_at)
    }

    /// As the store keeps it.
    pub fn to_json(&self) -> Secret {
        to_json(&StoredAccessToken { token: self.token.expose(), renew_at: self.renew_at })
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub fn from_json(text: &str) -> Option<Self> {
        let read: StoredAccessToken<String> = serde_json::from_str(text).ok()?;
        Some(Self { token: Secret::new(read.token), renew_at: read.renew_at })
    }
}

/// Texts and numbers as JSON, which cannot fail.
fn to_json(value: &impl Serialize) -> Secret {
    Secret::new(serde_json::to_string(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(Secret: std::fmt::Debug, std::fmt::Display, serde::Serialize, PartialEq);
    static_assertions::assert_not_impl_any!(Parts: std::fmt::Debug, std::fmt::Display, serde::Serialize, PartialEq);
    static_assertions::assert_not_impl_any!(AccessToken: std::fmt::Debug, std::fmt::Display, serde::Serialize, PartialEq);

    fn parse(text: &str) -> Result<Vec<(String, String)>, PartsError> {
        let parts = Parts::parse(text)?;
        Ok(parts.0.iter().map(|(name, part)| (name.clone(), part.expose().to_owned())).collect())
    }

    #[test]
    fn parts_are_read_from_lines_or_from_a_json_object() {
        let expected =
            vec![("client_id".to_owned(), "id".to_owned()), ("client_secret".to_owned(), "a=b c".to_owned())];
        assert_eq!(parse("client_id=id\n\nclient_secret = a=b c\n"), Ok(expected.clone()));
        assert_eq!(parse("# bling\nclient_id='id'\n client_secret=\"a=b c\" \r\n"), Ok(expected.clone()));
        assert_eq!(parse(r#" {"client_id": "id", "client_secret": "a=b c"} "#), Ok(expected));
    }

    #[test]
    fn parts_that_are_none_are_refused_without_showing_them() {
        assert_eq!(parse(r#"{"token": 1}"#), Err(PartsError::NotJson(1)));
        assert_eq!(parse("\na=1\nsegredo"), Err(PartsError::BadLine(3)));
        assert_eq!(parse("Segredo Secreto=1"), Err(PartsError::BadName));
        assert_eq!(parse("token="), Err(PartsError::BadValue("token".into())));
        assert_eq!(parse(""), Err(PartsError::Count));
    }

    #[test]
    fn what_the_store_keeps_is_read_again() {
        let mut parts = Parts::of_token(Secret::new("a\"b".into()));
        parts.set("scope", Secret::new("x y".into()));
        let read = Parts::from_json(parts.to_json().expose()).unwrap_or_default();
        assert_eq!(read.get("token").map(Secret::expose), Some("a\"b"));
        assert_eq!(read.names().collect::<Vec<_>>(), ["scope", "token"]);
        let access = AccessToken { token: Secret::new("t".into()), renew_at: Some(7) };
        let read = AccessToken::from_json(access.to_json().expose());
        assert_eq!(read.map(|a| (a.token.expose().to_owned(), a.renew_at)), Some(("t".into(), Some(7))));
    }

    #[test]
    fn a_users_name_is_a_secret_only_where_it_is_the_key() {
        let hidden = |text: &str| -> Vec<String> {
            let parts = Parts::parse(text).unwrap_or_default();
            parts.hidden().map(|part| part.expose().to_owned()).collect()
        };
        assert_eq!(hidden("username=maria\npassword=segredo"), ["segredo"]);
        assert_eq!(hidden("username=chave"), ["chave"]);
        assert_eq!(hidden("client_id=i\nscope=s\ntoken_url=u\nrefresh_token=r"), ["r"]);
    }
}
