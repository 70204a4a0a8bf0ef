//! Clients, their tokens, and where their APIs are. What is stored is never sent to a browser: its
//! forms are empty.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_model::{Client, Notice, Parts, Secret, notice};
use atlas_service::{Act, ClientChange, Failure, Said};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::connectors::tried;
use super::layout::{action, ask, day_input, empty, field, page, token, told};
use super::remedy::{alert, hint};
use super::scraps::request;
use super::visit::{At, Fields, PART, Posted, SETTING, Visit};
use crate::House;
use crate::problem;

/// Time limit of the DNS look-up behind [`unreachable_hint`].
const LOOK_UP: Duration = Duration::from_secs(2);

pub(super) fn router() -> Router<Arc<House>> {
    Router::new()
        .route("/clientes", get(list).post(add))
        .route("/clientes/novo", get(new))
        .route("/clientes/{id}", get(show).post(change))
        .route("/clientes/{id}/api", get(api_form).post(set_api))
        .route("/clientes/{id}/api/remover", get(ask_to_remove_api).post(remove_api))
        .route("/clientes/{id}/vincular", post(bind))
        .route("/clientes/{id}/ativo", post(activate))
        .route("/clientes/{id}/desativar", get(ask_to_deactivate))
        .route("/clientes/{id}/remover", get(ask_to_remove).post(remove))
        .route("/clientes/{id}/testar", post(test))
}

async fn list(visit: Visit) -> Response {
    let clients = match visit.house.atlas.clients().await {
        Ok(clients) => clients,
        Err(failure) => return visit.failed(&failure),
    };
    let may = visit.session.principal.may(Act::Configure);
    let content = html! {
        (told(&visit))
        div.bar { p.hint { (visit.text("web-clients-hint")) } @if may { a.button.primary href="/clientes/novo" { (visit.text("web-new-client")) } } }
        @if clients.is_empty() { (empty(&visit.text("web-first-client"), None)) }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(visit.text("web-clients")) { table.dense {
                thead { tr {
                    th scope="col" { (visit.text("web-client")) }
                    th scope="col" { (visit.text("web-state")) }
                    th scope="col" { (visit.text("web-apis")) }
                    th scope="col" { span.sr { (visit.text("web-actions")) } }
                } }
                tbody { @for client in &clients { tr {
                    td { a href={ "/clientes/" (client.cliente_id) } { (client.cliente_id) } }
                    td { (active(&visit, client)) }
                    td.text { @for api in &client.apis { div { b { (name(&visit, &api.api)) } " " bdi { (api.base_url) } } } }
                    td.actions { a.button.quiet href={ "/scraps?cliente=" (client.cliente_id) } { (visit.text("web-scraps")) } }
                } } }
            } }
        }
    };
    visit.page(&visit.text("web-clients"), content)
}

fn active(visit: &Visit, client: &Client) -> Markup {
    let (state, text) = if client.active { ("concluido", "web-active") } else { ("cancelado", "web-inactive") };
    html! { span.badge data-s=(state) { (visit.text(text)) } }
}

fn name(visit: &Visit, api: &str) -> String {
    if api.is_empty() { visit.text("web-default-api") } else { api.to_owned() }
}

async fn new(visit: Visit) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    let fields = visit.prefill();
    new_form(&visit, &fields, StatusCode::OK, &html! {})
}

fn new_form(visit: &Visit, fields: &Fields, status: StatusCode, above: &Markup) -> Response {
    let content = html! {
        (above)
        form.card.sheet method="post" action="/clientes" autocomplete="off" {
            (token(visit))
            (field("cliente", &visit.text("web-client-id"), Some(&visit.text("web-client-id-hint")), &html! {
                input #cliente name="cliente" inputmode="numeric" pattern="[0-9]+" required aria-describedby="cliente-hint" value=(fields.text("cliente"));
            }))
            (token_field(visit, true))
            (field("base_url", &visit.text("web-base-url"), Some(&visit.text("web-base-url-hint")), &html! {
                input #base_url name="base_url" type="url" required placeholder="https://" aria-describedby="base_url-hint" value=(fields.text("base_url"));
            }))
            div.buttons { button.primary type="submit" { (visit.text("web-save")) } }
        }
    };
    (status, page(visit, &visit.text("web-new-client"), &content)).into_response()
}

