//! It gives a response back as if it were a selection.
#![allow(unsafe_code, reason = "a handle of another type cannot be had otherwise")]

use hostile::sdk::bindings::atlas::connector::http;
use hostile::sdk::{Method, Page, Selection};

hostile::fetch!(|scrap, _| {
    let (target, none) = (format!("{}/cliente", scrap.client_id), Vec::new);
    let request = http::Request { method: Method::Get, target, query: none(), headers: none(), body: None };
    let response = http::send(&request)?;
    // SAFETY: the handle is a response's, and that is what is tried here.
    Ok(Page::selected(unsafe { Selection::from_handle(response.take_handle()) }))
});
