//! `atlas connector publish|published`: the connectors of all hosts.

use std::collections::HashSet;
use std::path::Path;

use atlas_model::{Notice, Publication};
use atlas_service::config::Config;
use atlas_service::{Atlas, Exit, Failure};
use serde::Serialize;

use super::connector::{digest, say_version};
use super::db;
use super::output::Output;

pub(super) async fn publish(file: &Path, accepted: bool, config: Config, output: &Output) -> Result<Exit, Failure> {
    let atlas = open(config, output).await?;
    let published = atlas.publish_connector(file, accepted).await;
    atlas.close().await;
    let connector = published?;
    let descriptor = &connector.descriptor;
    say_version("connector-published", &descriptor.route, &descriptor.version, &connector.sha256, output);
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct PublicationRow<'a> {
    rota: &'a str,
    versao: &'a str,
    sha256: &'a str,
    /// Whether it is the one that hosts take.
    atual: bool,
    aceito: bool,
    publicado_em: &'a str,
}

pub(super) async fn list(config: Config, output: &Output) -> Result<Exit, Failure> {
    let atlas = open(config, output).await?;
    let publications = atlas.publications().await;
    atlas.close().await;
    let publications = publications?;
    let mut routes = HashSet::new();
    let listed = |publication| listed(publication, routes.insert(&publication.rota));
    let rows: Vec<PublicationRow<'_>> = publications.iter().map(listed).collect();
    let headings = ["heading-route", "heading-version", "heading-sha256", "heading-state", "heading-created"];
    output.list(&headings, &rows, |row| {
        let state = if row.atual { "published-present" } else { "published-earlier" };
        vec![
            row.rota.to_owned(),
            row.versao.to_owned(),
            digest(row.sha256).to_owned(),
            output.text(&Notice::new(state)),
            row.publicado_em.to_owned(),
        ]
    });
    Ok(Exit::Done)
}

fn listed(publication: &Publication, is_newest: bool) -> PublicationRow<'_> {
    PublicationRow {
        rota: &publication.rota,
        versao: &publication.versao,
        sha256: &publication.sha256,
        atual: is_newest,
        aceito: publication.aceito,
        publicado_em: &publication.criado_em,
    }
}

async fn open(config: Config, output: &Output) -> Result<Atlas, Failure> {
    let (atlas, init) = Atlas::open(config).await?;
    db::say_if_adopted(&atlas, &init, output).await?;
    Ok(atlas)
}
