//! Clients, their tokens, and where their APIs are. What is stored is never sent to a browser: its
//! forms are empty.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_model::{Client, Secret, notice};
use atlas_service::{Act, ClientChange, Failure, Origin};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};

use super::connectors::tried;
use super::fields::Fields;
use super::layout::{action, ask, day_input, empty, field, page, token, told};
use super::refusal::Answer;
use super::remedy::{alert, hint};
use super::scraps::request;
use super::visit::{At, Posted, Visit};
use crate::problem;
use crate::state::AppState;

/// Time limit of the DNS look-up behind [`unreachable_hint`].
const LOOK_UP: Duration = Duration::from_secs(2);

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/clientes", get(list).post(add))
        .route("/clientes/novo", get(new))
        .route("/clientes/{id}", get(show).post(change))
        .route("/clientes/{id}/vincular", post(bind))
        .route("/clientes/{id}/ativo", post(activate))
        .route("/clientes/{id}/desativar", get(ask_to_deactivate))
        .route("/clientes/{id}/remover", get(ask_to_remove).post(remove))
        .route("/clientes/{id}/testar", post(test))
}

async fn list(visit: Visit) -> Answer<Markup> {
    let clients = visit.state.atlas.clients().await?;
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
    Ok(page(&visit, &visit.text("web-clients"), &content))
}

fn active(visit: &Visit, client: &Client) -> Markup {
    let (state, text) = if client.active { ("concluido", "web-active") } else { ("cancelado", "web-inactive") };
    html! { span.badge data-s=(state) { (visit.text(text)) } }
}

fn name(visit: &Visit, api: &str) -> String {
    if api.is_empty() { visit.text("web-default-api") } else { api.to_owned() }
}

async fn new(visit: Visit) -> Answer {
    visit.need(Act::Configure)?;
    let fields = visit.prefill();
    Ok(new_form(&visit, &fields, StatusCode::OK, &html! {}))
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

async fn add(Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    let added = async {
        let id: i32 = fields.needed("cliente")?;
        visit.state.atlas.add_client(id, said(&fields)).await.map(|()| id)
    };
    Ok(match added.await {
        Ok(id) => Redirect::to(&format!("/clientes/{id}?feito=novo")).into_response(),
        Err(failure) => new_form(&visit, &fields, problem::status(&failure), &alert(&visit, &failure)),
    })
}

/// The change of a client that a form asks for.
fn said(fields: &Fields) -> ClientChange {
    ClientChange {
        api: None,
        token: fields.get("token").map(|token| Secret::new(token.to_owned())),
        base_url: fields.get("base_url").map(str::to_owned),
        active: None,
        allow_private: false,
        origin: Origin::Network,
    }
}

async fn show(visit: Visit, At(id): At<i32>) -> Answer {
    let told = html! { (told(&visit)) @if visit.query.get("feito").is_some() { (unreachable_hint(&visit, id).await) } };
    let fields = visit.prefill();
    shown(&visit, id, StatusCode::OK, told, &fields).await
}

/// A hint below a saved base URL that no request may be sent to yet: it is at a private address,
/// which the page cannot grant.
async fn unreachable_hint(visit: &Visit, id: i32) -> Markup {
    let ungranted = tokio::time::timeout(LOOK_UP, visit.state.atlas.ungranted_url(id)).await;
    match ungranted {
        Ok(Ok(Some(url))) => {
            let notice = notice!("web-private-url", url = url, client = id);
            html! { div.alert.note role="status" { p { strong { (visit.say(&notice)) } } (hint(visit, &notice)) } }
        }
        _ => html! {},
    }
}

/// A client's page, below what there is to say first.
pub(super) async fn shown(visit: &Visit, id: i32, status: StatusCode, above: Markup, fields: &Fields) -> Answer {
    let content = client_page(visit, id, above, fields).await?;
    Ok((status, page(visit, &visit.say(&notice!("web-client-of", id = id)), &content)).into_response())
}

async fn client_page(visit: &Visit, id: i32, above: Markup, fields: &Fields) -> Result<Markup, Failure> {
    let atlas = &visit.state.atlas;
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

async fn bind(At(id): At<i32>, Posted { visit, .. }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    match visit.state.atlas.bind_default(id, visit.query.text("api")).await {
        Ok(()) => Ok(saved(id).into_response()),
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &Fields::default()).await,
    }
}

async fn change(At(id): At<i32>, Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    match visit.state.atlas.set_client(id, said(&fields)).await {
        Ok(()) => Ok(saved(id).into_response()),
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &fields).await,
    }
}

async fn ask_to_deactivate(visit: Visit, At(id): At<i32>) -> Markup {
    let title = visit.say(&notice!("web-deactivate-client", id = id));
    let address = format!("/clientes/{id}/ativo?nao=1");
    ask(&visit, &title, &notice!("web-ask-deactivate", id = id), &address, &title, &format!("/clientes/{id}"))
}

/// Back to the client's page, which says that the change is stored.
pub(super) fn saved(id: i32) -> Redirect {
    Redirect::to(&format!("/clientes/{id}?feito=salvo"))
}

async fn activate(At(id): At<i32>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Configure)?;
    let active = Some(visit.query.get("nao").is_none());
    let change = ClientChange { active, origin: Origin::Network, ..ClientChange::default() };
    visit.state.atlas.set_client(id, change).await?;
    Ok(saved(id))
}

async fn ask_to_remove(visit: Visit, At(id): At<i32>) -> Markup {
    let title = visit.say(&notice!("web-remove-client", id = id));
    let address = format!("/clientes/{id}/remover");
    ask(&visit, &title, &notice!("web-ask-remove-client", id = id), &address, &title, &format!("/clientes/{id}"))
}

async fn remove(At(id): At<i32>, Posted { visit, .. }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    match visit.state.atlas.remove_client(id, None).await {
        Ok(()) => Ok(Redirect::to("/clientes?feito=removido").into_response()),
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &Fields::default()).await,
    }
}

async fn test(At(id): At<i32>, Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    let page = async { visit.state.atlas.try_page(&request(&fields)?).await };
    match page.await {
        Ok(page) => shown(&visit, id, StatusCode::OK, tried(&visit, &page, "web-token-works"), &fields).await,
        Err(failure) => shown(&visit, id, problem::status(&failure), alert(&visit, &failure), &fields).await,
    }
}
