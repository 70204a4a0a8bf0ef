//! The texts for operators, in Brazilian Portuguese and in English: one catalogue file for each, in
//! Fluent's format (<https://projectfluent.org>), whose messages are the same by name.
//!
//! A message for an error has an attribute `.fix`, which says what to do about it; where that is a
//! command, `.page` says it for the page.

mod details;

use std::borrow::Cow;

use atlas_model::Notice;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use fluent_syntax::ast::Pattern;
use unic_langid::LanguageIdentifier;

/// A language that operators can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// Brazilian Portuguese, the users' own.
    #[default]
    PtBr,
    /// English.
    En,
}

impl Lang {
    /// The language that a setting or a locale names (`pt-BR`, `pt_BR.UTF-8`, `en`); `None` if we
    /// have no catalogue for it.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        match name.split(['-', '_', '.', '@']).next() {
            Some("pt") => Some(Self::PtBr),
            Some("en") => Some(Self::En),
            _ => None,
        }
    }

    /// As settings write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PtBr => "pt-BR",
            Self::En => "en",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::PtBr => include_str!("../locales/pt-BR.ftl"),
            Self::En => include_str!("../locales/en.ftl"),
        }
    }
}

/// The messages of one language.
pub struct Catalogue {
    lang: Lang,
    bundle: FluentBundle<FluentResource>,
}

impl Catalogue {
    /// Reads a language's file. The files are part of the program, and tests hold them against each
    /// other: what cannot be read of one is left out.
    pub fn new(lang: Lang) -> Self {
        let resource = match FluentResource::try_new(lang.source().to_owned()) {
            Ok(resource) => resource,
            Err((partial, _)) => partial,
        };
        let id: LanguageIdentifier = lang.name().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![id]);
        // Marks around arguments would end up in terminals, logs and scripts.
        bundle.set_use_isolating(false);
        bundle.add_resource_overriding(resource);
        Self { lang, bundle }
    }

    /// The language.
    pub fn lang(&self) -> Lang {
        self.lang
    }

    /// A message; its name where there is none, so that a gap shows.
    pub fn text(&self, notice: &Notice) -> String {
        let message = self.bundle.get_message(&notice.key).and_then(|m| m.value());
        message.map_or_else(|| notice.key.clone(), |pattern| self.format(pattern, notice))
    }

    /// The remedy for the command line, where the message has one.
    pub fn fix(&self, notice: &Notice) -> Option<String> {
        self.attribute(notice, "fix")
    }

    /// The remedy for the page: the same, unless the message has one in the page's words.
    pub fn fix_on_page(&self, notice: &Notice) -> Option<String> {
        self.attribute(notice, "page").or_else(|| self.fix(notice))
    }

    fn attribute(&self, notice: &Notice, name: &str) -> Option<String> {
        let message = self.bundle.get_message(&notice.key)?;
        Some(self.format(message.get_attribute(name)?.value(), notice))
    }

    /// A reason that stands by itself, as far as it is known what it says.
    pub fn reason(&self, reason: &str) -> String {
        details::said("", reason, |key, args| self.detail(key, args))
    }

    /// A message with texts for its arguments.
    fn detail(&self, key: &str, args: &[(&str, &str)]) -> String {
        let args = args.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        self.text(&Notice { args, ..Notice::new(key) })
    }

    fn format(&self, pattern: &Pattern<&str>, notice: &Notice) -> String {
        let mut args = FluentArgs::new();
        for (name, value) in &notice.args {
            let value: Cow<'_, str> = match name.as_str() {
                "reason" => details::said(&notice.key, value, |key, args| self.detail(key, args)).into(),
                _ => value.into(),
            };
            // A plain count is a number to Fluent, so that messages can choose between singular and
            // plural.
            let value = match value.parse::<u32>() {
                Ok(number) if number.to_string() == value => FluentValue::from(number),
                _ => FluentValue::from(value),
            };
            args.set(name.as_str(), value);
        }
        self.bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names of a catalogue's messages and attributes, each with the arguments that it uses.
    fn shape(lang: Lang) -> BTreeSet<String> {
        let mut shape = BTreeSet::new();
        let mut message = String::new();
        let mut entry = String::new();
        for line in lang.source().lines().filter(|l| !l.starts_with('#')) {
            let trimmed = line.trim_start();
            if let (false, Some((name, _))) = (line.starts_with(' '), line.split_once(" =")) {
                message = name.to_owned();
                entry = message.clone();
                shape.insert(entry.clone());
            } else if let (true, Some((name, _))) = (trimmed.starts_with('.'), trimmed.split_once(" =")) {
                entry = format!("{message}{name}");
                shape.insert(entry.clone());
            }
            for argument in line.split('$').skip(1) {
                let name: String = argument.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                shape.insert(format!("{entry} ${name}"));
            }
        }
        shape
    }

    #[test]
    fn both_catalogues_have_the_same_messages_with_the_same_arguments() {
        let (pt, en) = (shape(Lang::PtBr), shape(Lang::En));
        let only: Vec<_> = pt.symmetric_difference(&en).collect();
        assert!(only.is_empty(), "in one catalogue only: {only:?}");
        assert!(pt.len() > 100);
    }

    #[test]
    fn both_catalogues_are_read_whole() {
        for lang in [Lang::PtBr, Lang::En] {
            let read = FluentResource::try_new(lang.source().to_owned());
            assert!(read.is_ok(), "{lang:?}: {:?}", read.err().map(|(_, errors)| errors));
        }
    }

    #[test]
    fn nobody_at_the_page_is_told_to_type_a_command_that_the_page_can_do() {
        // What only the command line can fail at, or only the server's machine mend.
        let others = [
            "usage-",
            "load-imports",
            "error-usage",
            "load-core-module",
            "load-unsigned",
            "error-key-",
            "error-token-in",
            "error-serve",
            "error-credential-input",
            "error-no-keys",
            "error-no-password",
            "error-elsewhere",
            "error-text-",
            "error-env-",
            "error-listen",
            "error-certificate",
            "web-password-wrong",
            "web-link-used",
            "web-other-host",
            "web-too-large",
            "web-private-url",
            "error-page-private",
            "error-credential-elsewhere",
            "doctor-api-of-nobody",
        ];
        for lang in [Lang::PtBr, Lang::En] {
            let catalogue = Catalogue::new(lang);
            for key in shape(lang).iter().filter_map(|entry| entry.strip_suffix(".fix")) {
                let fix = catalogue.fix_on_page(&Notice::new(key)).unwrap_or_default();
                let is_command = fix.contains("atlas ") && !fix.contains("atlas.toml") || fix.contains(" --");
                let on_its_machine = fix.contains("máquina") || fix.contains("machine");
                let is_other = others.iter().any(|other| key.starts_with(other));
                assert!(!is_command || on_its_machine || is_other, "{key} says on the page: {fix}");
            }
        }
    }

    #[test]
    fn locales_are_understood_and_unknown_ones_are_not_guessed() {
        assert_eq!(Lang::parse("pt_BR.UTF-8"), Some(Lang::PtBr));
        assert_eq!(Lang::parse("en_US.UTF-8"), Some(Lang::En));
        assert_eq!(Lang::parse("C.UTF-8"), None);
        assert_eq!(Lang::parse("de"), None);
    }
}
