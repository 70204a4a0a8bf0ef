//! `atlas connector inspect`: what a file says of itself, and what it needs of the operator.

use std::fmt::Write as _;

use atlas_model::{Notice, notice};
use atlas_service::{AuthScheme, Connector, Descriptor, Pointer, Position, RateBudget, TokenGrant};
use serde_json::{Value, json};

use super::output::Output;

pub(super) fn show(connector: &Connector, output: &Output) {
    let descriptor = &connector.descriptor;
    let requests: Vec<String> = descriptor.requests.iter().map(ToString::to_string).collect();
    let (settings, rate) = (settings(descriptor.settings_schema.value()), &descriptor.rate);
    if output.is_json() {
        output.json(&json!({
            "rota": descriptor.route,
            "api": descriptor.api,
            "versao": descriptor.version,
            "sha256": connector.sha256,
            "formato_cursor": descriptor.cursor_format,
            "usa_periodo": descriptor.takes_period,
            "tamanho_pagina": descriptor.page_size,
            "credencial": scheme(&descriptor.auth),
            "partes": descriptor.auth.parts_needed(),
            "configuracoes": settings,
            "orcamento": {
                "por_segundo": rate.per_second,
                "rajada": rate.burst,
                "por_dia": rate.per_day,
                "simultaneas": rate.concurrency,
            },
            "pedidos_http": requests,
            "grant": grant(descriptor),
            "chave": pointers(&descriptor.key),
            "fora_do_hash": pointers(&descriptor.unhashed),
        }));
        return;
    }
    let yes_no = |yes: bool| output.text(&if yes { notice!("yes") } else { notice!("no") });
    let lines = [
        ("heading-route", descriptor.route.clone()),
        ("heading-api", descriptor.api.clone()),
        ("heading-version", descriptor.version.clone()),
        ("heading-sha256", connector.sha256.clone()),
        ("heading-takes-period", yes_no(descriptor.takes_period)),
        ("heading-page-size", descriptor.page_size.to_string()),
        ("heading-scheme", scheme(&descriptor.auth)),
        ("heading-parts", descriptor.auth.parts_needed().join(", ")),
        ("heading-settings", settings.join(", ")),
        ("heading-budget", budget(rate)),
        ("heading-requests", if requests.is_empty() { "GET".to_owned() } else { requests.join(", ") }),
        ("heading-key", pointers(&descriptor.key).join(", ")),
        ("heading-unhashed", pointers(&descriptor.unhashed).join(", ")),
    ];
    for (heading, value) in lines {
        let value = if value.is_empty() { "-" } else { &value };
        output.line(&format!("{}: {value}", output.text(&Notice::new(heading))));
    }
    if let Some(grant) = grant(descriptor) {
        output.line(&format!("\n{}\n\n{grant}", output.text(&notice!("inspect-grant"))));
    }
    // No component of contract 0.1 can declare them.
    output.line(&format!("\n{}", output.text(&notice!("inspect-headers"))));
}

fn pointers(list: &[Pointer]) -> Vec<String> {
    list.iter().map(|pointer| pointer.as_str().to_owned()).collect()
}

/// Where the API expects its credential, in HTTP's own words.
fn scheme(auth: &AuthScheme) -> String {
    match auth {
        AuthScheme::None => String::new(),
        AuthScheme::Bearer => "Authorization: Bearer".to_owned(),
        AuthScheme::Header(name) => format!("{name}:"),
        AuthScheme::Query(name) => format!("?{name}="),
        AuthScheme::Basic => "Authorization: Basic".to_owned(),
        AuthScheme::OAuth(TokenGrant::ClientCredentials) => "OAuth 2, client_credentials".to_owned(),
        AuthScheme::OAuth(TokenGrant::Refresh) => "OAuth 2, refresh_token".to_owned(),
        AuthScheme::Placeholders(all) => {
            let place = |position: &Position| match position {
                Position::Header(name) => format!("{name}:"),
                Position::Body(pointer) => pointer.as_str().to_owned(),
            };
            let all = all.iter().map(|placeholder| format!("{} {}", place(&placeholder.position), placeholder.name));
            all.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The settings that the schema names, those that must be given marked by `*`, with their types.
fn settings(schema: &Value) -> Vec<String> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let one = |(name, of): (&String, &Value)| {
        let mark = if required.contains(&name.as_str()) { "*" } else { "" };
        match &of["type"] {
            Value::String(kind) => format!("{name}{mark} ({kind})"),
            _ => format!("{name}{mark}"),
        }
    };
    schema["properties"].as_object().into_iter().flatten().map(one).collect()
}

/// A budget as `atlas.toml` writes it.
fn budget(rate: &RateBudget) -> String {
    let all = [
        ("per_second", rate.per_second.map(|number| number.to_string())),
        ("burst", rate.burst.map(|number| number.to_string())),
        ("per_day", rate.per_day.map(|number| number.to_string())),
        ("concurrency", rate.concurrency.map(|number| number.to_string())),
    ];
    let said = all.into_iter().filter_map(|(name, number)| Some(format!("{name} = {}", number?)));
    said.collect::<Vec<_>>().join(", ")
}

/// What `atlas.toml` needs for the requests that the connector makes beside GET and HEAD, ready to
/// be pasted.
fn grant(descriptor: &Descriptor) -> Option<String> {
    if descriptor.requests.is_empty() {
        return None;
    }
    // TOML's basic strings have JSON's escapes (TOML 1.0, String).
    let requests: Vec<String> =
        descriptor.requests.iter().map(|pattern| json!(pattern.to_string()).to_string()).collect();
    let mut grant = String::from("[[grant]]\n");
    let _ = write!(grant, "api = {}\nrequests = [{}]", json!(descriptor.api), requests.join(", "));
    // The name stands in no description; the run that lacks one prints this line with it.
    grant.push_str("\n# headers = [\"NAME\"]");
    Some(grant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_with_their_types_and_those_that_must_be_given_are_marked() {
        let schema = json!({
            "properties": { "loja": { "type": "integer" }, "modo": { "enum": ["a", "b"] } },
            "required": ["loja"]
        });
        assert_eq!(settings(&schema), ["loja* (integer)", "modo"]);
        assert!(settings(&json!({})).is_empty() && settings(&json!(true)).is_empty());
    }

    #[test]
    fn a_budget_is_written_as_the_settings_file_writes_it() {
        let rate = RateBudget { per_second: Some(0.5), per_day: Some(10_000), ..RateBudget::default() };
        assert_eq!(budget(&rate), "per_second = 0.5, per_day = 10000");
        assert_eq!(budget(&RateBudget::default()), "");
    }
}
