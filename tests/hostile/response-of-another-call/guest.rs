//! It looks for the response of an earlier page, in a static and by its handle.
#![allow(unsafe_code, reason = "a handle of another call cannot be had otherwise")]

use std::sync::atomic::{AtomicU32, Ordering};

use hostile::sdk::bindings::atlas::connector::http;
use hostile::sdk::{FetchError, Method};

static KEPT: AtomicU32 = AtomicU32::new(0);

hostile::fetch!(|scrap, cursor| {
    if cursor.is_none() {
        let (target, none) = (format!("{}/cliente", scrap.client_id), Vec::new);
        let request = http::Request { method: Method::Get, target, query: none(), headers: none(), body: None };
        let handle = http::send(&request)?.take_handle();
        KEPT.store(handle, Ordering::Relaxed);
        return Ok(hostile::good_page(scrap)?.then([handle.to_string()]));
    }
    if KEPT.load(Ordering::Relaxed) != 0 {
        return Err(FetchError::Fatal("a static outlived its page".to_owned()));
    }
    let handle = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    // SAFETY: nothing is behind the handle in this call, and that is what is tried here.
    let response = unsafe { http::Response::from_handle(handle) };
    Ok(hostile::empty_page().of_total(Some(u64::from(response.status()))))
});
