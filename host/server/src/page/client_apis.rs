//! One API of a client: where it is, what opens it, and what is set of it, as its connectors say
//! what they need. What is stored is never sent to a browser.

use std::collections::BTreeMap;
use std::sync::Arc;

use atlas_model::{Notice, Parts, Secret, notice};
use atlas_service::{Act, ClientChange, Failure, Origin};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::clients::{saved, shown};
use super::fields::{Fields, PART, SETTING};
use super::layout::{ask, field, page, token};
use super::refusal::Answer;
use super::remedy::alert;
use super::visit::{At, Posted, Visit};
use crate::problem;
use crate::state::AppState;

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/clientes/{id}/api", get(form).post(set))
        .route("/clientes/{id}/api/remover", get(ask_to_remove).post(remove))
}

async fn form(visit: Visit, At(id): At<i32>) -> Answer {
    visit.need(Act::Configure)?;
    let fields = visit.prefill();
    filled_form(&visit, id, &fields, StatusCode::OK, &html! {}).await
}

/// The form for one API: as its connectors say what they need.
async fn filled_form(visit: &Visit, id: i32, fields: &Fields, status: StatusCode, above: &Markup) -> Answer {
    let api = fields.text("api");
    let Needs { parts: needed, base_url, has_credential, settings } = needs(visit, id, api).await?;
    let base_url = fields.get("base_url").map(str::to_owned).or(base_url).unwrap_or_default();
    let content = html! {
        p { a href={ "/clientes/" (id) } { "« " (visit.say(&notice!("web-client-of", id = id))) } }
        (above)
        form.card.sheet method="post" action={ "/clientes/" (id) "/api" } autocomplete="off" {
            (token(visit))
            input type="hidden" name="api" value=(api);
            (field("base_url", &visit.text("web-base-url"), Some(&visit.text("web-base-url-hint")), &html! {
                input #base_url name="base_url" type="url" required placeholder="https://" aria-describedby="base_url-hint" value=(base_url);
            }))
            @for part in &needed {
                @let input_id = format!("{PART}{part}");
                @let is_open = part == "token_url" || part == "scope" || part == "client_id" || part == "username";
                (field(&input_id, &part_name(visit, part), None, &html! {
                    input id=(input_id) name=(input_id) type=(if is_open { "text" } else { "password" }) autocomplete="new-password" required[part != "scope" && !has_credential];
                }))
            }
            @if needed.is_empty() { p.hint { (visit.text("web-no-parts")) } }
            @else if has_credential { p.hint { (visit.text("web-parts-stay")) } }
            @if !settings.is_empty() {
                fieldset { legend { (visit.text("web-settings")) }
                    @for setting in &settings { (setting_field(setting, fields.get(&format!("{SETTING}{}", setting.name)))) }
                }
            }
            div.buttons { button.primary type="submit" { (visit.text("web-save")) } }
        }
    };
    let title = visit.say(&notice!("web-set-api", api = api));
    Ok((status, page(visit, &title, &content)).into_response())
}

fn part_name(visit: &Visit, part: &str) -> String {
    let key = format!("web-part-{}", part.replace('_', "-"));
    let text = visit.say(&Notice::new(&key));
    if text == key { part.to_owned() } else { text }
}

/// The credential parts and settings that an API's connectors need, and those that are stored.
struct Needs {
    /// The names of the credential's parts.
    parts: Vec<String>,
    /// The API's present base URL.
    base_url: Option<String>,
    /// Whether it has a credential of its own.
    has_credential: bool,
    /// The settings that can be set.
    settings: Vec<Setting>,
}

/// One thing that can be set, as a connector's schema has it.
struct Setting {
    name: String,
    schema: Value,
    required: bool,
    /// Whether it is a secret: then it is not shown, and typed anew to change it.
    secret: bool,
    /// The stored value.
    value: Option<Value>,
}

async fn needs(visit: &Visit, id: i32, api: &str) -> Result<Needs, Failure> {
    let atlas = &visit.state.atlas;
    atlas.known_client(id).await?;
    let now = atlas.settings(id, api).await?;
    let registry = atlas.connectors().registry().await?;
    let (mut parts, mut settings) = (Vec::new(), BTreeMap::new());
    for connector in registry.routes().into_iter().filter_map(|route| registry.connector(&route)) {
        let descriptor = &connector.descriptor;
        if descriptor.api != api {
            continue;
        }
        for part in descriptor.auth.parts_needed() {
            if !parts.iter().any(|known| known == part) {
                parts.push(part.to_owned());
            }
        }
        let (schema, secrets) = (descriptor.settings_schema.value(), descriptor.secret_settings());
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
            let setting = settings.entry(name.clone()).or_insert_with(|| Setting {
                name: name.clone(),
                schema: property.clone(),
                required: false,
                secret: false,
                value: now.get(name).cloned(),
            });
            setting.required |= is_required;
            setting.secret |= secrets.contains(name);
        }
    }
    let status = atlas.credentials(id, None).await?.into_iter().find(|status| status.api == api);
    let has_credential = status.as_ref().is_some_and(|status| !status.parts.is_empty());
    let base_url = status.map(|status| status.base_url);
    Ok(Needs { parts, base_url, has_credential, settings: settings.into_values().collect() })
}

