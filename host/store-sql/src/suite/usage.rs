//! What is kept for each client, counted in the transaction that keeps it.

use anyhow::Result;

use super::*;

on_both!(ready:
    what_is_kept_is_counted_once_whatever_is_repeated,
    a_counter_that_rows_were_deleted_under_is_counted_anew,
    a_frontier_is_counted_in_bytes,
    many_scraps_of_a_client_count_side_by_side,
);

fn rejected<'a>(position: i64, content: &'a [u8]) -> RejectedRow<'a> {
    RejectedRow { page: page(0, Some("abc")), cursor: Some("abc"), position, code: "too_deep", reason: "why", content }
}

/// A page that is done, whose two records of ten bytes together became rows.
fn with_rows(checkpoint: Checkpoint) -> Checkpoint {
    let counts = Counts { lidos: 2, inseridos: 2, ..Counts::default() };
    Checkpoint { counts, row_bytes: 10, ..checkpoint }
}

async fn what_is_kept_is_counted_once_whatever_is_repeated(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    assert_eq!(store.usage(CLIENT).await?, ClientUsage::default());
    let first = with_rows(done(page(0, None), &["a", "bc"]));
    let mut expected =
        ClientUsage { cursors: 2, cursor_bytes: 3, records: 2, record_bytes: 10, ..ClientUsage::default() };
    for _ in 0..2 {
        let receipt = store.ledger(&lease, &[], std::slice::from_ref(&first)).await?;
        assert_eq!(receipt.usage, expected);
    }
    for _ in 0..2 {
        store.reject(&lease, &[rejected(0, b"12345"), rejected(1, b"")]).await?;
    }
    (expected.rejects, expected.reject_bytes) = (2, 5 + 3 + 3);
    assert_eq!(store.usage(CLIENT).await?, expected);
    // What one epoch too late would keep is not kept, nor counted.
    let stale = Lease { epoch: lease.epoch - 1, ..lease.clone() };
    let _ = store.reject(&stale, &[rejected(7, b"late")]).await;
    assert_eq!(store.usage(CLIENT).await?, expected);
    assert_eq!(store.usages(10).await?, [(CLIENT, expected)]);
    Ok(())
}

async fn a_counter_that_rows_were_deleted_under_is_counted_anew(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.ledger(&lease, &[], &[with_rows(done(page(0, None), &["a", "bc"]))]).await?;
    store.insert(&lease, &[RecordRow { payload: "{}", hash: &hash(1) }]).await?;
    store.reject(&lease, &[rejected(0, b"12345"), rejected(1, b"1")]).await?;
    ground.database.execute("DELETE FROM dados_rejeitados WHERE posicao = 0").await?;
    let counted = store.recount(CLIENT, Kept::Rejects).await?;
    assert_eq!((counted.rejects, counted.reject_bytes, counted.cursors), (1, 4, 2));
    let counted = store.recount(CLIENT, Kept::Cursors).await?;
    assert_eq!((counted.cursors, counted.cursor_bytes), (3, 3), "with the first page's, which has no text");
    let counted = store.recount(CLIENT, Kept::Records).await?;
    assert_eq!((counted.records, counted.record_bytes), (1, 2));
    assert_eq!(store.usage(CLIENT).await?, counted);
    Ok(())
}

async fn a_frontier_is_counted_in_bytes(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let bytes = |receipt: LedgerReceipt| (receipt.frontier, receipt.frontier_bytes);
    let first = store.ledger(&lease, &[], &[done(page(0, None), &["é", "bcd", "e"])]).await?;
    assert_eq!(bytes(first), (3, 6));
    let next = done(page(0, Some("bcd")), &["e", "fghij"]);
    for _ in 0..2 {
        let receipt = store.ledger(&lease, &[], std::slice::from_ref(&next)).await?;
        assert_eq!(bytes(receipt), (3, 8));
    }
    let rest: Vec<Checkpoint> = ["é", "e", "fghij"].iter().map(|c| done(page(0, Some(c)), &[])).collect();
    assert_eq!(bytes(store.ledger(&lease, &[], &rest).await?), (0, 0));
    Ok(())
}

/// Checkpoints and rejections of several scraps of one client want the same row: none of them waits
/// for another in a circle.
async fn many_scraps_of_a_client_count_side_by_side(ground: &Ground) -> Result<()> {
    const SCRAPS: i64 = 4;
    const PAGES: i64 = 20;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..SCRAPS {
        let (store, lease) = (Arc::clone(&ground.store), ground.lease().await?);
        running.spawn(async move {
            let mut cursor: Option<String> = None;
            for number in 0..PAGES {
                let next = format!("c{number}");
                let row = RejectedRow { position: number, ..rejected(0, b"x") };
                let checkpoint = with_rows(done(page(0, cursor.as_deref()), &[next.as_str()]));
                let done = [checkpoint];
                let (ledger, kept) =
                    tokio::join!(store.ledger(&lease, &[], &done), store.reject(&lease, std::slice::from_ref(&row)));
                ledger.unwrap_or_else(|e| panic!("{e:?}"));
                kept.unwrap_or_else(|e| panic!("{e:?}"));
                cursor = Some(next);
            }
        });
    }
    running.join_all().await;
    let usage = ground.store.usage(CLIENT).await?;
    assert_eq!((usage.cursors, usage.rejects, usage.records), (SCRAPS * PAGES, SCRAPS * PAGES, SCRAPS * PAGES * 2));
    Ok(())
}
