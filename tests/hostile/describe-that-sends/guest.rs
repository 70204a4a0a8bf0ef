//! It makes a request before anybody granted one.

use hostile::sdk::{HttpError, Request};

hostile::describe!(|| match Request::get("2151/cliente").send() {
    Err(HttpError::Denied(why)) => Err(format!("denied: {why}")),
    _ => Ok(hostile::tame()),
});
