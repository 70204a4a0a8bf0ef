//! It deletes, posts and patches without asking.

use hostile::sdk::{FetchError, HttpError, Method, Request};

hostile::fetch!(|scrap, _| {
    for method in [Method::Post, Method::Put, Method::Patch, Method::Delete] {
        let sent = Request::new(method, format!("{}/cliente", scrap.client_id)).send();
        if !matches!(sent, Err(HttpError::Denied(_))) {
            return Err(FetchError::InvalidResponse(format!("{method:?} was not denied")));
        }
    }
    Err(Request::post(format!("{}/cliente", scrap.client_id))
        .send()
        .err()
        .map_or_else(|| FetchError::InvalidResponse("the POST was sent".to_owned()), FetchError::from))
});
