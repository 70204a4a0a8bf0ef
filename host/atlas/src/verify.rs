//! `atlas verify`: the two verification queries, and each scrap's account.

use atlas_model::{ScrapFilter, Subject, notice};
use atlas_service::{Atlas, Exit, Failure};
use serde::Serialize;

use super::args::VerifyArgs;
use super::output::{Output, printable};

/// Rows that the second query shows.
const NEWEST: i64 = 5;
/// Scraps whose account is shown.
const SCRAPS: i64 = 1_000;
/// Pages of one scrap that are shown, if something is odd about them.
const PAGES: i64 = 100;
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

/// A page that is odd: by how much its counts are off, and how the total moved that the source
/// declares.
#[derive(Serialize)]
struct Page {
    scrap_id: i64,
    varredura: i32,
    cursor: Option<String>,
    lidos: i64,
    diferenca: i64,
    total_declarado: Option<i64>,
    total_da_primeira: Option<i64>,
}

/// Checks that a scrap's counts are the sum of its pages', and prints the odd pages.
async fn pages(id: i64, args: &VerifyArgs, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    let scrap = atlas.scrap(id).await?;
    if scrap.cliente_id != args.client {
        let notice = notice!("error-scrap-of-another", id = id, client = args.client);
        return Err(Failure::usage(notice.about(Subject::Scrap(id))));
    }
    let together = atlas.pages_together(id).await?;
    let odd: Vec<Page> = atlas
        .odd_pages(id, PAGES)
        .await?
        .into_iter()
        .map(|page| Page {
            scrap_id: page.scrap_id,
            varredura: page.varredura,
            cursor: page.name(),
            lidos: page.counts.lidos,
            diferenca: page.counts.off_by(),
            total_declarado: page.total_declarado,
            total_da_primeira: page.total_da_primeira,
        })
        .collect();
    let adds_up = together == scrap.counts && together.add_up() && odd.iter().all(|page| page.diferenca == 0);
    // What the source declares counts what one reading should have; records that came twice, or in
    // two readings, are read twice.
    let declared_off = scrap.total_records.filter(|_| scrap.sweep == 0).map(|total| together.lidos - total);
    if output.is_json() {
        output.json(&serde_json::json!({
            "scrap_id": id,
            "lidos": scrap.counts.lidos,
            "lidos_nas_paginas": together.lidos,
            "total_declarado": scrap.total_records,
            "diferenca_do_declarado": declared_off,
            "paginas_estranhas": odd,
            "confere": adds_up,
        }));
    } else {
        let headings = [
            "heading-scrap",
            "heading-sweep",
            "heading-cursor",
            "heading-read",
            "heading-off-by",
            "heading-declared",
            "heading-first-declared",
        ];
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        if !odd.is_empty() {
            output.list(&headings, &odd, |page| {
                vec![
                    page.scrap_id.to_string(),
                    page.varredura.to_string(),
                    page.cursor.as_deref().map_or_else(|| "-".to_owned(), printable),
                    page.lidos.to_string(),
                    page.diferenca.to_string(),
                    number(page.total_declarado),
                    number(page.total_da_primeira),
                ]
            });
        }
        let moved = odd.iter().filter(|page| page.total_declarado != page.total_da_primeira).count();
        if moved > 0 {
            output.line(&output.text(&notice!("verify-moved", pages = moved)));
        }
        if let Some(off) = declared_off.filter(|off| *off != 0) {
            output.line(&output.text(&notice!("verify-declared-off", read = together.lidos, off = off)));
        }
        let off = scrap.counts.lidos - together.lidos;
        let verdict =
            if adds_up { notice!("verify-scrap-ok", id = id) } else { notice!("verify-scrap-off", id = id, off = off) };
        output.line(&output.text(&verdict));
    }
    Ok(if adds_up { Exit::Done } else { Exit::Reservations })
}

pub(super) async fn run(args: &VerifyArgs, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    atlas.known_client(args.client).await?;
    if let Some(scrap) = args.scrap {
        return pages(scrap, args, atlas, output).await;
    }
    let verifying = |failure| Failure { operation: "op-verify", ..failure };
    let zone = atlas.config().zone();
    let totals = atlas.totals(args.client).await.map_err(verifying)?;
    let newest = atlas.newest_rows(args.client, NEWEST).await.map_err(verifying)?;
    let scraps = atlas.scraps(&ScrapFilter { cliente_id: Some(args.client), ..ScrapFilter::default() }, SCRAPS).await?;

    let origins: Vec<Origem> = totals
        .into_iter()
        .map(|total| Origem {
            repetidos: total.repetidos,
            rota: total.origem,
            registros: total.registros,
            primeira_coleta: total.primeira_coleta.map(|at| zone.rfc3339(&at)),
            ultima_coleta: total.ultima_coleta.map(|at| zone.rfc3339(&at)),
        })
        .collect();
    let newest: Vec<Newest> = newest
        .into_iter()
        .map(|row| Newest {
            id: row.id,
            rota: row.origem,
            data_coleta: row.data_coleta.map(|at| zone.rfc3339(&at)),
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
    let time = |at: &Option<String>| {
        let at = at.as_deref().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
        at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S %:z").to_string())
    };
    output.line(&output.text(&notice!("verify-by-route", client = client)));
    let headings = ["heading-route", "heading-records", "heading-twice", "heading-first", "heading-last"];
    output.list(&headings, origins, |row| {
        let (first, last) = (time(&row.primeira_coleta), time(&row.ultima_coleta));
        vec![row.rota.clone(), row.registros.to_string(), row.repetidos.to_string(), first, last]
    });
    output.line(&output.text(&notice!("verify-newest", client = client)));
    let headings = ["heading-id", "heading-route", "heading-collected", "heading-content"];
    output.list(&headings, newest, |row| {
        vec![row.id.to_string(), row.rota.clone(), time(&row.data_coleta), row.inicio.clone()]
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
        let state = atlas_model::Notice::new(&format!("state-{}", row.status));
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
