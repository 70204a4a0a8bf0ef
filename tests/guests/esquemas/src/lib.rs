//! Route `pedido` of an API `teste`, for tests of credentials: what it declares as its scheme
//! stands in [`SCHEME`], which a test overwrites in the finished component. So one guest serves for
//! every scheme.
//!
//! It also does what a connector would that is after the credential: it logs all that it sees of an
//! answer.

use std::hint::black_box;

use atlas_connector_sdk::{
    AuthScheme, Connector, Descriptor, FetchError, Method, Page, Placeholder, PlaceholderPosition, Request,
    RequestPattern, Scrap, warn,
};

/// The scheme, padded with spaces: `bearer`, `header:NAME`, `query:NAME`, `basic`,
/// `client-credentials`, `refresh`, or `placeholders:PART=PLACE,…`, a place being a header's name,
/// or `body/` and that of a member of the body. With a member of the body among them every request
/// is a POST.
static SCHEME: [u8; 96] =
    *b"atlas-test-scheme=bearer                                                                        ";

/// Characters of a body that are logged.
const SHOWN: usize = 20_000;

struct Esquemas;

impl Connector for Esquemas {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        let auth = scheme()?;
        let requests = match members(&auth).as_slice() {
            [] => Vec::new(),
            _ => vec![RequestPattern { method: Method::Post, path: "/*/pedido".to_owned() }],
        };
        let jueri = jueri::descriptor("pedido");
        Ok(Descriptor { takes_period: true, api: "teste".to_owned(), auth, requests, ..jueri })
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        let page = jueri::page_number(cursor)?;
        let period = scrap.period()?;
        let members = members(&scheme().map_err(FetchError::Fatal)?);
        let request = match members.as_slice() {
            [] => jueri::request(scrap, "pedido", page),
            // The host puts the credential in their places.
            members => Request::post(format!("{}/pedido", scrap.client_id))
                .query("page", page)
                .query("per_page", scrap.page_size)
                .json(format!("{{{}}}", members.join(","))),
        };
        let answer = request.query("data_inicial", &period.start).query("data_final", &period.end).send()?;
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
    let (part, place) = text.split_once('=')?;
    let position = match place.strip_prefix("body/") {
        Some(member) => PlaceholderPosition::Body(format!("/{member}")),
        None => PlaceholderPosition::Header(place.to_owned()),
    };
    Some(Placeholder { name: part.to_owned(), position })
}

/// The members of a body that the scheme has something to put into.
fn members(scheme: &AuthScheme) -> Vec<String> {
    let AuthScheme::Placeholders(all) = scheme else { return Vec::new() };
    let member = |placeholder: &Placeholder| match &placeholder.position {
        PlaceholderPosition::Body(pointer) => Some(format!("\"{}\":\"\"", &pointer[1..])),
        PlaceholderPosition::Header(_) => None,
    };
    all.iter().filter_map(member).collect()
}

atlas_connector_sdk::export!(Esquemas);
