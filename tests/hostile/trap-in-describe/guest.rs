//! It traps when it is asked what it is.

hostile::describe!(|| core::arch::wasm32::unreachable());
