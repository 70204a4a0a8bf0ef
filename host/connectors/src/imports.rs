//! The host's side of the contract: `http` and `log`. A guest's invalid call gets an `err`; only a
//! call that cannot be answered at all is a trap.

use std::ops::Range;
use std::sync::Arc;

use atlas_http::{Answer, Refusal, SendError};
use atlas_json::Pointer;
use atlas_model::notice::legible;
use bytes::Bytes;
use wasmtime::component::Resource;

use super::bindings::atlas::connector::http::{self, BodyError, HttpError, Method};
use super::bindings::atlas::connector::{log, types};
use super::guest::Guest;

/// An answer that a guest holds.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub struct HeldResponse {
    answer: Arc<Answer>,
    /// The place in the body of the records that were selected last.
    selected: Option<Range<usize>>,
}

/// Records that a guest chose.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub struct HeldSelection {
    pub(super) records: Box<[Bytes]>,
}

/// A hook for tests by which a guest crashes its process, like a fault of the engine: by a line of
/// its log, where the environment allows it. No release has it.
#[cfg(debug_assertions)]
pub(super) mod hook {
    use rustix::process::{Signal, getpid, kill_process};

    /// What a line begins with; the signal's name follows.
    const LINE: &str = "atlas test: end this process by ";
    /// The variable that allows it.
    const ALLOWED: &str = "ATLAS_TEST_GUESTS_MAY_END_THE_PROCESS";

    pub(super) fn end_if_asked(line: &str) {
        let signal = match line.strip_prefix(LINE) {
            Some("SIGABRT") => Signal::ABORT,
            Some("SIGSEGV") => Signal::SEGV,
            Some("SIGBUS") => Signal::BUS,
            Some("SIGILL") => Signal::ILL,
            Some("SIGFPE") => Signal::FPE,
            Some("SIGKILL") => Signal::KILL,
            _ => return,
        };
        if std::env::var_os(ALLOWED).is_some() {
            // What cannot be sent shows in the test that waits for it.
            let _ = kill_process(getpid(), signal);
            std::thread::sleep(std::time::Duration::from_secs(10));
        }
    }

    /// A child process has none of the environment but this.
    pub(crate) fn pass_on(child: &mut tokio::process::Command) {
        child.envs(std::env::var_os(ALLOWED).map(|allowed| (ALLOWED, allowed)));
    }
}

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
        hook::end_if_asked(&message);
        self.log.line(level, &message);
        Ok(())
    }
}

impl http::Host for Guest {
    async fn send(&mut self, request: http::Request) -> wasmtime::Result<Result<Resource<HeldResponse>, HttpError>> {
        let Some(http) = &mut self.http else {
            return Ok(Err(HttpError::Denied("`send` is not to be had in `describe`".to_owned())));
        };
        let request = atlas_http::Request {
            method: method(request.method),
            target: request.target,
            query: request.query,
            headers: request.headers,
            body: request.body,
        };
        match http.send(request).await {
            Ok(answer) => {
                let held = HeldResponse { answer, selected: None };
                Ok(Ok(self.table.push(held)?))
            }
            Err(error) => Ok(Err(http_error(error))),
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
        Ok(found.map_err(body_error))
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
            Err(error) => Ok(Err(body_error(error))),
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
            http.meter.refusal = Some(Refusal::Mistake(format!("not a JSON pointer: {}", legible(&pointer))));
        }
        BodyError::InvalidPointer(pointer)
    }

    /// The error for a selection of more records than a page may have. The host reports the limit
    /// by its name, whatever the guest makes of the error.
    fn too_many_records(&mut self) -> BodyError {
        let max = self.records_max as u64;
        if let Some(http) = &mut self.http {
            http.meter.limit = Some(("records_per_page", max));
        }
        BodyError::TooMany(max)
    }
}

pub(super) fn method(method: Method) -> atlas_http::Method {
    match method {
        Method::Get => atlas_http::Method::Get,
        Method::Head => atlas_http::Method::Head,
        Method::Post => atlas_http::Method::Post,
        Method::Put => atlas_http::Method::Put,
        Method::Patch => atlas_http::Method::Patch,
        Method::Delete => atlas_http::Method::Delete,
    }
}

fn http_error(error: SendError) -> HttpError {
    // The case says what happened; the text only why.
    match error {
        SendError::Denied(why) | SendError::RedirectDenied(why) => HttpError::Denied(why),
        // A connector must not learn the addresses of names within the operator's network.
        SendError::AddressRefused(refused) => {
            HttpError::Denied(format!("{} is at an address that was not granted", refused.host))
        }
        ungranted @ SendError::HeadersNotGranted(_) => HttpError::Denied(ungranted.to_string()),
        SendError::InvalidRequest(why) => HttpError::InvalidRequest(why),
        SendError::Connect(why) => HttpError::Connect(why),
        untrusted @ SendError::Untrusted(_) => HttpError::Connect(untrusted.to_string()),
        SendError::Interrupted(why) | SendError::Unreadable(why) => HttpError::Interrupted(why),
        SendError::Timeout(why) => HttpError::Timeout(why),
        SendError::TooLarge(limit) | SendError::HeadTooLarge(limit) => HttpError::TooLarge(limit as u64),
        SendError::Exhausted(why) => HttpError::Exhausted(why),
        SendError::Renewal(why) => HttpError::Interrupted(why),
        throttled @ SendError::Throttled(..) => HttpError::Interrupted(throttled.to_string()),
        SendError::CredentialRefused(why) => HttpError::Denied(why),
    }
}

fn body_error(error: atlas_json::BodyError) -> BodyError {
    let text = error.to_string();
    match error {
        atlas_json::BodyError::NotJson { .. } => BodyError::NotJson(text),
        atlas_json::BodyError::Missing { .. } => BodyError::Missing(text),
        atlas_json::BodyError::NotAnArray { .. } => BodyError::NotAnArray(text),
        atlas_json::BodyError::TooMany { max } => BodyError::TooMany(max as u64),
    }
}
