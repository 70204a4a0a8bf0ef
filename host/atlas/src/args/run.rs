//! `atlas run`, and what any command says of a new scrap.

use clap::Args;

/// What makes a scrap.
#[derive(Args)]
pub(crate) struct RunArgs {
    /// The client's id
    #[arg(long, alias = "cliente", value_name = "ID")]
    pub(crate) client: i32,
    /// The route
    #[arg(long, alias = "rota", value_name = "ROUTE")]
    pub(crate) route: String,
    /// First day, YYYY-MM-DD
    #[arg(long, alias = "de", value_name = "DATE")]
    pub(crate) from: Option<String>,
    /// Last day, included
    #[arg(long, alias = "ate", value_name = "DATE")]
    pub(crate) to: Option<String>,
    /// Records to ask for in a page [default: the connector's]
    #[arg(long, value_name = "N")]
    pub(crate) page_size: Option<i32>,
    /// Divide the period into slices of so many days or weeks, which run side by side and are told
    /// of as one scrap: 1d, 2w
    #[arg(long, alias = "fatia", value_name = "DAYS")]
    pub(crate) slice: Option<String>,
}
