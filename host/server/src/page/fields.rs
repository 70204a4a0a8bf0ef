//! What was typed into a form, or stands in a query.

use atlas_model::notice;
use atlas_service::Failure;
use url::form_urlencoded;

use crate::query;

/// The name of a form's token.
pub(super) const FORM_TOKEN: &str = "_csrf";
/// Form fields that hold secrets: they are typed again, and never sent back in a page.
const SECRETS: [&str; 4] = ["token", "senha", "valor", "chave"];
/// How a form calls one of an API's settings.
pub(super) const SETTING: &str = "config_";
/// How a form calls the parts of a credential: secrets all of them, whatever they are called beyond
/// that.
pub(super) const PART: &str = "parte_";

/// The fields of a form or a query. Not printable, since they may hold a token or a password.
#[derive(Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// A field's value without the spaces around it; `None` where it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// A field's value with its spaces; empty where it is missing.
    pub(super) fn exactly(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The same as it is shown again.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All that is there.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field's value as a number, if it has one. The failure quotes a value that is no number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.get(name).map(|text| text.parse().map_err(|_| no_number(name, text))).transpose()
    }

    /// A number that has to be there.
    pub(super) fn needed<T: std::str::FromStr>(&self, name: &str) -> Result<T, Failure> {
        self.number(name)?.ok_or_else(|| no_number(name, ""))
    }

    /// The fields as a query, without the form's token, secrets and URLs with a user name in them.
    pub(super) fn kept(&self) -> String {
        let is_kept = |name: &str| name != FORM_TOKEN && !SECRETS.contains(&name) && !name.starts_with(PART);
        let kept = self.0.iter().filter(|(name, value)| is_kept(name) && !value.is_empty() && !has_userinfo(value));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }

    /// The same under the names that are shared with the API.
    pub(super) fn shared(self) -> Self {
        Self(self.0.into_iter().map(|(name, value)| (query::shared(&name).to_owned(), value)).collect())
    }

    /// The fields without those whose name is excluded.
    pub(super) fn without(&self, is_out: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| !is_out(name)).cloned().collect())
    }

    /// The fields as a query, with one of them replaced or removed.
    pub(super) fn with(&self, name: &str, value: Option<&str>) -> String {
        let others = self.0.iter().filter(|(field, value)| field != name && !value.is_empty());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others);
        if let Some(value) = value {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

/// Whether it is a URL with a user's name, and perhaps a password, in it.
fn has_userinfo(text: &str) -> bool {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

fn no_number(name: &str, text: &str) -> Failure {
    Failure::usage(notice!("web-no-number", field = name, value = text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_kept_but_for_secrets() {
        let typed =
            "cliente=7&base_url=https%3A%2F%2Fa.example%2F%40x&token=s&senha=s&parte_token=s&parte_x=s&_csrf=s&chave=s";
        assert_eq!(Fields::parse(typed).kept(), "cliente=7&base_url=https%3A%2F%2Fa.example%2F%40x");
        assert_eq!(Fields::parse("base_url=https%3A%2F%2Fu%3Ap%40a.example").kept(), "");
        assert_eq!(Fields::parse("a=%0D%0A").kept(), "a=%0D%0A");
    }
}