/// A field for one setting: as its schema says, or for JSON where that says more than a field can.
fn setting_field(setting: &Setting, typed: Option<&str>) -> Markup {
    let id = format!("{SETTING}{}", setting.name);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let schema = &setting.schema;
    if setting.secret {
        let name = schema["title"].as_str().unwrap_or(&setting.name);
        // Neither the typed nor the stored secret is sent to the browser; an empty field keeps the
        // stored one.
        let is_needed = setting.required && setting.value.is_none();
        let input = html! {
            input id=(id) name=(id) type="password" autocomplete="new-password" required[is_needed];
        };
        return field(&id, name, schema["description"].as_str(), &input);
    }
    let value = typed.map(str::to_owned).or_else(|| setting.value.as_ref().or(schema.get("default")).map(text));
    let value = value.unwrap_or_default();
    let name = schema["title"].as_str().unwrap_or(&setting.name);
    let input = match (schema["enum"].as_array(), schema["type"].as_str()) {
        (Some(choices), _) => html! {
            select id=(id) name=(id) required[setting.required] {
                @if !setting.required { option value="" {} }
                @for choice in choices { option value=(text(choice)) selected[text(choice) == value] { (text(choice)) } }
            }
        },
        (_, Some("boolean")) => html! {
            select id=(id) name=(id) {
                @for choice in ["", "true", "false"] { option value=(choice) selected[choice == value] { (choice) } }
            }
        },
        (_, Some("integer")) => {
            html! { input id=(id) name=(id) type="number" step="1" required[setting.required] value=(value); }
        }
        (_, Some("number")) => {
            html! { input id=(id) name=(id) type="number" step="any" required[setting.required] value=(value); }
        }
        (_, Some("array" | "object")) => {
            html! { textarea id=(id) name=(id) rows="4" required[setting.required] { (value) } }
        }
        _ => html! { input id=(id) name=(id) required[setting.required] value=(value); },
    };
    field(&id, name, schema["description"].as_str(), &input)
}

/// Applies a form to an API's settings: values are texts where the schema wants texts, else parsed
/// as JSON. Settings without a field in the form stay.
fn typed_settings(now: Map<String, Value>, fields: &Fields, settings: &[Setting]) -> Map<String, Value> {
    let mut typed = now;
    for setting in settings {
        typed.remove(&setting.name);
        let Some(text) = fields.get(&format!("{SETTING}{}", setting.name)) else { continue };
        let is_text = |value: &Value| value.as_str() == Some(text);
        let chosen = setting.schema["enum"].as_array().and_then(|all| all.iter().find(|value| is_text(value)));
        let value = match (chosen, setting.schema["type"].as_str()) {
            (Some(chosen), _) => chosen.clone(),
            (None, Some("string")) => Value::from(text),
            // A value that is no JSON is kept as text, so that the schema's error names it.
            _ => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        };
        typed.insert(setting.name.clone(), value);
    }
    typed
}

async fn set(At(id): At<i32>, Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    let typed = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(PART)?, value.trim())));
    let typed = typed.filter(|(_, value)| !value.is_empty());
    let parts: Vec<_> = typed.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned()))).collect();
    let set = async {
        let (api, base_url) = (fields.text("api"), fields.get("base_url"));
        let atlas = &visit.state.atlas;
        let Needs { settings, .. } = needs(&visit, id, api).await?;
        // Nothing typed: what is stored stays.
        if parts.is_empty() {
            let (api, base_url) = (Some(api.to_owned()), base_url.map(str::to_owned));
            let change = ClientChange { api, base_url, origin: Origin::Network, ..ClientChange::default() };
            atlas.set_client(id, change).await?;
        } else {
            let parts = Parts::of(parts).map_err(|error| Failure::parts(&error, ""))?;
            atlas.set_credential(id, api, base_url, &parts, Origin::Network).await?;
        }
        if !settings.is_empty() {
            let now = atlas.settings(id, api).await?;
            atlas.set_settings(id, api, typed_settings(now, &fields, &settings)).await?;
        }
        Ok(())
    };
    match set.await {
        Ok(()) => Ok(saved(id).into_response()),
        Err(failure) => filled_form(&visit, id, &fields, problem::status(&failure), &alert(&visit, &failure)).await,
    }
}

async fn ask_to_remove(visit: Visit, At(id): At<i32>) -> Markup {
    let api = visit.query.text("api").to_owned();
    let title = visit.say(&notice!("web-remove-api", api = api));
    let address = format!("/clientes/{id}/api/remover?{}", Fields::default().with("api", Some(&api)));
    let what = notice!("web-ask-remove-api", id = id, api = api);
    ask(&visit, &title, &what, &address, &title, &format!("/clientes/{id}"))
}

async fn remove(At(id): At<i32>, Posted { visit, .. }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    match visit.state.atlas.remove_client(id, Some(visit.query.text("api"))).await {
        Ok(()) => Ok(Redirect::to(&format!("/clientes/{id}?feito=removido")).into_response()),
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &Fields::default()).await,
    }
}
