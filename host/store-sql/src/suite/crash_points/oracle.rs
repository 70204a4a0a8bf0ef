//! What must hold of the tables once a scrap was resumed, wherever the process before died.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use atlas_pipeline::{End, Reservation};

use super::super::*;
use super::script::{PAGES, READ, REJECTED, ROWS};

/// Judges a scrap that is the only one of its client. `end`: how its last run ended; none if it
/// only found everything done.
pub(super) async fn judge(ground: &Ground, client: i32, scrap_id: i64, end: Option<&End>) -> Result<()> {
    let database = &ground.database;
    let rows = format!("SELECT CAST(payload AS TEXT) FROM dados_raw WHERE cliente_id = {client}");
    let mut rows: Vec<String> = database.texts(&rows).await?.iter().map(|row| plain(row)).collect::<Result<_>>()?;
    rows.sort();
    ensure!(rows == ROWS, "the table has {rows:?}");

    let rejected = ground.store.rejects(Some(scrap_id), 0, 10).await?;
    let rejected: Vec<_> = rejected.iter().map(|record| String::from_utf8_lossy(&record.content)).collect();
    ensure!(rejected == [REJECTED], "rejected are {rejected:?}");

    // Every page of both sweeps is done, and so is the look after them; it is taken again where its
    // outcome was not noted.
    let pages = format!(
        "SELECT varredura || ' ' || estado || ' ' || COALESCE(cursor, '-') FROM scrap_cursores WHERE scrap_id = {scrap_id}"
    );
    let mut pages = database.texts(&pages).await?;
    pages.sort();
    let swept = (0..READ.len()).flat_map(|sweep| PAGES.map(|page| format!("{sweep} feita {page}")));
    let mut expected: Vec<String> = swept.chain(["2 conferida -".to_owned()]).collect();
    if pages.len() > expected.len() {
        expected.push("3 conferida -".to_owned());
    }
    ensure!(pages == expected, "the pages are {pages:?}");

    let scrap = ground.read(scrap_id).await?;
    let counts = scrap.counts;
    ensure!(scrap.state == ScrapState::ConcluidoComRessalva, "the scrap is {:?}", scrap.state);
    ensure!(scrap.frontier == 0, "{} pages are in the frontier", scrap.frontier);
    ensure!(scrap.pages == i64::try_from(PAGES.len() * READ.len())?, "{} pages", scrap.pages);
    ensure!(counts.add_up(), "the counts do not add up: {counts:?}");
    ensure!(
        counts == ground.store.pages_together(scrap_id).await?,
        "the pages' counts are not the scrap's: {counts:?}"
    );
    ensure!(counts.lidos == READ.iter().sum::<i64>(), "another number was read: {counts:?}");
    // The same bytes in each sweep, kept once.
    ensure!(counts.rejeitados == 2, "{counts:?}");
    ensure!(counts.inseridos <= i64::try_from(ROWS.len())?, "more was inserted than there is: {counts:?}");
    // Only the first page declares a total, so the others are odd; their counts must not be.
    let odd = ground.store.odd_pages(scrap_id, 100).await?;
    ensure!(odd.iter().all(|page| page.counts.add_up()), "pages' counts do not add up: {odd:?}");
    match end {
        None => Ok(()),
        Some(End::DoneWithReservations(reservations)) if reservations.iter().all(is_expected) => Ok(()),
        Some(end) => anyhow::bail!("the run ended with {end:?}"),
    }
}

/// A process that died has forgotten that a record came twice.
fn is_expected(reservation: &Reservation) -> bool {
    matches!(reservation, Reservation::Rejected { records: 2 } | Reservation::Repeated { repeated: 1, .. })
}

/// A payload in one spelling for both databases.
fn plain(payload: &str) -> Result<String> {
    let value: BTreeMap<String, serde_json::Value> = serde_json::from_str(payload).context("a payload")?;
    Ok(serde_json::to_string(&value)?)
}
