//! The route `pedido` in any version that a test wants. What a version is stands in one place of
//! the component, `NAME=VALUE` with blanks between, and the tests write over it: so one build gives
//! as many versions as they need.

use std::hint::black_box;

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Scrap, warn};

/// What the tests look for in the file, and how much of it they may write over.
const LENGTH: usize = 256;
static VERSION: [u8; LENGTH] = padded(b"ATLAS-TEST-VERSION: version=1");

const fn padded(text: &[u8]) -> [u8; LENGTH] {
    let mut padded = [b' '; LENGTH];
    let mut at = 0;
    while at < text.len() {
        padded[at] = text[at];
        at += 1;
    }
    padded
}

/// One thing that a version is.
fn set(name: &str) -> Option<&'static str> {
    // The compiler must not know what stands there.
    let text = std::str::from_utf8(black_box(&VERSION)).unwrap_or_default();
    text.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn number(name: &str) -> Option<u32> {
    set(name)?.parse().ok()
}

struct Changeable;

impl Connector for Changeable {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        end_the_process("describe", 0);
        Ok(Descriptor {
            takes_period: true,
            version: set("version").unwrap_or("0").to_owned(),
            cursor_format: number("cursor-format").unwrap_or(1),
            unhashed: set("unhashed").map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            settings_schema: match (set("setting"), set("secret")) {
                (Some(name), _) => schema(name),
                (None, Some(name)) => secret_schema(name),
                (None, None) => "{}".to_owned(),
            },
            ..jueri::descriptor(set("route").unwrap_or("pedido"))
        })
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        match set("fails") {
            Some("trap") => panic!("a version that traps"),
            Some("error") => return Err(FetchError::Fatal("a version that gives up".to_owned())),
            Some("settings") => {
                warn!("its settings are {}", scrap.settings);
                return Err(FetchError::Fatal(format!("its settings are {}", scrap.settings)));
            }
            _ => {}
        }
        // Where cursors mean something else, they look different as well.
        let prefix = number("cursor-format").filter(|format| *format > 1).map(|format| format!("v{format}:"));
        let prefix = prefix.unwrap_or_default();
        let cursor = match cursor {
            Some(cursor) => Some(cursor.strip_prefix(&prefix).ok_or_else(|| not_ours(cursor))?),
            None => None,
        };
        let page = jueri::page_number(cursor)?;
        let period = scrap.period()?;
        let mut request =
            jueri::request(scrap, "pedido", page).query("data_inicial", &period.start).query("data_final", &period.end);
        if let Some(value) = set("asks") {
            request = request.query("extra", value);
        }
        let answer = request.send()?.ok()?;
        end_the_process("page", page);
        let mut fetched = jueri::read(&answer, page)?;
        for next in &mut fetched.next {
            next.insert_str(0, &prefix);
        }
        Ok(match set("records") {
            Some("none") => Page::json(Vec::new()).then(fetched.next).of_total(fetched.total_records),
            _ => fetched,
        })
    }
}

/// Ends the process that it runs in, if this version does so at this place:
/// `ends=describe:0:SIGABRT`, `ends=page:3:SIGSEGV`. Hosts that were built for debugging have a
/// hook for this line of a log, and obey it where their environment says so.
fn end_the_process(place: &str, page: u64) {
    let mut ends = set("ends").unwrap_or_default().split(':');
    if ends.next() == Some(place) && ends.next() == Some(&page.to_string()) {
        warn!("atlas test: end this process by {}", ends.next().unwrap_or_default());
    }
}

/// Of one setting, a number that has to be there.
fn schema(name: &str) -> String {
    format!(r#"{{"type":"object","required":["{name}"],"properties":{{"{name}":{{"type":"integer","minimum":1}}}}}}"#)
}

/// Of one setting, a text that is a secret and has to be there.
fn secret_schema(name: &str) -> String {
    let property = r#"{"type":"string","minLength":4,"writeOnly":true}"#;
    format!(r#"{{"type":"object","required":["{name}"],"properties":{{"{name}":{property},"loja":{{}}}}}}"#)
}

fn not_ours(cursor: &str) -> FetchError {
    FetchError::Fatal(format!("not a cursor of this version: {cursor:.40}"))
}

atlas_connector_sdk::export!(Changeable);
