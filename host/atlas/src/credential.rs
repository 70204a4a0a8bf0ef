//! `atlas client credential set|show|remove`, `atlas client rekey`. Secrets come from standard
//! input or a file, never from the command line, where every list of processes shows them.

use atlas_model::{Parts, Secret, notice};
use atlas_service::{Atlas, Exit, Failure, Origin};
use serde::Serialize;

use super::args::{CredentialCommand, CredentialSet};
use super::input;
use super::output::Output;

/// More than all parts of any credential are long.
const INPUT_MAX: u64 = 256 * 1024;

pub(super) async fn run(command: CredentialCommand, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    match command {
        CredentialCommand::Set(CredentialSet { client, api, base_url, parts, token }) => {
            let parts = read_parts(parts.as_deref(), token.as_deref())?;
            atlas.set_credential(client, &api, base_url.as_deref(), &parts, Origin::Operator).await?;
            let names = parts.names().collect::<Vec<_>>().join(", ");
            output.remark(&notice!("credential-set", client = client, api = api, parts = names));
        }
        CredentialCommand::Show { client, api } => {
            show(&atlas.credentials(client, api.as_deref()).await?, output);
        }
        CredentialCommand::Remove { client, api } => {
            atlas.remove_credential(client, &api).await?;
            output.remark(&notice!("credential-removed", client = client, api = api));
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn rekey(atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    let sealed = atlas.rekey().await?;
    output.remark(&notice!("client-rekeyed", count = sealed));
    Ok(Exit::Done)
}

fn read_parts(parts: Option<&str>, token: Option<&str>) -> Result<Parts, Failure> {
    match (parts, token) {
        (Some(file), _) => {
            let text = input::read(file, INPUT_MAX)?;
            Parts::parse(&text).map_err(|error| Failure::parts(&error, input::told(file)))
        }
        (None, Some("-")) => {
            let token = Secret::new(input::read("-", INPUT_MAX)?.trim().to_owned());
            if token.is_empty() {
                return Err(Failure::usage(notice!("error-token-empty")));
            }
            Ok(Parts::of_token(token))
        }
        // A token itself, or nothing.
        _ => Err(Failure::usage(notice!("error-credential-input"))),
    }
}

#[derive(Serialize)]
struct Row {
    api: String,
    base_url: String,
    partes: Vec<String>,
    token_de_acesso: bool,
}

fn show(all: &[atlas_service::CredentialStatus], output: &Output) {
    let rows: Vec<Row> = all
        .iter()
        .map(|status| Row {
            api: status.api.clone(),
            base_url: status.base_url.clone(),
            partes: status.parts.clone(),
            token_de_acesso: status.has_access_token,
        })
        .collect();
    let headings = ["heading-api", "heading-base-url", "heading-parts", "heading-access-token"];
    output.list(&headings, &rows, |row| {
        let kept = if row.token_de_acesso { notice!("yes") } else { notice!("no") };
        let parts = if row.partes.is_empty() { "-".to_owned() } else { row.partes.join(", ") };
        vec![row.api.clone(), row.base_url.clone(), parts, output.text(&kept)]
    });
}
