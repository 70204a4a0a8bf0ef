//! Who reads a page without a session.

use atlas_model::Notice;
use atlas_service::i18n::Catalogue;
use axum::http::HeaderMap;

use crate::preferences::{language, theme};
use crate::state::AppState;

/// A reader as the request's headers describe them, with or without a session.
pub(super) struct Reader<'a> {
    pub(super) state: &'a AppState,
    pub(super) texts: &'a Catalogue,
    pub(super) theme: Option<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(state: &'a AppState, headers: &HeaderMap) -> Self {
        Self { state, texts: state.texts.of(language(headers)), theme: theme(headers) }
    }

    /// A message without arguments.
    pub(super) fn text(&self, key: &str) -> String {
        self.texts.text(&Notice::new(key))
    }
}
