//! Each of fifty pages names fifty records that are all the same mebibyte: less than may be handed
//! over at once, and two and a half gibibytes together for whoever does not count what waits to be
//! written.
#![allow(unsafe_code, reason = "strings that share their bytes cannot be had otherwise")]

use std::alloc::{GlobalAlloc, Layout, System};

use hostile::sdk::Page;

/// Frees nothing: the page is taken apart once the host has it, and each string would free the
/// bytes of all.
struct Leaking;

// SAFETY: as the system's, which may be asked for memory without ever getting it back.
unsafe impl GlobalAlloc for Leaking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static LEAKING: Leaking = Leaking;

hostile::fetch!(|_, cursor| {
    let shared: &'static mut str = String::leak(format!("\"{}\"", "7".repeat(1024 * 1024)));
    let records = (0..50).map(|_| {
        // SAFETY: nobody writes to the bytes, and nothing frees them.
        unsafe { String::from_raw_parts(shared.as_mut_ptr(), shared.len(), shared.len()) }
    });
    let next: Vec<String> = if cursor.is_none() { (0..50).map(|page| page.to_string()).collect() } else { Vec::new() };
    Ok(Page::json(records.collect()).then(next))
});
