//! What a connector for Atlas Data Flow is written with.
//!
//! A connector describes one route of one API: what to ask for, where in the answers the records
//! stand, and what comes next. All of it is a type that implements [`Connector`], and one line that
//! exports it:
//!
//! ```no_run
//! use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Request, Scrap};
//!
//! struct Orders;
//!
//! impl Connector for Orders {
//!     fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
//!         Ok(Descriptor::new("orders", "example", env!("CARGO_PKG_VERSION")))
//!     }
//!
//!     fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
//!         let answer = Request::get("orders")
//!             .query("after", cursor.unwrap_or_default())
//!             .query("limit", scrap.page_size)
//!             .send()?
//!             .ok()?;
//!         Ok(Page::selected(answer.select("/orders")?).then(answer.text("/next")?))
//!     }
//! }
//!
//! atlas_connector_sdk::export!(Orders);
//! ```
//!
//! The records stay in the host: [`Response::select`] only says where they stand, so a page costs
//! the same whatever its size. The host keeps credentials, retries and rate limits; a connector
//! says by its [`FetchError`] what an answer means, and the `?` after [`Request::send`],
//! [`Response::ok`] and the readers of [`Response`] already says it for the usual ones.
//!
//! Build for `wasm32-unknown-unknown`: the component then imports nothing but `atlas:connector`.

#[doc(hidden)]
pub mod bindings;
mod component;
mod descriptor;
mod error;
mod json;
mod log;
mod page;
mod request;
mod response;

pub use bindings::atlas::connector::http::{BodyError, HttpError, Method, Selection};
pub use bindings::atlas::connector::log::Level;
pub use bindings::atlas::connector::types::{
    AuthScheme, Cursor, Descriptor, FetchError, Page, Period, Placeholder, PlaceholderPosition, QuotaHint, RateBudget,
    Records, RequestPattern, RetryHint, Scrap,
};
#[doc(hidden)]
pub use component::Component;
pub use log::log;
pub use request::Request;
pub use response::Response;

/// One route of one API. Nothing is kept between two calls: each runs in an instance of its own,
/// and what must be known for the next page stands in the cursor.
pub trait Connector {
    /// Says what this connector is. `definition` is the route's TOML, for a connector that
    /// interprets one; none for all others. No request can be made here.
    ///
    /// # Errors
    /// Why the definition cannot be used. A connector without one has no reason to fail.
    fn describe(definition: Option<&str>) -> Result<Descriptor, String>;

    /// Fetches one page; without a cursor, the first.
    ///
    /// # Errors
    /// What the answer means for the scrap: see [`FetchError`].
    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError>;
}

/// Makes a type that implements [`Connector`] the component's own. Once in a crate, whose type is
/// `cdylib`.
#[macro_export]
macro_rules! export {
    ($connector:ty) => {
        #[allow(unsafe_code, reason = "generated: the component's entry points")]
        const _: () = {
            type Exported = $crate::Component<$connector>;
    $crate::bindings::export_component!(Exported with_types_in $crate::bindings);
        };
    };
}
