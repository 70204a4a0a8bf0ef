//! Answers.

use crate::bindings::atlas::connector::http;
use crate::error::excerpt;
use crate::{FetchError, Selection, json};

/// An answer whose body stays in the host. Pointers are JSON pointers (RFC 6901): `""` is the whole
/// body, `/data` its member `data`.
pub struct Response(http::Response);

impl Response {
    /// The answer, if its status is a success.
    ///
    /// # Errors
    /// What any other status means, with the beginning of the body: see
    /// [`FetchError::from_status`]. An API that says something else by its statuses is asked for
    /// [`status`](Self::status) instead.
    pub fn ok(self) -> Result<Self, FetchError> {
        match self.status() {
            200..=299 => Ok(self),
            status => {
                let body = self.0.body().unwrap_or_default();
                Err(FetchError::from_status(status, self.retry_after_ms(), &body))
            }
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status()
    }

    /// A header's value by its name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }

    /// The wait that the standard headers ask for, in milliseconds from now.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.0.retry_after_ms()
    }

    /// The body's bytes, copied into the connector. [`select`](Self::select) is far cheaper.
    ///
    /// # Errors
    /// Why the host could not give it.
    pub fn body(&self) -> Result<Vec<u8>, FetchError> {
        Ok(self.0.body()?)
    }

    /// The elements of the array at `pointer`, as records that stay in the host.
    ///
    /// # Errors
    /// `InvalidResponse` if no array stands there; `Retry` if the body is not JSON at all.
    pub fn select(&self, pointer: &str) -> Result<Selection, FetchError> {
        Ok(self.0.select(pointer, None)?)
    }

    /// The value at `element` inside each element of the array at `pointer`, as records that stay
    /// in the host.
    ///
    /// # Errors
    /// As [`select`](Self::select); also if one of the elements has nothing at `element`.
    pub fn select_in(&self, pointer: &str, element: &str) -> Result<Selection, FetchError> {
        Ok(self.0.select(pointer, Some(element))?)
    }

    /// The value at `pointer` as JSON text, exactly as it arrived; none if nothing stands there.
    ///
    /// # Errors
    /// `Retry` if the body is not JSON.
    pub fn json(&self, pointer: &str) -> Result<Option<String>, FetchError> {
        Ok(self.0.json(pointer)?)
    }

    /// Whether something stands at `pointer`: APIs say that there is no next page by `null`,
    /// `false`, `0`, a blank string, `"null"`, `[]` or `{}` as well. None: not even that stands
    /// there.
    ///
    /// # Errors
    /// `Retry` if the body is not JSON.
    pub fn says(&self, pointer: &str) -> Result<Option<bool>, FetchError> {
        Ok(self.json(pointer)?.map(|text| !json::is_no(&text)))
    }

    /// A number at `pointer` that only informs, such as how many records there are in all: as
    /// [`u64`](Self::u64) reads it, and none for whatever is not one. A source that writes `-1` or
    /// `"?"` there stops no page.
    #[must_use]
    pub fn informs(&self, pointer: &str) -> Option<u64> {
        self.u64(pointer).ok().flatten()
    }

    /// The whole number at `pointer`, be it written as a number or as a string, or as `3.0`; none
    /// for `null`, a blank string, or nothing.
    ///
    /// # Errors
    /// `InvalidResponse` if something else stands there; `Retry` if the body is not JSON.
    pub fn u64(&self, pointer: &str) -> Result<Option<u64>, FetchError> {
        self.scalar(pointer, "whole number", json::unsigned)
    }

    /// The string at `pointer`, decoded, or a number's text; none for nothing, however it is
    /// written (see [`says`](Self::says)).
    ///
    /// # Errors
    /// `InvalidResponse` if something else stands there; `Retry` if the body is not JSON.
    pub fn text(&self, pointer: &str) -> Result<Option<String>, FetchError> {
        self.scalar(pointer, "string", json::string)
    }

    fn scalar<T>(
        &self,
        pointer: &str,
        wanted: &str,
        read: fn(&str) -> Result<Option<T>, json::NotThis>,
    ) -> Result<Option<T>, FetchError> {
        let Some(text) = self.json(pointer)?.filter(|text| !json::is_nothing(text)) else {
            return Ok(None);
        };
        read(&text).map_err(|json::NotThis| {
            FetchError::InvalidResponse(format!("{pointer} is no {wanted}: {}", excerpt(text.as_bytes())))
        })
    }
}

impl From<http::Response> for Response {
    fn from(response: http::Response) -> Self {
        Self(response)
    }
}
