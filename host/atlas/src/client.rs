//! `atlas client add|list|set|bind|remove|credential|settings|rekey`.

use atlas_model::{Secret, notice};
use atlas_service::{Atlas, ClientChange, Exit, Failure, Origin};
use serde::Serialize;

use super::args::{ClientArgs, ClientCommand};
use super::credential;
use super::input;
use super::output::Output;
use super::settings;

/// More than any token is long.
const TOKEN_MAX: u64 = 64 * 1024;

pub(super) async fn run(args: ClientArgs, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    match args.command {
        ClientCommand::Add { client, token, base_url, api, allow_private } => {
            let (token, base_url) = (Some(read_token(&token)?), Some(base_url));
            let change = ClientChange { api, token, base_url, active: None, allow_private, origin: Origin::Operator };
            atlas.add_client(client, change).await?;
            output.remark(&notice!("client-added", client = client));
        }
        ClientCommand::Set { client, token, base_url, api, active, inactive, allow_private } => {
            let change = ClientChange {
                api,
                token: token.as_deref().map(read_token).transpose()?,
                base_url,
                active: (active || inactive).then_some(active),
                allow_private,
                origin: Origin::Operator,
            };
            let nothing = change.token.is_none() && change.base_url.is_none() && change.active.is_none();
            if nothing && !change.allow_private {
                return Err(Failure::usage(notice!("error-nothing-to-set")));
            }
            atlas.set_client(client, change).await?;
            output.remark(&notice!("client-changed", client = client));
        }
        ClientCommand::Remove { client, api } => {
            atlas.remove_client(client, api.as_deref()).await?;
            output.remark(&match api {
                Some(api) => notice!("client-api-removed", client = client, api = api),
                None => notice!("client-removed", client = client),
            });
        }
        ClientCommand::Bind { client, api } => {
            atlas.bind_default(client, &api).await?;
            output.remark(&notice!("default-serves", client = client, api = api));
        }
        ClientCommand::List => list(atlas, output).await?,
        ClientCommand::Credential(args) => return credential::run(args.command, atlas, output).await,
        ClientCommand::Settings(args) => return settings::run(args.command, atlas, output).await,
        ClientCommand::Rekey => return credential::rekey(atlas, output).await,
    }
    Ok(Exit::Done)
}

/// A token from standard input. One in the arguments is not taken: lists of processes and the
/// shell's history show it.
fn read_token(argument: &str) -> Result<Secret, Failure> {
    if argument != "-" {
        return Err(Failure::usage(notice!("error-token-in-arguments")));
    }
    Ok(Secret::new(input::read(argument, TOKEN_MAX)?.trim().to_owned()))
}

#[derive(Serialize)]
struct Row {
    cliente_id: i32,
    ativo: bool,
    api: Option<String>,
    base_url: Option<String>,
    /// Of the default: the APIs that it serves.
    serve: Option<Vec<String>>,
    credencial_propria: bool,
    rede_privada: bool,
}

async fn list(atlas: &Atlas, output: &Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for client in atlas.clients().await? {
        let row = |api: Option<String>, base_url: Option<String>, own: bool, private: bool| Row {
            cliente_id: client.cliente_id,
            ativo: client.active,
            serve: api.as_ref().filter(|api| api.is_empty()).map(|_| client.served.clone()),
            api,
            base_url,
            credencial_propria: own,
            rede_privada: private,
        };
        if client.apis.is_empty() {
            rows.push(row(None, None, false, false));
        }
        for api in &client.apis {
            rows.push(row(Some(api.api.clone()), Some(api.base_url.clone()), api.has_credential, api.private));
        }
    }
    let headings = ["heading-client", "heading-active", "heading-api", "heading-base-url", "heading-private"];
    output.list(&headings, &rows, |row| {
        let yes_no = |yes: bool| output.text(&if yes { notice!("yes") } else { notice!("no") });
        let api = row.api.as_deref().filter(|api| !api.is_empty());
        vec![
            row.cliente_id.to_string(),
            yes_no(row.ativo),
            api.map_or_else(|| default_of(row.serve.as_deref(), output), str::to_owned),
            row.base_url.clone().unwrap_or_else(|| "-".to_owned()),
            yes_no(row.rede_privada),
        ]
    });
    Ok(())
}

/// A client's default, with the APIs that it serves.
fn default_of(served: Option<&[String]>, output: &Output) -> String {
    let default = output.text(&notice!("default-api"));
    match served {
        Some(served) if !served.is_empty() => format!("{default} {}", served.join(", ")),
        _ => default,
    }
}
