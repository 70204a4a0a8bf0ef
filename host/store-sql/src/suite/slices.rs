//! Scraps that are divided: taken and ended slice by slice, read as one.

use anyhow::{Context, Result};

use super::*;

on_both!(ready:
    a_scrap_that_is_divided_is_never_taken_but_its_slices_are_and_is_what_they_add_up_to,
    a_cancel_of_a_scrap_that_is_divided_cancels_what_is_left_of_it,
    what_is_rejected_in_a_slice_is_listed_for_the_whole,
);

fn divided() -> NewScrap {
    let day = |day: u32| format!("2025-10-2{day}");
    let slices = (0..3).map(|n| (day(n), day(n))).collect();
    NewScrap { period: Some((day(0), day(2))), slices, ..new_scrap(CLIENT) }
}

async fn end_slice(ground: &Ground, id: i64, lidos: i64, state: ScrapState) -> Result<()> {
    let store = &ground.store;
    let lease = store.claim(id, &stamp("1"), HOST).await?;
    let counts = Counts { lidos, inseridos: lidos, ..Counts::default() };
    let mut page = done(page(0, None), &[]);
    page.counts = counts;
    page.facts.total_records = Some(lidos);
    store.ledger(&lease, &[page.page], &[]).await?;
    store.ledger(&lease, &[], &[page]).await?;
    store.finish(&lease, &end(state, Some("[why]"), 5)).await?;
    Ok(())
}

async fn a_scrap_that_is_divided_is_never_taken_but_its_slices_are_and_is_what_they_add_up_to(
    ground: &Ground,
) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    let whole = store.create_scrap(&divided()).await?;
    let slices = store.unfinished_slices(whole).await?;
    assert_eq!(slices.len(), 3);
    let read = ground.read(whole).await?;
    assert_eq!((read.state, read.frontier, read.slices, read.slices_done), (ScrapState::Pendente, 3, 3, 0));
    assert_eq!(read.period, divided().period);
    let listed: Vec<i64> = store.scraps(&ScrapFilter::default(), 10).await?.iter().map(|scrap| scrap.id).collect();
    assert_eq!(listed, [whole]);
    // No run may take it, in no way.
    assert_eq!(fault(store.claim(whole, &stamp("1"), HOST).await), Some(Fault::Missing));
    assert_eq!(store.pause(whole, "[]").await?, ChangeOutcome::Refused);
    assert_eq!(store.requeue(whole).await?, ChangeOutcome::Refused);
    let of_one = ground.read(slices[1]).await?;
    assert_eq!((of_one.slice_of, of_one.period.context("a day")?.0.as_str()), (Some(whole), "2025-10-21"));

    end_slice(ground, slices[0], 10, ScrapState::Concluido).await?;
    end_slice(ground, slices[1], 7, ScrapState::Falhou).await?;
    let read = ground.read(whole).await?;
    assert_eq!((read.state, read.counts.lidos, read.pages, read.slices_done), (ScrapState::Pendente, 17, 2, 1));
    assert_eq!((read.total_records, read.elapsed_ms), (None, 10));
    end_slice(ground, slices[2], 1, ScrapState::ConcluidoComRessalva).await?;
    let read = ground.read(whole).await?;
    assert_eq!((read.state, read.reason.as_deref(), read.total_records), (ScrapState::Falhou, Some("[why]"), Some(18)));
    assert_eq!(store.unfinished_slices(whole).await?, [slices[1]]);
    assert_eq!(read.connector.map(|(_, sha256)| sha256), Some(stamp("1").sha256));
    assert_eq!(store.pages_together(whole).await?.lidos, 18);
    // One reading that is off is found, and in which slice.
    let off = format!("UPDATE scrap_cursores SET lidos = lidos + 1 WHERE scrap_id = {}", slices[2]);
    ground.database.execute(&off).await?;
    assert_eq!(store.odd_pages(whole, 10).await?.iter().map(|page| page.scrap_id).collect::<Vec<_>>(), [slices[2]]);
    end_slice(ground, slices[1], 0, ScrapState::Concluido).await?;
    assert_eq!(ground.read(whole).await?.state, ScrapState::ConcluidoComRessalva);
    Ok(())
}

async fn a_cancel_of_a_scrap_that_is_divided_cancels_what_is_left_of_it(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    let whole = store.create_scrap(&divided()).await?;
    let slices = store.unfinished_slices(whole).await?;
    end_slice(ground, slices[0], 10, ScrapState::Concluido).await?;
    assert!(store.cancel(whole, "[]").await?);
    assert_eq!(ground.read(whole).await?.state, ScrapState::Cancelado);
    assert_eq!(ground.read(slices[0]).await?.state, ScrapState::Concluido);
    end_slice(ground, slices[1], 1, ScrapState::Concluido).await?;
    end_slice(ground, slices[2], 1, ScrapState::Concluido).await?;
    assert!(!store.cancel(whole, "[]").await?);
    assert_eq!(ground.read(whole).await?.state, ScrapState::Concluido);
    Ok(())
}

async fn what_is_rejected_in_a_slice_is_listed_for_the_whole(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    let whole = store.create_scrap(&divided()).await?;
    let slices = store.unfinished_slices(whole).await?;
    let lease = store.claim(slices[2], &stamp("1"), HOST).await?;
    let row = RejectedRow { page: page(0, None), cursor: None, position: 0, code: "c", reason: "r", content: b"x" };
    store.reject(&lease, &[row]).await?;
    assert_eq!(store.rejects(Some(whole), 0, 10).await?.len(), 1);
    assert_eq!(store.rejects(Some(slices[0]), 0, 10).await?.len(), 0);
    Ok(())
}
