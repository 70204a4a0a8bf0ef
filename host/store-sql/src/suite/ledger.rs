//! Begin marks and checkpoints: what a page does to the frontier and to the scrap's counts.

use anyhow::Result;

use super::*;

on_both!(ready:
    a_begin_mark_stays,
    a_checkpoint_takes_its_page_out_and_its_next_ones_in_in_order,
    a_checkpoint_adds_its_counts,
    a_repeated_checkpoint_changes_nothing,
    a_checkpoint_repeated_after_later_ones_changes_nothing,
    a_checkpoint_made_twice_at_once_counts_once,
    cursors_that_are_known_already_enter_once,
    an_empty_page_is_checkpointed,
    many_pages_are_begun_and_checkpointed_in_one_call,
    a_page_may_be_begun_and_done_in_one_call,
    a_page_that_was_only_looked_at_counts_as_none,
    what_the_source_declared_last_stays,
    a_call_with_nothing_in_it_tells_where_the_scrap_stands,
    pages_of_another_scrap_are_left_alone,
);

fn counts(lidos: i64, inseridos: i64, duplicados: i64, reencontrados: i64, rejeitados: i64) -> Counts {
    Counts { lidos, inseridos, duplicados, reencontrados, rejeitados }
}

fn declaring(total: i64, checkpoint: Checkpoint) -> Checkpoint {
    Checkpoint { facts: PageFacts { total_records: Some(total), ..checkpoint.facts.clone() }, ..checkpoint }
}

async fn a_begin_mark_stays(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.ledger(&lease, &[], &[done(page(0, None), &["a", "b"])]).await?;
    let receipt = store.ledger(&lease, &[page(0, Some("b"))], &[]).await?;
    assert_eq!((receipt.frontier, receipt.pages), (2, 1));
    // Again, and for a page that is not in the table.
    store.ledger(&lease, &[page(0, Some("b")), page(0, Some("unknown"))], &[]).await?;
    let again = ground.another().await?;
    let lease = again.claim(lease.scrap_id, &stamp("2"), HOST).await?;
    let begun: Vec<_> = again.pending(&lease, 0, 0, 10).await?.into_iter().map(|p| (p.cursor, p.begun)).collect();
    assert_eq!(begun, [(Some("a".to_owned()), false), (Some("b".to_owned()), true)]);
    Ok(())
}

async fn a_checkpoint_takes_its_page_out_and_its_next_ones_in_in_order(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let first = store.pending(&lease, 0, 0, 10).await?;
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].id, first[0].depth, first[0].begun), (CursorId::ROOT, 0, false));
    assert_eq!((first[0].cursor.as_deref(), first[0].parent), (None, None));

    // Neither their text nor its hash is in this order.
    let next = ["m", "a", "z", "b", "y", "c"];
    let receipt = store.ledger(&lease, &[], &[done(page(0, None), &next)]).await?;
    assert_eq!((receipt.frontier, receipt.pages), (6, 1));
    let pending = store.pending(&lease, 0, 0, 10).await?;
    assert!(pending.is_sorted_by_key(|p| p.order));
    for (cursor, text) in pending.iter().zip(next) {
        assert_eq!((cursor.cursor.as_deref(), cursor.id), (Some(text), CursorId::of(Some(text))));
        assert_eq!((cursor.parent, cursor.depth, cursor.begun), (Some(CursorId::ROOT), 1, false));
    }

    let third = Checkpoint { depth: 1, ..done(page(0, Some("z")), &["z1", "z2"]) };
    let receipt = store.ledger(&lease, &[], &[third]).await?;
    assert_eq!((receipt.frontier, receipt.pages), (7, 2));
    assert_eq!(ground.frontier(&lease, 0).await?, ["m", "a", "b", "y", "c", "z1", "z2"]);
    let last = store.pending(&lease, 0, 0, 10).await?.pop().map(|p| (p.parent, p.depth));
    assert_eq!(last, Some((Some(CursorId::of(Some("z"))), 2)));
    assert_eq!(ground.read(lease.scrap_id).await?.frontier, 7);
    Ok(())
}

async fn a_checkpoint_adds_its_counts(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let first = Checkpoint { counts: counts(10, 4, 3, 2, 1), ..done(page(0, None), &["a", "b"]) };
    store.ledger(&lease, &[], &[declaring(40, first)]).await?;
    let scrap = ground.read(lease.scrap_id).await?;
    assert_eq!((scrap.pages, scrap.counts, scrap.total_records), (1, counts(10, 4, 3, 2, 1), Some(40)));

    // Two at once, beyond what 32 bits hold.
    let large = 10_000_000_000;
    let second = Checkpoint { counts: counts(large, large, 0, 0, 0), ..done(page(0, Some("a")), &[]) };
    let third = Checkpoint { counts: counts(3, 0, 1, 1, 1), ..done(page(0, Some("b")), &[]) };
    store.ledger(&lease, &[], &[second, third]).await?;
    let scrap = ground.read(lease.scrap_id).await?;
    assert_eq!((scrap.pages, scrap.frontier), (3, 0));
    assert_eq!(scrap.counts, counts(large + 13, large + 4, 4, 3, 2));
    assert!(scrap.counts.add_up());
    assert_eq!(scrap.total_records, Some(40));
    Ok(())
}

