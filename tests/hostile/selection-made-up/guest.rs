//! It gives back a selection that nobody made.
#![allow(unsafe_code, reason = "a handle that does not exist cannot be had otherwise")]

use hostile::sdk::{Page, Selection};

// SAFETY: there is none behind the handle, and that is what is tried here.
hostile::fetch!(|_, _| Ok(Page::selected(unsafe { Selection::from_handle(4711) })));
