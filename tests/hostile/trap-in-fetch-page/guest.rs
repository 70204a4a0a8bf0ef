//! It traps.

hostile::fetch!(|_, _| core::arch::wasm32::unreachable());
