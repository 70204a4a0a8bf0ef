//! `atlas verify`: the two verification queries, and each scrap's account.

use serde::Serialize;

use super::args::VerifyArgs;
use super::output::{Output, printable};
use crate::notice;
use crate::service::{Atlas, Exit, Failure};

/// Rows that the second query shows.
const NEWEST: i64 = 5;
/// Scraps whose account is shown.
const SCRAPS: i64 = 1_000;
/// Characters of a payload that are shown.
const SHOWN: usize = 60;

#[derive(Serialize)]
struct Origem {
    rota: String,
    registros: i64,
    repetidos: i64,
    primeira_coleta: Option<String>,
    ultima_coleta: Option<String>,
}

#[derive(Serialize)]
struct Newest {
    id: i64,
    rota: String,
    data_coleta: Option<String>,
    hash_conteudo: Option<String>,
    inicio: String,
}

#[derive(Serialize)]
struct Account {
    scrap_id: i64,
    rota: String,
    status: &'static str,
    lidos: i64,
    inseridos: i64,
    duplicados: i64,
    reencontrados: i64,
    rejeitados: i64,
    total_declarado: Option<i64>,
    confere: bool,
}

pub(super) async fn run(args: &VerifyArgs, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    let failed = |error| Failure::store("op-verify", &error);
    atlas.known_client(args.client).await?;
    let totals = atlas.store().totals(args.client).await.map_err(failed)?;
    let newest = atlas.store().newest(args.client, NEWEST).await.map_err(failed)?;
    let scraps = atlas.scraps(Some(args.client), SCRAPS).await?;

    let origins: Vec<Origem> = totals
        .into_iter()
        .map(|total| Origem {
            repetidos: total.repetidos,
            rota: total.origem,
            registros: total.registros,
            primeira_coleta: total.primeira_coleta,
            ultima_coleta: total.ultima_coleta,
        })
        .collect();
    let newest: Vec<Newest> = newest
        .into_iter()
        .map(|row| Newest {
            id: row.id,
            rota: row.origem,
            data_coleta: row.data_coleta,
            hash_conteudo: row.hash_conteudo,
            inicio: printable(&row.payload.chars().take(SHOWN).collect::<String>()),
        })
        .collect();
    let accounts: Vec<Account> = scraps
        .into_iter()
        .rev()
        .map(|scrap| Account {
            scrap_id: scrap.id,
            rota: scrap.rota,
            status: scrap.state.name(),
            lidos: scrap.counts.lidos,
            inseridos: scrap.counts.inseridos,
            duplicados: scrap.counts.duplicados,
            reencontrados: scrap.counts.reencontrados,
            rejeitados: scrap.counts.rejeitados,
            total_declarado: scrap.total_records,
            confere: scrap.counts.add_up(),
        })
        .collect();

    let all_add_up = accounts.iter().all(|account| account.confere);
    let none_twice = origins.iter().all(|origem| origem.repetidos == 0);
    if output.is_json() {
        output.json(&serde_json::json!({
            "cliente_id": args.client,
            "origens": origins,
            "ultimos": newest,
            "scraps": accounts,
            "confere": all_add_up && none_twice,
        }));
    } else {
        show(args.client, &origins, &newest, &accounts, output);
        let verdict = if all_add_up && none_twice { notice!("verify-ok") } else { notice!("verify-off") };
        output.line(&output.text(&verdict));
        let done = ["concluido", "concluido_com_ressalva", "cancelado"];
        let unfinished = accounts.iter().filter(|account| !done.contains(&account.status));
        let ids: Vec<String> = unfinished.map(|account| account.scrap_id.to_string()).collect();
        if !ids.is_empty() {
            output.line(&output.text(&notice!("verify-unfinished", ids = ids.join(", "))));
        }
    }
    Ok(if all_add_up && none_twice { Exit::Done } else { Exit::Reservations })
}

fn show(client: i32, origins: &[Origem], newest: &[Newest], accounts: &[Account], output: &Output) {
    let dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    output.line(&output.text(&notice!("verify-by-route", client = client)));
    let headings = ["heading-route", "heading-records", "heading-twice", "heading-first", "heading-last"];
    output.list(&headings, origins, |row| {
        let (first, last) = (dash(&row.primeira_coleta), dash(&row.ultima_coleta));
        vec![row.rota.clone(), row.registros.to_string(), row.repetidos.to_string(), first, last]
    });
    output.line(&output.text(&notice!("verify-newest", client = client)));
    let headings = ["heading-id", "heading-route", "heading-collected", "heading-content"];
    output.list(&headings, newest, |row| {
        vec![row.id.to_string(), row.rota.clone(), dash(&row.data_coleta), row.inicio.clone()]
    });
    output.line(&output.text(&notice!("verify-scraps", client = client)));
    let headings = [
        "heading-scrap",
        "heading-route",
        "heading-state",
        "heading-read",
        "heading-inserted",
        "heading-duplicate",
        "heading-again",
        "heading-rejected",
        "heading-declared",
        "heading-adds-up",
    ];
    output.list(&headings, accounts, |row| {
        let adds_up = if row.confere { notice!("adds-up") } else { notice!("does-not-add-up") };
        let state = crate::notice::Notice::new(&format!("state-{}", row.status));
        vec![
            row.scrap_id.to_string(),
            row.rota.clone(),
            output.text(&state),
            row.lidos.to_string(),
            row.inseridos.to_string(),
            row.duplicados.to_string(),
            row.reencontrados.to_string(),
            row.rejeitados.to_string(),
            row.total_declarado.map_or_else(|| "-".to_owned(), |total| total.to_string()),
            output.text(&adds_up),
        ]
    });
}