async fn a_repeated_checkpoint_changes_nothing(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let first = Checkpoint { counts: counts(2, 2, 0, 0, 0), ..done(page(0, None), &["a", "b"]) };
    let group = [declaring(5, first)];
    let receipt = store.ledger(&lease, &[page(0, Some("a"))], &group).await?;
    let scrap = ground.read(lease.scrap_id).await?;
    let pending = store.pending(&lease, 0, 0, 10).await?;
    for _ in 0..3 {
        assert_eq!(store.ledger(&lease, &[], &group).await?, receipt);
    }
    assert_eq!(ground.read(lease.scrap_id).await?, scrap);
    assert_eq!(store.pending(&lease, 0, 0, 10).await?, pending);
    let tries = ground.database.number("SELECT CAST(SUM(tentativas) AS BIGINT) FROM scrap_cursores").await?;
    assert_eq!(tries, 1);
    Ok(())
}

async fn a_checkpoint_repeated_after_later_ones_changes_nothing(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let root = declaring(5, Checkpoint { counts: counts(2, 2, 0, 0, 0), ..done(page(0, None), &["a"]) });
    let next = declaring(6, Checkpoint { counts: counts(1, 1, 0, 0, 0), ..done(page(0, Some("a")), &["b"]) });
    store.ledger(&lease, &[], std::slice::from_ref(&root)).await?;
    store.ledger(&lease, &[], std::slice::from_ref(&next)).await?;
    let scrap = ground.read(lease.scrap_id).await?;
    let receipt = store.ledger(&lease, &[], &[root]).await?;
    assert_eq!((receipt.frontier, receipt.pages), (1, 2));
    assert_eq!(ground.read(lease.scrap_id).await?, scrap);
    // A page that is done never comes back into the frontier.
    assert_eq!(ground.frontier(&lease, 0).await?, ["b"]);
    Ok(())
}

async fn a_checkpoint_made_twice_at_once_counts_once(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let mut last = page(0, None);
    for round in 0..20 {
        let cursor = format!("c{round}");
        let group = [Checkpoint { counts: counts(3, 3, 0, 0, 0), ..done(last, &[&cursor]) }];
        let (one, two) =
            tokio::join!(ground.store.ledger(&lease, &[], &group), ground.store.ledger(&lease, &[], &group));
        assert_eq!((one?.frontier, two?.frontier), (1, 1));
        last = page(0, Some(&cursor));
    }
    let scrap = ground.read(lease.scrap_id).await?;
    assert_eq!((scrap.pages, scrap.frontier, scrap.counts), (20, 1, counts(60, 60, 0, 0, 0)));
    Ok(())
}

async fn cursors_that_are_known_already_enter_once(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.ledger(&lease, &[], &[done(page(0, None), &["a", "b", "a"])]).await?;
    assert_eq!(ground.frontier(&lease, 0).await?, ["a", "b"]);
    // Two pages of one call name the same, and one that is pending, and one that is done:
    // themselves.
    let group = [done(page(0, Some("a")), &["c", "b", "a"]), done(page(0, Some("b")), &["c", "d", "b"])];
    let receipt = store.ledger(&lease, &[], &group).await?;
    assert_eq!((receipt.frontier, receipt.pages), (2, 3));
    let pending = store.pending(&lease, 0, 0, 10).await?;
    assert_eq!(pending.iter().map(|p| p.cursor.as_deref()).collect::<Vec<_>>(), [Some("c"), Some("d")]);
    assert_eq!(pending[0].parent, Some(CursorId::of(Some("a"))));
    assert_eq!(ground.read(lease.scrap_id).await?.frontier, 2);
    Ok(())
}

async fn an_empty_page_is_checkpointed(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let receipt = ground.store.ledger(&lease, &[], &[done(page(0, None), &[])]).await?;
    assert_eq!((receipt.frontier, receipt.pages), (0, 1));
    assert!(ground.frontier(&lease, 0).await?.is_empty());
    assert_eq!(ground.read(lease.scrap_id).await?.counts, Counts::default());
    Ok(())
}

async fn many_pages_are_begun_and_checkpointed_in_one_call(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let cursors: Vec<String> = (0..250).map(|n| format!("page {n:03}")).collect();
    let named: Vec<&str> = cursors.iter().map(String::as_str).collect();
    store.ledger(&lease, &[], &[done(page(0, None), &named)]).await?;
    let group: Vec<Checkpoint> = named[..200]
        .iter()
        .map(|c| Checkpoint { counts: counts(1, 1, 0, 0, 0), ..done(page(0, Some(c)), &[&format!("{c} next")]) })
        .collect();
    let begun: Vec<PageKey> = named[200..].iter().map(|c| page(0, Some(c))).collect();
    let receipt = store.ledger(&lease, &begun, &group).await?;
    assert_eq!((receipt.frontier, receipt.pages), (250, 201));
    let pending = store.pending(&lease, 0, 0, 1_000).await?;
    assert_eq!(pending.len(), 250);
    assert!(pending[..50].iter().all(|p| p.begun) && pending[50..].iter().all(|p| !p.begun));
    assert_eq!(pending[50].cursor.as_deref(), Some("page 000 next"));
    assert_eq!(pending[249].cursor.as_deref(), Some("page 199 next"));
    assert_eq!(ground.read(lease.scrap_id).await?.counts.inseridos, 200);
    Ok(())
}

