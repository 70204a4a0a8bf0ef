//! From the contract's types to the host's, and back.

use atlas_model::Request;

use super::bindings::atlas::connector::http::{self, BodyError, HttpError, Method};
use super::line::RequestError;

/// A guest's request.
pub(crate) fn request(request: http::Request) -> Request {
    Request {
        method: method(request.method),
        target: request.target,
        query: request.query,
        headers: request.headers,
        body: request.body,
    }
}

pub(crate) fn method(method: Method) -> atlas_model::Method {
    match method {
        Method::Get => atlas_model::Method::Get,
        Method::Head => atlas_model::Method::Head,
        Method::Post => atlas_model::Method::Post,
        Method::Put => atlas_model::Method::Put,
        Method::Patch => atlas_model::Method::Patch,
        Method::Delete => atlas_model::Method::Delete,
    }
}

pub(crate) fn http_error(error: RequestError) -> HttpError {
    match error {
        RequestError::Denied(why) => HttpError::Denied(why),
        RequestError::InvalidRequest(why) => HttpError::InvalidRequest(why),
        RequestError::Connect(why) => HttpError::Connect(why),
        RequestError::Interrupted(why) => HttpError::Interrupted(why),
        RequestError::Timeout(why) => HttpError::Timeout(why),
        RequestError::TooLarge(limit) => HttpError::TooLarge(limit),
        RequestError::Exhausted(why) => HttpError::Exhausted(why),
    }
}

pub(crate) fn body_error(error: atlas_json::BodyError) -> BodyError {
    let text = error.to_string();
    match error {
        atlas_json::BodyError::NotJson { .. } => BodyError::NotJson(text),
        atlas_json::BodyError::Missing { .. } => BodyError::Missing(text),
        atlas_json::BodyError::NotAnArray { .. } => BodyError::NotAnArray(text),
        atlas_json::BodyError::TooMany { max } => BodyError::TooMany(max as u64),
    }
}
