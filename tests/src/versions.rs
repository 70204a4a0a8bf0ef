//! Versions of a connector, made without compiling each: a digest is another with one byte more,
//! and what a version is stands in a place of the guest `changeable` that may be written over.

use std::path::Path;

use anyhow::{Context, ensure};

use crate::test_guests;

/// Where the guest keeps what it is, and how much of it there is.
const MARKER: &[u8] = b"ATLAS-TEST-VERSION: ";
const LENGTH: usize = 256;

/// The route `pedido`, as a version that is all of this: `NAME=VALUE`, with blanks between. See the
/// guest for the names.
pub fn version(settings: &str) -> anyhow::Result<Vec<u8>> {
    let mut component = std::fs::read(test_guests()?.join("changeable.wasm")).context("the guest changeable")?;
    let mut places = component.windows(MARKER.len()).enumerate().filter(|(_, window)| *window == MARKER);
    let (start, _) = places.next().context("nothing to write over")?;
    ensure!(places.next().is_none(), "more than one place to write over");
    let room = &mut component[start + MARKER.len()..start + LENGTH];
    ensure!(settings.len() <= room.len(), "{settings:?} is too long");
    room.fill(b' ');
    room[..settings.len()].copy_from_slice(settings.as_bytes());
    Ok(component)
}

/// The same component with another digest: with a custom section more, which nothing reads.
pub fn another(component: &[u8], number: u64) -> Vec<u8> {
    let name = b"another";
    let mut content = vec![u8::try_from(name.len()).unwrap_or(0)];
    content.extend_from_slice(name);
    content.extend_from_slice(&number.to_le_bytes());
    with_section(component, 0, &content)
}

/// The same component with a core module more, which nothing uses, and over which a compiler takes
/// its time: about 0.2 s of CPU for each of its `functions`.
pub fn slow_to_compile(component: &[u8], functions: usize) -> anyhow::Result<Vec<u8>> {
    // Many ways through a function, and a value that all of them change.
    let step = "(local.set 0 (i64.xor (local.get 0) (i64.const 7))) \
                (block (br_if 0 (i64.eqz (local.get 0))) (local.set 0 (i64.sub (local.get 0) (i64.const 1))))";
    let function = format!("(func (param i64) (result i64) {} local.get 0)", step.repeat(1500));
    let module = format!("(module {})", function.repeat(functions));
    Ok(with_section(component, 1, &wat::parse_str(module)?))
}

fn with_section(component: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut longer = component.to_vec();
    longer.push(kind);
    let mut left = content.len();
    // Unsigned LEB128.
    loop {
        let low = u8::try_from(left & 0x7f).unwrap_or(0);
        left >>= 7;
        longer.push(if left == 0 { low } else { low | 0x80 });
        if left == 0 {
            break;
        }
    }
    longer.extend_from_slice(content);
    longer
}

/// Puts a file into its place in one step.
pub fn rename_over(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let aside = file.with_extension("new");
    std::fs::write(&aside, content)?;
    Ok(std::fs::rename(&aside, file)?)
}
