//! What most connectors say of themselves, and ask of their scrap.

use crate::{AuthScheme, Descriptor, FetchError, Period, Scrap};

impl Descriptor {
    /// A route with what is true of most: a bearer token, GET requests only, no period, 100 records
    /// a page, no settings, no known rate. What differs is set on the fields, `cursor_format`
    /// whenever cursors change meaning.
    #[must_use]
    pub fn new(route: &str, api: &str, version: &str) -> Self {
        Self {
            route: route.to_owned(),
            api: api.to_owned(),
            version: version.to_owned(),
            cursor_format: 1,
            takes_period: false,
            page_size: 100,
            lag_seconds: 0,
            auth: AuthScheme::Bearer,
            requests: Vec::new(),
            rate: None,
            settings_schema: "{}".to_owned(),
            key: Vec::new(),
            changed_at: None,
            unhashed: Vec::new(),
        }
    }
}

impl Scrap {
    /// The days asked for, in a route whose descriptor says `takes_period`.
    ///
    /// # Errors
    /// `Fatal` when there is none, which the host does not let happen in such a route.
    pub fn period(&self) -> Result<&Period, FetchError> {
        self.period.as_ref().ok_or_else(|| FetchError::Fatal(format!("the route {} needs a period", self.route)))
    }
}
