//! The protocol between parent and child. Frames go over the child's standard input and output, its
//! last word over its standard error: by then the pipe that code was handed over by is closed.

use std::io::{self, Read, Write};

use atlas_model::Limits;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::facts::ScrapFacts;
use super::super::raw_descriptor::Described;

/// A child's task: the first frame that it reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    /// What its engine is set to: bytes that the memory of one guest may have.
    pub(crate) largest_guest: usize,
    /// The limits of a call.
    pub(crate) limits: Limits,
    /// The version of the contract that the component was made for; none if it imports nothing of
    /// it.
    pub(crate) contract: Option<String>,
    /// The file's or the route's name, as the log has it.
    pub(crate) name: String,
    /// How many core modules were taken out of the component: after it, a frame follows with the
    /// code of each.
    pub(crate) modules: usize,
    /// The work itself.
    pub(crate) work: Work,
}

impl Task {
    /// The same with so many seconds of CPU time to compile in.
    pub(crate) fn within(mut self, cpu_s: u64) -> Self {
        self.limits.compile_cpu_s = cpu_s;
        self
    }

    /// The same with so many modules that were taken out.
    pub(crate) fn with(mut self, modules: usize) -> Self {
        self.modules = modules;
        self
    }
}

/// The work of a child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// The next frame is a component: compile it, write the code as one frame, close that pipe, and
    /// call `describe`.
    Compile,
    /// The next frame is a core module: compile it, and write the code as one frame. Nothing else
    /// is given to this child, for the code becomes a part of other connectors too.
    Module,
    /// The next frame is compiled code: call `describe`.
    Describe,
    /// The next frame is a component: compile it, and call `fetch-page` once. Requests and answers
    /// are frames.
    Page(PageFacts),
}

impl Work {
    /// Whether the child is given a component, and not code.
    pub(super) fn compiles(&self) -> bool {
        !matches!(self, Self::Describe)
    }
}

/// What `fetch-page` is called with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageFacts {
    /// The route.
    pub route: String,
    /// The facts of the scrap.
    pub scrap: ScrapFacts,
    /// The only clock that the guest has.
    pub now: String,
    /// Which page; none: the first.
    pub cursor: Option<String>,
}

/// The last word of a child that ended by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// The component uses proposals that are not allowed.
    Uses(String),
    /// The compiler refused it, or a step before compiling failed.
    NotCompiled(String),
    /// The engine did not take the code, or it does not fit the contract.
    NotLinked(String),
    /// The core module was compiled, with so many milliseconds of CPU time.
    ModuleCompiled { cpu_ms: u64 },
    /// `describe` was called.
    Described(Box<Described>),
    /// `fetch-page` returned, with whatever result.
    PageReturned,
}

/// Writes a frame: its length, eight bytes with the lowest first, and its bytes.
pub(super) fn write_frame(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads a frame of at most `most` bytes.
pub(super) fn read_frame(from: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = checked(length, most)?;
    let mut bytes = Vec::new();
    if from.take(length).read_to_end(&mut bytes)? as u64 == length { Ok(bytes) } else { Err(cut_short()) }
}

/// Writes a frame, as [`write_frame`] does.
pub(super) async fn send_frame(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes()).await?;
    to.write_all(bytes).await?;
    to.flush().await
}

/// Reads a frame, as [`read_frame`] does. None: the other end was closed before a frame began.
pub(super) async fn receive_frame(from: &mut (impl AsyncRead + Unpin), most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    let mut filled = 0;
    while filled < length.len() {
        match from.read(&mut length[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(cut_short()),
            more => filled += more,
        }
    }
    let length = checked(length, most)?;
    // Grows with what arrives, and not with what was announced.
    let mut bytes = Vec::new();
    if from.take(length).read_to_end(&mut bytes).await? as u64 == length { Ok(Some(bytes)) } else { Err(cut_short()) }
}

fn checked(length: [u8; 8], most: usize) -> io::Result<u64> {
    let length = u64::from_le_bytes(length);
    if length <= most as u64 {
        return Ok(length);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("a frame of {length} bytes, more than {most}")))
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the frame is cut short")
}

/// The JSON of a frame or a last word.
pub(super) fn to_json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

/// Parses the JSON of a frame or a last word.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_arrives_whole_or_not_at_all() {
        let mut framed = Vec::new();
        write_frame(&mut framed, b"abc").unwrap();
        assert_eq!(read_frame(&mut framed.as_slice(), 3).unwrap(), b"abc");
        assert_eq!(receive_frame(&mut framed.as_slice(), 3).await.unwrap().unwrap(), b"abc");
        assert_eq!(receive_frame(&mut [].as_slice(), 3).await.unwrap(), None);
        for end in 0..framed.len() {
            assert!(read_frame(&mut &framed[..end], 3).is_err(), "{end}");
            assert!(end == 0 || receive_frame(&mut &framed[..end], 3).await.is_err(), "{end}");
        }
        let too_long = read_frame(&mut framed.as_slice(), 2).unwrap_err();
        assert_eq!(too_long.kind(), io::ErrorKind::FileTooLarge);
        assert!(receive_frame(&mut framed.as_slice(), 2).await.is_err());
    }
}
