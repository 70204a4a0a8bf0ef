//! A source that writes the credential of a request into its answer, in every form that a
//! credential can take on the way.

use bytes::Bytes;
use serde_json::json;

use crate::opens::base64;
use crate::request::Request;

/// What a request carried that may be a credential: `Authorization`, headers of the API's own, the
/// query, the body.
fn carried(request: &Request) -> String {
    let mut all = Vec::new();
    for (name, value) in request.headers() {
        if !matches!(name.as_str(), "host" | "accept" | "accept-encoding" | "user-agent") {
            all.push(format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
    }
    all.extend(request.uri().query().map(str::to_owned));
    all.push(String::from_utf8_lossy(request.body()).into_owned());
    all.join("\n")
}

/// The same in each form.
pub(crate) fn forms(request: &Request) -> Vec<String> {
    let plain = carried(request);
    let escaped: String = plain.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let percent = |case: fn(u8) -> String| plain.bytes().map(case).collect::<String>();
    let encoded: Vec<String> = ["", "x", "xy"].iter().map(|pad| base64(format!("{pad}{plain}").as_bytes())).collect();
    let url_safe: Vec<String> = encoded.iter().map(|text| text.replace('+', "-").replace('/', "_")).collect();
    let as_json = json!({ "pedido": plain }).to_string();
    [plain.clone(), as_json, percent(|b| format!("%{b:02x}")), percent(|b| format!("%{b:02X}"))]
        .into_iter()
        .chain(encoded)
        .chain(url_safe)
        .map(|form| json!(form).to_string())
        // This one is escaped already.
        .chain([format!("\"{escaped}\"")])
        .collect()
}

/// Elements for a page: a record with every form in it, and one that no table can hold, with every
/// form in it too.
pub(crate) fn elements(request: &Request) -> Bytes {
    let forms = forms(request).join(",");
    format!(",{{\"id\":\"eco\",\"eco\":[{forms}]}},{{\"id\":\"eco\",\"id\":\"duas vezes\",\"eco\":[{forms}]}}").into()
}
