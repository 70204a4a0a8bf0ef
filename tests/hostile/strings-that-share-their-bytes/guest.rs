//! It names a million records that are all the same mebibyte: a tebibyte for whoever copies them.
#![allow(unsafe_code, reason = "strings that share their bytes cannot be had otherwise")]

use std::mem::ManuallyDrop;

use hostile::sdk::Page;

hostile::fetch!(|_, _| {
    let shared = ManuallyDrop::new("7".repeat(1024 * 1024));
    let records = (0..1_000_000).map(|_| {
        // SAFETY: nothing writes to the bytes, and nothing frees them: the host traps before the
        // page is taken apart.
        unsafe { String::from_raw_parts(shared.as_ptr().cast_mut(), shared.len(), shared.len()) }
    });
    Ok(Page::json(records.collect()))
});
