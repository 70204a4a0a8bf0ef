//! The API's document, to read and to try.

use maud::{Markup, html};
use serde_json::Value;

use super::layout::page;
use super::visit::Visit;

/// All that the API does, made from its document.
pub(super) async fn show(visit: Visit) -> Markup {
    let document: Value = serde_json::from_str(&crate::api::OPENAPI).unwrap_or_default();
    let paths = document["paths"].as_object();
    let content = html! {
        p.hint { (visit.text("web-api-hint")) " " a href="/api/v1/openapi.json" { "openapi.json" } }
        @for (path, operations) in paths.into_iter().flatten() {
            @for (method, operation) in operations.as_object().into_iter().flatten() {
                (operation_card(&visit, &document, path, method, operation))
            }
        }
    };
    page(&visit, "API", &content)
}

fn operation_card(visit: &Visit, document: &Value, path: &str, method: &str, operation: &Value) -> Markup {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let summary = text(&operation["summary"]);
    let description = text(&operation["description"]);
    let parameters = operation["parameters"].as_array();
    let body = body_example(document, &operation["requestBody"]["content"]["application/json"]["schema"]);
    let id = format!("{method}{path}").replace(['/', '{', '}'], "-");
    html! {
        details.card.operation {
            summary { code { b { (method.to_uppercase()) } " " (path) } " " span.hint { (summary) } }
            @if !description.is_empty() && description != summary { p { (description) } }
            form.sheet data-try=(method) data-path=(path) {
                @for parameter in parameters.into_iter().flatten() {
                    @let name = text(&parameter["name"]);
                    @let field = format!("{id}-{name}");
                    div.field {
                        label for=(field) { code { (name) } " " small { (text(&parameter["in"])) } }
                        input id=(field) name=(name) data-in=(text(&parameter["in"])) required[parameter["required"].as_bool().unwrap_or(false)];
                        @if let Some(hint) = parameter["description"].as_str() { p.hint { (hint) } }
                    }
                }
                @if let Some(body) = &body {
                    div.field { label for={ (id) "-body" } { (visit.text("web-body")) }
                        textarea id={ (id) "-body" } name="_body" rows="8" spellcheck="false" { (body) } }
                }
                div.buttons { button type="submit" { (visit.text("web-send")) } }
                pre hidden tabindex="0" { code {} }
            }
        }
    }
}

/// An example of a request's body, made from its schema: each member with a value of its type.
fn body_example(document: &Value, schema: &Value) -> Option<String> {
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    let properties = document["components"]["schemas"][name]["properties"].as_object()?;
    let example = |property: &Value| {
        let kind = match &property["type"] {
            Value::Array(kinds) => kinds.first().and_then(Value::as_str),
            kind => kind.as_str(),
        };
        match kind {
            Some("integer" | "number") => Value::from(0),
            Some("boolean") => Value::from(false),
            Some("object") => Value::Object(serde_json::Map::new()),
            _ => Value::from(""),
        }
    };
    let members = properties.iter().map(|(name, property)| (name.clone(), example(property)));
    serde_json::to_string_pretty(&Value::Object(members.collect())).ok()
}
