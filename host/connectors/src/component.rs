//! From a core module to a component.
//!
//! Rust compiles for `wasm32-unknown-unknown` to a core module; the contract travels inside it, in
//! a section that the SDK's bindings wrote. Encoding it as a component is the one step that cargo
//! does not do, and a connector's author who has this program needs no other for it. Toolchains of
//! other languages write components themselves.

use thiserror::Error;
use wit_component::ComponentEncoder;

/// Why a file could not be made a component.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// It is a component already.
    #[error("it is a component already")]
    Component,
    /// It is no WebAssembly at all.
    #[error("the file does not begin as WebAssembly does")]
    NotWasm,
    /// It is a module that is broken, or does not keep to the contract.
    #[error("{0}")]
    Module(String),
}

/// Encodes a core module that was built with the SDK as a component. The same module always gives
/// the same bytes. Does not check whether the component may be loaded.
///
/// # Errors
/// If `module` is no core module, or does not keep to the contract that it names.
pub fn encode_component(module: &[u8]) -> Result<Vec<u8>, EncodeError> {
    // The preamble tells them apart by its last two bytes, the layer.
    match module {
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => {}
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Err(EncodeError::Component),
        _ => return Err(EncodeError::NotWasm),
    }
    let encoder = ComponentEncoder::default().validate(true).module(module);
    let component = encoder.and_then(|mut encoder| encoder.encode());
    component.map_err(|error| EncodeError::Module(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_of_the_sdk_is_said_to_be_none() {
        assert_eq!(encode_component(b"\0asm\x0d\0\x01\0"), Err(EncodeError::Component));
        for module in [&b""[..], b"text", b"\0asm"] {
            assert_eq!(encode_component(module), Err(EncodeError::NotWasm), "{module:?}");
        }
        assert!(matches!(encode_component(b"\0asm\x01\0\0\0\xff"), Err(EncodeError::Module(_))));
    }
}
