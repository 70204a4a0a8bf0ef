//! `atlas access link|password|token`: who may come in.

use atlas_model::{Scope, Secret, notice};
use atlas_service::{Atlas, Exit, Failure};
use serde::Serialize;

use super::args::{AccessArgs, AccessCommand, TokenCommand};
use super::input;
use super::output::Output;

/// More than any password is long.
const PASSWORD_READ: u64 = 4 * 1024;

pub(super) async fn run(args: AccessArgs, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    match args.command {
        AccessCommand::Link { url } => {
            let link = atlas.make_link().await?;
            let link = format!("{}/entrar?chave={}", url.trim_end_matches('/'), link.expose());
            if output.is_json() {
                output.json(&serde_json::json!({ "entrada": link }));
            } else {
                output.line(&link);
                output.remark(&notice!("access-link"));
            }
        }
        AccessCommand::Password => {
            atlas.set_password(&read_password()?).await?;
            output.remark(&notice!("access-password"));
        }
        AccessCommand::Token(args) => match args.command {
            TokenCommand::Add { name, full } => {
                let scope = if full { Scope::Full } else { Scope::Read };
                let (id, secret) = atlas.add_token(&name, scope).await?;
                if output.is_json() {
                    output.json(&serde_json::json!({ "id": id, "nome": name, "token": secret.expose() }));
                } else {
                    output.line(secret.expose());
                    output.remark(&notice!("access-token", id = id));
                }
            }
            TokenCommand::List => list(atlas, output).await?,
            TokenCommand::Revoke { id } => {
                atlas.revoke_token(id).await?;
                output.remark(&notice!("access-token-revoked", id = id));
            }
        },
    }
    Ok(Exit::Done)
}

/// Reads a password from standard input, since lists of processes and the shell's history show
/// arguments.
fn read_password() -> Result<Secret, Failure> {
    let text = input::read("-", PASSWORD_READ)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[derive(Serialize)]
struct Row {
    id: i64,
    nome: String,
    escopo: String,
    criado_em: String,
    /// Seconds since 1970.
    visto_em: Option<i64>,
}

async fn list(atlas: &Atlas, output: &Output) -> Result<(), Failure> {
    let zone = atlas.config().zone();
    let rows: Vec<Row> = atlas
        .tokens()
        .await?
        .into_iter()
        .map(|access| Row {
            id: access.id,
            nome: access.name,
            escopo: access.scope,
            criado_em: zone.rfc3339(&access.created_at),
            visto_em: access.seen,
        })
        .collect();
    output.list(&["heading-id", "web-name", "web-scope", "heading-created"], &rows, |row| {
        vec![row.id.to_string(), row.nome.clone(), row.escopo.clone(), row.criado_em.clone()]
    });
    Ok(())
}
