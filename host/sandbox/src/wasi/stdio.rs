//! Standard streams: an input that is at its end, and outputs that are lines of the connector's
//! log, under the log's limits.

use streams::StreamError;
use wasmtime::component::Resource;

use super::bindings::wasi::io::{error, streams};
use super::clock::Awaited;
use crate::guest::Guest;
use crate::log::Stdio;

/// Bytes of one write. WASI lets a guest write 4,096 at once in any case.
const WRITE_MAX: u64 = 64 * 1024;

/// Standard input. There is nothing to read.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub struct EmptyInput;

/// Standard output or error.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub struct LogOutput(pub(super) Stdio);

type Streamed<T> = wasmtime::Result<Result<T, StreamError>>;

impl Guest {
    fn write_to_log(&mut self, stream: &Resource<LogOutput>, contents: &[u8]) -> Streamed<()> {
        if contents.len() as u64 > WRITE_MAX {
            wasmtime::bail!("{} bytes written at once, more than {WRITE_MAX}", contents.len());
        }
        let stdio = self.table.get(stream)?.0;
        self.log.write(stdio, contents);
        Ok(Ok(()))
    }

    fn always(&mut self) -> wasmtime::Result<Resource<Awaited>> {
        Ok(self.table.push(Awaited::Always)?)
    }
}

impl streams::Host for Guest {}

impl streams::HostInputStream for Guest {
    fn read(&mut self, _: Resource<EmptyInput>, _: u64) -> Streamed<Vec<u8>> {
        Ok(Err(StreamError::Closed))
    }

    fn blocking_read(&mut self, _: Resource<EmptyInput>, _: u64) -> Streamed<Vec<u8>> {
        Ok(Err(StreamError::Closed))
    }

    fn skip(&mut self, _: Resource<EmptyInput>, _: u64) -> Streamed<u64> {
        Ok(Err(StreamError::Closed))
    }

    fn blocking_skip(&mut self, _: Resource<EmptyInput>, _: u64) -> Streamed<u64> {
        Ok(Err(StreamError::Closed))
    }

    fn subscribe(&mut self, _: Resource<EmptyInput>) -> wasmtime::Result<Resource<Awaited>> {
        self.always()
    }

    fn drop(&mut self, this: Resource<EmptyInput>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl streams::HostOutputStream for Guest {
    fn check_write(&mut self, _: Resource<LogOutput>) -> Streamed<u64> {
        Ok(Ok(WRITE_MAX))
    }

    fn write(&mut self, this: Resource<LogOutput>, contents: Vec<u8>) -> Streamed<()> {
        self.write_to_log(&this, &contents)
    }

    fn blocking_write_and_flush(&mut self, this: Resource<LogOutput>, contents: Vec<u8>) -> Streamed<()> {
        self.write_to_log(&this, &contents)
    }

    fn flush(&mut self, _: Resource<LogOutput>) -> Streamed<()> {
        Ok(Ok(()))
    }

    fn blocking_flush(&mut self, _: Resource<LogOutput>) -> Streamed<()> {
        Ok(Ok(()))
    }

    fn subscribe(&mut self, _: Resource<LogOutput>) -> wasmtime::Result<Resource<Awaited>> {
        self.always()
    }

    // Zeroes are not logged, and the input is empty, so these accept a write and do nothing.
    fn write_zeroes(&mut self, _: Resource<LogOutput>, _: u64) -> Streamed<()> {
        Ok(Ok(()))
    }

    fn blocking_write_zeroes_and_flush(&mut self, _: Resource<LogOutput>, _: u64) -> Streamed<()> {
        Ok(Ok(()))
    }

    fn splice(&mut self, _: Resource<LogOutput>, _: Resource<EmptyInput>, _: u64) -> Streamed<u64> {
        Ok(Err(StreamError::Closed))
    }

    fn blocking_splice(&mut self, _: Resource<LogOutput>, _: Resource<EmptyInput>, _: u64) -> Streamed<u64> {
        Ok(Err(StreamError::Closed))
    }

    fn drop(&mut self, this: Resource<LogOutput>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl error::Host for Guest {}

// No stream fails with an error, so no guest ever holds one.
impl error::HostError for Guest {
    fn to_debug_string(&mut self, _: Resource<error::Error>) -> wasmtime::Result<String> {
        wasmtime::bail!("an error that was never given")
    }

    fn drop(&mut self, _: Resource<error::Error>) -> wasmtime::Result<()> {
        wasmtime::bail!("an error that was never given")
    }
}