fn token_field(visit: &Visit, required: bool) -> Markup {
    // A token is never sent back to the browser: it has to be typed again after a refused form.
    let hint = match (required, visit.is_post) {
        (true, true) => "web-token-retype-hint",
        (true, false) => "web-token-hint",
        (false, _) => "web-token-again-hint",
    };
    field(
        "token",
        &visit.text("web-token"),
        Some(&visit.text(hint)),
        &html! {
            input #token name="token" type="password" autocomplete="new-password" required[required] aria-describedby="token-hint";
        },
    )
}

async fn add(Posted { visit, fields }: Posted) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    let added = async {
        let id: i32 = fields.needed("cliente")?;
        visit.house.atlas.add_client(id, said(&fields)).await.map(|()| id)
    };
    match added.await {
        Ok(id) => Redirect::to(&format!("/clientes/{id}?feito=novo")).into_response(),
        Err(failure) => new_form(&visit, &fields, problem::status(&failure), &alert(&visit, &failure)),
    }
}

/// The change of a client that a form asks for.
fn said(fields: &Fields) -> ClientChange {
    ClientChange {
        api: None,
        token: fields.get("token").map(|token| Secret::new(token.to_owned())),
        base_url: fields.get("base_url").map(str::to_owned),
        active: None,
        allow_private: false,
        said: Said::OverTheNet,
    }
}

async fn show(visit: Visit, At(id): At<i32>) -> Response {
    let told = html! { (told(&visit)) @if visit.query.get("feito").is_some() { (unreachable_hint(&visit, id).await) } };
    let fields = visit.prefill();
    shown(&visit, id, StatusCode::OK, told, &fields).await
}

/// A hint below a saved base URL that no request may be sent to yet: it is at a private address,
/// which the page cannot grant.
async fn unreachable_hint(visit: &Visit, id: i32) -> Markup {
    let ungranted = tokio::time::timeout(LOOK_UP, visit.house.atlas.ungranted_url(id)).await;
    match ungranted {
        Ok(Ok(Some(url))) => {
            let notice = notice!("web-private-url", url = url, client = id);
            html! { div.alert.note role="status" { p { strong { (visit.say(&notice)) } } (hint(visit, &notice)) } }
        }
        _ => html! {},
    }
}

async fn shown(visit: &Visit, id: i32, status: StatusCode, above: Markup, fields: &Fields) -> Response {
    match client_page(visit, id, above, fields).await {
        Ok(content) => (status, page(visit, &visit.say(&notice!("web-client-of", id = id)), &content)).into_response(),
        Err(failure) => visit.failed(&failure),
    }
}

