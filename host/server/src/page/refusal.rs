//! Why a page does not answer with what was asked for: what extractors and handlers return.

use std::sync::Arc;

use atlas_service::Failure;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::fields::Fields;

/// What a handler answers.
pub(crate) type Answer<T = Response> = Result<T, Refusal>;

/// Why a request is not answered with its page.
pub(crate) enum Refusal {
    /// Something failed.
    Failed(Failure),
    /// The address has no page.
    NoPage {
        /// Its path.
        path: String,
    },
    /// The page is for signed-in visitors.
    SignIn {
        /// The path to return to.
        back: String,
    },
    /// A form was sent without a session: it comes back filled in after the sign-in.
    SignInAgain {
        /// The form's own page.
        from: String,
        /// What was typed.
        fields: Fields,
    },
    /// A form's token belongs to another session: signed in anew meanwhile, in another tab.
    Expired {
        /// The form's own page.
        from: String,
        /// What was typed.
        fields: Fields,
    },
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// An answer without a body, which carries the refusal to `render`.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
