//! The host's side of the contract: `http` and `log`. A guest's invalid call gets an `err`; only a
//! call that cannot be answered at all is a trap.

use atlas_json::Pointer;
use atlas_model::notice::legible;
use wasmtime::component::Resource;

use super::bindings::atlas::connector::http::{self, BodyError, HttpError};
use super::bindings::atlas::connector::{log, types};
use super::convert;
#[cfg(debug_assertions)]
use super::crash_hook;
use super::guest::Guest;
use super::held::{HeldResponse, HeldSelection};
use super::limit::LimitReached;

impl types::Host for Guest {}

impl log::Host for Guest {
    async fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        #[cfg(debug_assertions)]
        crash_hook::end_if_asked(&message);
        self.log.line(level, &message);
        Ok(())
    }
}

impl http::Host for Guest {
    async fn send(&mut self, request: http::Request) -> wasmtime::Result<Result<Resource<HeldResponse>, HttpError>> {
        let Some(http) = &mut self.http else {
            return Ok(Err(HttpError::Denied("`send` is not to be had in `describe`".to_owned())));
        };
        match http.send(convert::request(request)).await {
            Ok(answer) => {
                let held = HeldResponse { answer, selected: None };
                Ok(Ok(self.table.push(held)?))
            }
            Err(error) => Ok(Err(convert::http_error(error))),
        }
    }
}

impl http::HostResponse for Guest {
    async fn status(&mut self, this: Resource<HeldResponse>) -> wasmtime::Result<u16> {
        Ok(self.table.get(&this)?.answer.status)
    }

    async fn header(&mut self, this: Resource<HeldResponse>, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&this)?.answer.header(&name))
    }

    async fn retry_after_ms(&mut self, this: Resource<HeldResponse>) -> wasmtime::Result<Option<u64>> {
        let wait = self.table.get(&this)?.answer.retry_after;
        Ok(wait.map(|w| u64::try_from(w.as_millis()).unwrap_or(u64::MAX)))
    }

    async fn body(&mut self, this: Resource<HeldResponse>) -> wasmtime::Result<Result<Vec<u8>, BodyError>> {
        Ok(Ok(self.table.get(&this)?.answer.body.to_vec()))
    }

    async fn json(
        &mut self,
        this: Resource<HeldResponse>,
        pointer: String,
    ) -> wasmtime::Result<Result<Option<String>, BodyError>> {
        let HeldResponse { answer, selected } = self.table.get(&this)?;
        let Ok(pointer) = Pointer::parse(&pointer) else {
            return Ok(Err(BodyError::InvalidPointer(pointer)));
        };
        let found = self.work(answer.body.len(), || {
            let range = atlas_json::find_beside(&answer.body, &pointer, selected.as_ref())?;
            Ok(range.map(|range| String::from_utf8_lossy(&answer.body[range]).into_owned()))
        })?;
        Ok(found.map_err(convert::body_error))
    }

    async fn select(
        &mut self,
        this: Resource<HeldResponse>,
        pointer: String,
        element: Option<String>,
    ) -> wasmtime::Result<Result<Resource<HeldSelection>, BodyError>> {
        let body = &self.table.get(&this)?.answer.body;
        let Ok(at) = Pointer::parse(&pointer) else {
            return Ok(Err(self.invalid_pointer(pointer)));
        };
        let inside = match element.as_deref().map(Pointer::parse).transpose() {
            Ok(inside) => inside,
            Err(_) => return Ok(Err(self.invalid_pointer(element.unwrap_or_default()))),
        };
        let left = self.records_left();
        match self.work(body.len(), || atlas_json::select(body, &at, inside.as_ref(), left))? {
            Ok(atlas_json::Selected { records, array }) => {
                self.table.get_mut(&this)?.selected = Some(array);
                Ok(Ok(self.hold(records)?))
            }
            Err(atlas_json::BodyError::TooMany { .. }) => Ok(Err(self.too_many_records())),
            Err(error) => Ok(Err(convert::body_error(error))),
        }
    }

    async fn drop(&mut self, this: Resource<HeldResponse>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl http::HostSelection for Guest {
    async fn len(&mut self, this: Resource<HeldSelection>) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.table.get(&this)?.records.len()).unwrap_or(u32::MAX))
    }

    async fn drop(&mut self, this: Resource<HeldSelection>) -> wasmtime::Result<()> {
        self.take_back(this)?;
        Ok(())
    }
}

impl Guest {
    /// The error for a malformed pointer. Recorded as the guest's mistake, whatever it makes of the
    /// error.
    fn invalid_pointer(&mut self, pointer: String) -> BodyError {
        if let Some(http) = &mut self.http {
            http.mistake = Some(format!("not a JSON pointer: {}", legible(&pointer)));
        }
        BodyError::InvalidPointer(pointer)
    }

    /// The error for a selection of more records than a page may have. The host reports the limit
    /// by its name, whatever the guest makes of the error.
    fn too_many_records(&mut self) -> BodyError {
        let max = self.records_max as u64;
        if let Some(http) = &mut self.http {
            http.limit = Some(LimitReached { name: "records_per_page", value: max });
        }
        BodyError::TooMany(max)
    }
}
