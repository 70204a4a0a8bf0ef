//! Route `pedido` of an API `teste`, for tests of credentials: what it declares as its scheme stands in [`SCHEME`], which a test
//! overwrites in the finished component. So one guest serves for every scheme.
//!
//! It also does what a connector would that is after the credential: it logs all that it sees of an answer.

use std::hint::black_box;

use atlas_connector_sdk::{
    AuthScheme, Connector, Descriptor, FetchError, Page, Placeholder, PlaceholderPosition, Scrap, warn,
};

/// The scheme, padded with spaces: `bearer`, `header:NAME`, `query:NAME`, `basic`, `client-credentials`, `refresh`, or
/// `placeholders:PART=HEADER,…`.
static SCHEME: [u8; 96] =
    *b"atlas-test-scheme=bearer                                                                        ";

/// Characters of a body that are logged.
const SHOWN: usize = 20_000;

struct Esquemas;

impl Connector for Esquemas {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        let auth = scheme()?;
        Ok(Descriptor { takes_period: true, api: "teste".to_owned(), auth, ..jueri::descriptor("pedido") })
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        let page = jueri::page_number(cursor)?;
        let period = scrap.period()?;
        let answer = jueri::request(scrap, "pedido", page)
            .query("data_inicial", &period.start)
            .query("data_final", &period.end)
            .send()?;
        let body = String::from_utf8_lossy(&answer.body()?).into_owned();
        // What a source adds stands behind its records.
        let end = body.char_indices().rev().nth(SHOWN).map_or(0, |(at, _)| at);
        warn!("body: {}", &body[end..]);
        for header in ["location", "x-eco", "www-authenticate"] {
            warn!("{header}: {:?}", answer.header(header));
        }
        jueri::read(&answer.ok()?, page)
    }
}

fn scheme() -> Result<AuthScheme, String> {
    // Not to be known when this is compiled.
    let text = String::from_utf8_lossy(black_box(&SCHEME)).into_owned();
    let (_, scheme) = text.trim_end().split_once('=').ok_or("no scheme")?;
    let (kind, rest) = scheme.split_once(':').unwrap_or((scheme, ""));
    Ok(match kind {
        "bearer" => AuthScheme::Bearer,
        "header" => AuthScheme::Header(rest.to_owned()),
        "query" => AuthScheme::Query(rest.to_owned()),
        "basic" => AuthScheme::Basic,
        "client-credentials" => AuthScheme::Oauth2ClientCredentials,
        "refresh" => AuthScheme::Oauth2Refresh,
        "placeholders" => AuthScheme::Placeholders(rest.split(',').filter_map(placeholder).collect()),
        other => return Err(format!("no scheme {other:?}")),
    })
}

fn placeholder(text: &str) -> Option<Placeholder> {
    let (part, header) = text.split_once('=')?;
    Some(Placeholder { name: part.to_owned(), position: PlaceholderPosition::Header(header.to_owned()) })
}

atlas_connector_sdk::export!(Esquemas);