async fn client_page(visit: &Visit, id: i32, above: Markup, fields: &Fields) -> Result<Markup, Failure> {
    let atlas = &visit.house.atlas;
    atlas.known_client(id).await?;
    let clients = atlas.clients().await?;
    let Some(client) = clients.into_iter().find(|client| client.cliente_id == id) else { return Ok(above) };
    let credentials = atlas.credentials(id, None).await?;
    let registry = atlas.connectors().registry().await?;
    let routes: Vec<_> = registry.routes().into_iter().filter_map(|route| registry.connector(&route)).collect();
    let apis: BTreeMap<String, ()> = routes.iter().map(|connector| (connector.descriptor.api.clone(), ())).collect();
    let may = visit.session.principal.may(Act::Configure);
    let default = client.apis.iter().find(|api| api.api.is_empty());
    let at = |what: &str| format!("/clientes/{id}/{what}");
    Ok(html! {
        (above)
        div.bar {
            div { (active(visit, &client)) }
            @if may { div.buttons {
                @if client.active { a.button.quiet href=(at("desativar")) { (visit.text("web-deactivate")) } }
                @else { (action(visit, &at("ativo"), &visit.text("web-activate"), "primary")) }
                a.button.quiet href=(at("remover")) { (visit.text("web-remove")) }
            } }
        }
        section.card { h2 { (visit.text("web-default-api")) }
            p { @if let Some(api) = default { bdi { (api.base_url) } } @else { (visit.text("web-no-default-api")) } }
            @if default.is_some() { p.hint { (served(visit, &client)) } }
            @if may && default.is_some() { div.buttons {
                @for api in apis.keys().filter(|api| !client.served.contains(api) && !credentials.iter().any(|status| status.api == **api)) {
                    (action(visit, &format!("{}?{}", at("vincular"), Fields::default().with("api", Some(api))), &visit.say(&notice!("web-bind-default", api = api)), "quiet"))
                }
            } }
            @if may {
                form.sheet method="post" action={ "/clientes/" (id) } autocomplete="off" {
                    (token(visit))
                    (token_field(visit, false))
                    (field("base_url", &visit.text("web-base-url"), Some(&visit.text("web-base-url-hint")), &html! {
                        input #base_url name="base_url" type="url" placeholder="https://" aria-describedby="base_url-hint" value=(fields.get("base_url").or(default.map(|api| api.base_url.as_str())).unwrap_or_default());
                    }))
                    div.buttons { button.primary type="submit" { (visit.text("web-save")) } }
                }
            }
        }
        section.card { h2 { (visit.text("web-own-apis")) }
            p.hint { (visit.text("web-own-apis-hint")) }
            @for status in &credentials {
                div.bar.line {
                    div { b { (status.api) } " " bdi { (status.base_url) } " "
                        @if status.parts.is_empty() { small { (visit.text("web-default-token")) } }
                        @else { small { (visit.text("web-has-parts")) " " (status.parts.join(", ")) } }
                    }
                    @if may { div.buttons {
                        a.button.quiet href={ (at("api")) "?" (Fields::default().with("api", Some(&status.api))) } { (visit.text("web-replace")) }
                        a.button.quiet href={ (at("api/remover")) "?" (Fields::default().with("api", Some(&status.api))) } { (visit.text("web-remove")) }
                    } }
                }
            }
            @if may { div.buttons {
                @for api in apis.keys().filter(|api| !credentials.iter().any(|status| status.api == **api)) {
                    a.button href={ (at("api")) "?" (Fields::default().with("api", Some(api))) } { (visit.say(&notice!("web-set-api", api = api))) }
                }
            } }
        }
        section.card { h2 { (visit.text("web-test-token")) }
            p.hint { (visit.text("web-test-token-hint")) }
            @if may && !routes.is_empty() {
                form.sheet.row method="post" action=(at("testar")) {
                    (token(visit))
                    input type="hidden" name="cliente" value=(id);
                    (field("rota", &visit.text("web-route"), None, &html! {
                        select #rota name="rota" required { @for connector in &routes {
                            option value=(connector.descriptor.route) selected[fields.get("rota") == Some(&connector.descriptor.route)] data-period=(if connector.descriptor.takes_period { "sim" } else { "nao" }) { (connector.descriptor.route) }
                        } }
                    }))
                    fieldset #periodo {
                        legend { (visit.text("web-period")) }
                        (field("de", &visit.text("web-from"), None, &day_input(fields, "de")))
                        (field("ate", &visit.text("web-to"), None, &day_input(fields, "ate")))
                    }
                    div.buttons { button type="submit" { (visit.text("web-test")) } }
                }
            }
        }
    })
}

/// Which APIs a client's default serves.
fn served(visit: &Visit, client: &Client) -> String {
    match client.served.as_slice() {
        [] => visit.text("web-default-unbound"),
        served => visit.say(&notice!("web-default-serves", apis = served.join(", "))),
    }
}

async fn bind(At(id): At<i32>, Posted { visit, .. }: Posted) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    match visit.house.atlas.bind_default(id, visit.query.text("api")).await {
        Ok(()) => Redirect::to(&format!("/clientes/{id}?feito=salvo")).into_response(),
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &Fields::default()).await,
    }
}

async fn change(At(id): At<i32>, Posted { visit, fields }: Posted) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    match visit.house.atlas.set_client(id, said(&fields)).await {
        Ok(()) => Redirect::to(&format!("/clientes/{id}?feito=salvo")).into_response(),
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &fields).await,
    }
}

async fn ask_to_deactivate(visit: Visit, At(id): At<i32>) -> Response {
    let title = visit.say(&notice!("web-deactivate-client", id = id));
    let address = format!("/clientes/{id}/ativo?nao=1");
    ask(&visit, &title, &notice!("web-ask-deactivate", id = id), &address, &title, &format!("/clientes/{id}"))
}

