//! The texts of responses, in both languages.

use atlas_service::i18n::{Catalogue, Lang};

/// Both catalogues.
pub(crate) struct Texts {
    pt_br: Catalogue,
    en: Catalogue,
}

impl Texts {
    pub(super) fn new() -> Self {
        Self { pt_br: Catalogue::new(Lang::PtBr), en: Catalogue::new(Lang::En) }
    }

    /// The catalogue of a language.
    pub(crate) fn of(&self, lang: Lang) -> &Catalogue {
        match lang {
            Lang::PtBr => &self.pt_br,
            Lang::En => &self.en,
        }
    }
}