async fn a_page_may_be_begun_and_done_in_one_call(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let first = page(0, None);
    let group = [Checkpoint { counts: counts(1, 1, 0, 0, 0), ..done(first, &["a"]) }];
    let receipt = ground.store.ledger(&lease, &[first], &group).await?;
    assert_eq!((receipt.frontier, receipt.pages), (1, 1));
    assert_eq!(ground.frontier(&lease, 0).await?, ["a"]);
    assert_eq!(ground.read(lease.scrap_id).await?.counts.lidos, 1);
    Ok(())
}

async fn a_page_that_was_only_looked_at_counts_as_none(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let first = Checkpoint { counts: counts(2, 2, 0, 0, 0), ..done(page(0, None), &[]) };
    store.ledger(&lease, &[], &[first]).await?;
    store.open_sweep(&lease, 1).await?;
    let look = declaring(9, Checkpoint { end: PageEnd::Conferida, ..done(page(1, None), &[]) });
    let receipt = store.ledger(&lease, &[], &[look]).await?;
    assert_eq!((receipt.frontier, receipt.pages), (0, 1));
    let scrap = ground.read(lease.scrap_id).await?;
    assert_eq!((scrap.counts, scrap.total_records), (counts(2, 2, 0, 0, 0), Some(9)));
    Ok(())
}

async fn what_the_source_declared_last_stays(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.ledger(&lease, &[], &[declaring(10, done(page(0, None), &["a", "b", "c"]))]).await?;
    let group = [
        declaring(11, done(page(0, Some("a")), &[])),
        declaring(12, done(page(0, Some("b")), &[])),
        done(page(0, Some("c")), &[]),
    ];
    store.ledger(&lease, &[], &group).await?;
    assert_eq!(ground.read(lease.scrap_id).await?.total_records, Some(12));
    Ok(())
}

async fn a_call_with_nothing_in_it_tells_where_the_scrap_stands(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let receipt = ground.store.ledger(&lease, &[], &[]).await?;
    assert_eq!((receipt.frontier, receipt.pages), (1, 0));
    Ok(())
}

async fn pages_of_another_scrap_are_left_alone(ground: &Ground) -> Result<()> {
    let (one, two) = (ground.lease().await?, ground.lease().await?);
    let first = page(0, None);
    ground.store.ledger(&one, &[], &[done(first, &["a"])]).await?;
    ground.store.ledger(&one, &[page(0, Some("a"))], &[]).await?;
    assert_eq!(ground.frontier(&two, 0).await?, ["-"]);
    ground.store.ledger(&two, &[], &[done(first, &["a"])]).await?;
    assert_eq!(ground.store.pending(&two, 0, 0, 10).await?.iter().filter(|p| p.begun).count(), 0);
    assert_eq!(ground.read(one.scrap_id).await?.pages, 1);
    Ok(())
}

/// PostgreSQL alone: SQLite has no statistics that could mislead it.
mod postgres_plans {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::suite::database::Database;

    #[tokio::test]
    async fn a_checkpoint_reads_its_own_pages_however_large_the_frontier() -> Result<()> {
        let ground = Ground::ready(Database::postgres().await?).await?;
        let lease = ground.lease().await?;
        let names: Vec<String> = (0..3_000).map(|n| format!("page {n}")).collect();
        let next: Vec<&str> = names.iter().map(String::as_str).collect();
        ground.store.ledger(&lease, &[], &[done(page(0, None), &next)]).await?;
        // More often than the five times after which PostgreSQL settles for one plan.
        for names in next.chunks(2).take(50) {
            let begun: Vec<_> = names.iter().map(|name| page(0, Some(name))).collect();
            ground.store.ledger(&lease, &begun, &[]).await?;
            let ended: Vec<_> = names.iter().map(|name| done(page(0, Some(name)), &[])).collect();
            ground.store.ledger(&lease, &[], &ended).await?;
        }
        // A backend reports what it did at the latest when it ends: the first page done, a hundred
        // begun and done.
        ground.store.close().await;
        let table = "FROM pg_stat_user_tables WHERE relname = 'scrap_cursores'";
        let deadline = Instant::now() + Duration::from_secs(20);
        while ground.database.number(&format!("SELECT n_tup_upd::bigint {table}")).await? < 201 {
            assert!(Instant::now() < deadline, "the server does not report");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let read = format!("SELECT (COALESCE(idx_tup_fetch, 0) + seq_tup_read)::bigint {table}");
        let read = ground.database.number(&read).await?;
        assert!(read < 2_000, "{read} rows were read for 101 pages");
        Ok(())
    }
}