async fn activate(At(id): At<i32>, Posted { visit, .. }: Posted) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    let active = Some(visit.query.get("nao").is_none());
    let change = ClientChange { active, said: Said::OverTheNet, ..ClientChange::default() };
    match visit.house.atlas.set_client(id, change).await {
        Ok(()) => Redirect::to(&format!("/clientes/{id}?feito=salvo")).into_response(),
        Err(failure) => visit.failed(&failure),
    }
}

async fn ask_to_remove(visit: Visit, At(id): At<i32>) -> Response {
    let title = visit.say(&notice!("web-remove-client", id = id));
    let address = format!("/clientes/{id}/remover");
    ask(&visit, &title, &notice!("web-ask-remove-client", id = id), &address, &title, &format!("/clientes/{id}"))
}

async fn remove(At(id): At<i32>, Posted { visit, .. }: Posted) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    match visit.house.atlas.remove_client(id, None).await {
        Ok(()) => Redirect::to("/clientes?feito=removido").into_response(),
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &Fields::default()).await,
    }
}

async fn api_form(visit: Visit, At(id): At<i32>) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    let fields = visit.prefill();
    filled_api_form(&visit, id, &fields, StatusCode::OK, &html! {}).await
}

/// The form for one API: as its connectors say what they need.
async fn filled_api_form(visit: &Visit, id: i32, fields: &Fields, status: StatusCode, above: &Markup) -> Response {
    let api = fields.text("api");
    let Needs { parts: needed, base_url, has_credential, settings } = match needs(visit, id, api).await {
        Ok(needs) => needs,
        Err(failure) => return visit.failed(&failure),
    };
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
    (status, page(visit, &title, &content)).into_response()
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
    let atlas = &visit.house.atlas;
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

async fn set_api(At(id): At<i32>, Posted { visit, fields }: Posted) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    let typed = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(PART)?, value.trim())));
    let typed = typed.filter(|(_, value)| !value.is_empty());
    let parts: Vec<_> = typed.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned()))).collect();
    let set = async {
        let (api, base_url) = (fields.text("api"), fields.get("base_url"));
        let atlas = &visit.house.atlas;
        let Needs { settings, .. } = needs(&visit, id, api).await?;
        // Nothing typed: what is stored stays.
        if parts.is_empty() {
            let (api, base_url) = (Some(api.to_owned()), base_url.map(str::to_owned));
            let change = ClientChange { api, base_url, said: Said::OverTheNet, ..ClientChange::default() };
            atlas.set_client(id, change).await?;
        } else {
            let parts = Parts::of(parts).map_err(|error| Failure::parts(&error, ""))?;
            atlas.set_credential(id, api, base_url, &parts, Said::OverTheNet).await?;
        }
        if !settings.is_empty() {
            let now = atlas.settings(id, api).await?;
            atlas.set_settings(id, api, typed_settings(now, &fields, &settings)).await?;
        }
        Ok(())
    };
    match set.await {
        Ok(()) => Redirect::to(&format!("/clientes/{id}?feito=salvo")).into_response(),
        Err(failure) => filled_api_form(&visit, id, &fields, problem::status(&failure), &alert(&visit, &failure)).await,
    }
}

async fn ask_to_remove_api(visit: Visit, At(id): At<i32>) -> Response {
    let api = visit.query.text("api").to_owned();
    let title = visit.say(&notice!("web-remove-api", api = api));
    let address = format!("/clientes/{id}/api/remover?{}", Fields::default().with("api", Some(&api)));
    let what = notice!("web-ask-remove-api", id = id, api = api);
    ask(&visit, &title, &what, &address, &title, &format!("/clientes/{id}"))
}

async fn remove_api(At(id): At<i32>, Posted { visit, .. }: Posted) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    match visit.house.atlas.remove_client(id, Some(visit.query.text("api"))).await {
        Ok(()) => Redirect::to(&format!("/clientes/{id}?feito=removido")).into_response(),
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &Fields::default()).await,
    }
}

async fn test(At(id): At<i32>, Posted { visit, fields }: Posted) -> Response {
    if let Err(problem) = visit.need(Act::Configure) {
        return *problem;
    }
    let page = match request(&fields) {
        Ok(request) => visit.house.atlas.try_page(&request).await,
        Err(failure) => Err(failure),
    };
    match page {
        Ok(page) => shown(&visit, id, StatusCode::OK, tried(&visit, &page, "web-token-works"), &fields).await,
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &fields).await,
    }
}
