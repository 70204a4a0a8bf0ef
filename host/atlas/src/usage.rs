//! Errors of a command line in the operator's language: clap finds them, the catalogues have the
//! texts.

use std::process::ExitCode;

use atlas_model::{Notice, notice};
use atlas_service::Failure;
use atlas_service::config::{self, Environment, Flags};
use atlas_service::i18n::Catalogue;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::report;

/// Tells what was not understood, and gives the exit code. Help and version are no errors: clap
/// prints those.
pub(super) fn refuse(error: &clap::Error) -> ExitCode {
    let Some(notice) = notice_of(error) else { error.exit() };
    // The flags could not be read, so the language is looked for by hand.
    let flags = Flags { lang: language_flag(std::env::args()), ..Flags::default() };
    let catalogue = Catalogue::new(config::language(&flags, &Environment::read()));
    report::fail(&catalogue, &Failure::usage(notice))
}

fn notice_of(error: &clap::Error) -> Option<Notice> {
    let context = |kind| error.get(kind).map(shown);
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    let value = context(ContextKind::InvalidValue).unwrap_or_default();
    let suggested = |kind, plain: Notice, name: &str| match context(kind) {
        Some(suggestion) => Notice { key: name.to_owned(), ..plain }.with("suggestion", &suggestion),
        None => plain,
    };
    Some(match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::MissingSubcommand => return None,
        ErrorKind::UnknownArgument => {
            let plain = notice!("usage-unknown-argument", argument = argument);
            suggested(ContextKind::SuggestedArg, plain, "usage-unknown-argument-like")
        }
        ErrorKind::InvalidSubcommand => {
            let command = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            let plain = notice!("usage-unknown-command", command = command);
            suggested(ContextKind::SuggestedSubcommand, plain, "usage-unknown-command-like")
        }
        ErrorKind::MissingRequiredArgument => notice!("usage-missing", argument = argument),
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg).unwrap_or_default();
            notice!("usage-conflict", argument = argument, other = other)
        }
        ErrorKind::InvalidValue if value.is_empty() => notice!("usage-no-value", argument = argument),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            notice!("usage-value", argument = argument, value = value)
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            notice!("usage-other", reason = first.trim_start_matches("error: "))
        }
    })
}

fn shown(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(several) => several.join(", "),
        one => one.to_string(),
    }
}

fn language_flag(arguments: impl Iterator<Item = String>) -> Option<String> {
    let mut arguments = arguments.skip_while(|a| a != "--lang" && !a.starts_with("--lang="));
    let flag = arguments.next()?;
    flag.strip_prefix("--lang=").map(str::to_owned).or_else(|| arguments.next())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;
    use atlas_service::i18n::Lang;

    #[test]
    fn each_mistake_is_told_in_both_languages() {
        let mistakes = [
            "atlas run --client 2151",
            "atlas run --client dois --route pedido",
            "atlas run --client 2151 --rote pedido",
            "atlas run --client",
            "atlas run --client 2151 --client 2152 --route pedido",
            "atlas rum",
            "atlas xyz",
            "atlas run --xyz",
            "atlas client list --output xml",
            "atlas client set 2151 --active --inactive",
        ];
        let mut told = String::new();
        for mistake in mistakes {
            let Err(error) = Cli::try_parse_from(mistake.split(' ')) else { panic!("{mistake} was understood") };
            let notice = notice_of(&error).unwrap_or_else(|| panic!("{mistake}: left to clap"));
            told.push_str(&format!("$ {mistake}\n"));
            for lang in [Lang::PtBr, Lang::En] {
                told.push_str(&report::console_text(&Catalogue::new(lang), &Failure::usage(notice.clone())));
                told.push('\n');
            }
        }
        insta::assert_snapshot!(told);
    }
}
