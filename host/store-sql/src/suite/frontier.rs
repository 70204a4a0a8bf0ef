//! What is asked of the frontier: windows, ancestors, and what pages and sweeps held.

use anyhow::Result;

use super::*;

on_both!(ready:
    the_frontier_is_read_in_windows,
    a_cursor_is_known_in_its_scrap_and_sweep,
    an_ancestor_is_a_page_that_led_there,
    parents_in_a_ring_are_walked_once,
    a_chain_of_a_thousand_pages_is_walked_to_its_end,
    a_pages_facts_are_there_once_it_is_done,
    a_sweep_adds_up_its_pages,
    a_sweep_is_opened_with_its_first_page,
    opening_a_sweep_again_changes_nothing,
);

async fn the_frontier_is_read_in_windows(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let cursors: Vec<String> = (0..25).map(|n| format!("{}", (n * 7) % 25)).collect();
    let named: Vec<&str> = cursors.iter().map(String::as_str).collect();
    store.ledger(&lease, &[], &[done(page(0, None), &named)]).await?;
    let mut seen: Vec<PendingCursor> = Vec::new();
    loop {
        let window = store.pending(&lease, 0, seen.last().map_or(0, |p| p.order), 10).await?;
        assert!(window.len() <= 10);
        if window.is_empty() {
            break;
        }
        seen.extend(window);
    }
    assert_eq!(seen.iter().filter_map(|p| p.cursor.clone()).collect::<Vec<_>>(), cursors);

    // What enters later stands after all that was there, and what is done leaves no hole.
    store.ledger(&lease, &[], &[done(page(0, Some(named[3])), &["late"])]).await?;
    let after = store.pending(&lease, 0, seen[1].order, 3).await?;
    let expected = [named[2], named[4], named[5]];
    assert_eq!(after.iter().map(|p| p.cursor.as_deref().unwrap_or_default()).collect::<Vec<_>>(), expected);
    let late = store.pending(&lease, 0, seen[24].order, 10).await?;
    assert_eq!(late.iter().map(|p| p.cursor.as_deref()).collect::<Vec<_>>(), [Some("late")]);
    assert!(store.pending(&lease, 0, late[0].order, 10).await?.is_empty());
    assert!(store.pending(&lease, 1, 0, 10).await?.is_empty());
    Ok(())
}

async fn a_cursor_is_known_in_its_scrap_and_sweep(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let (lease, other) = (ground.lease().await?, ground.lease().await?);
    let long = "x".repeat(100_000);
    store.ledger(&lease, &[], &[done(page(0, None), &["a", &long])]).await?;
    for (cursor, known) in [(None, true), (Some("a"), true), (Some(long.as_str()), true), (Some("b"), false)] {
        assert_eq!(store.knows(&lease, page(0, cursor)).await?, known);
        assert!(!store.knows(&lease, page(1, cursor)).await?);
    }
    assert!(!store.knows(&other, page(0, Some("a"))).await?);
    // Done, it is known still.
    store.ledger(&lease, &[], &[done(page(0, Some("a")), &[])]).await?;
    assert!(store.knows(&lease, page(0, Some("a"))).await?);
    assert_eq!(store.pending(&lease, 0, 0, 10).await?[0].cursor.as_deref(), Some(long.as_str()));
    Ok(())
}

async fn an_ancestor_is_a_page_that_led_there(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.ledger(&lease, &[], &[done(page(0, None), &["a", "b"])]).await?;
    store.ledger(&lease, &[], &[done(page(0, Some("a")), &["a1"]), done(page(0, Some("b")), &["b1"])]).await?;
    store.ledger(&lease, &[], &[done(page(0, Some("a1")), &["a2"])]).await?;
    let of_a2 = [(None, true), (Some("a"), true), (Some("a1"), true), (Some("a2"), false), (Some("b"), false)];
    for (candidate, ancestor) in of_a2 {
        let found = store.is_ancestor(&lease, CursorId::of(candidate), page(0, Some("a2"))).await?;
        assert_eq!(found, ancestor, "{candidate:?}");
    }
    assert!(!store.is_ancestor(&lease, CursorId::of(Some("b1")), page(0, Some("a2"))).await?);
    assert!(!store.is_ancestor(&lease, CursorId::ROOT, page(0, None)).await?);
    assert!(!store.is_ancestor(&lease, CursorId::ROOT, page(0, Some("unknown"))).await?);
    assert!(!store.is_ancestor(&lease, CursorId::ROOT, page(1, Some("a2"))).await?);
    // Neither another sweep's pages nor another scrap's lead anywhere here.
    let other = ground.lease().await?;
    assert!(!store.is_ancestor(&other, CursorId::ROOT, page(0, Some("a2"))).await?);
    Ok(())
}

async fn parents_in_a_ring_are_walked_once(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.ledger(&lease, &[], &[done(page(0, None), &["a", "c"])]).await?;
    store.ledger(&lease, &[], &[done(page(0, Some("a")), &["b"])]).await?;
    // No store makes one: a's parent becomes b, whose parent is a.
    ground
        .database
        .execute(
            "UPDATE scrap_cursores SET pai_hash = (SELECT cursor_hash FROM scrap_cursores WHERE cursor = 'b') \
             WHERE cursor = 'a'",
        )
        .await?;
    let walk = async {
        assert!(store.is_ancestor(&lease, CursorId::of(Some("a")), page(0, Some("b"))).await?);
        assert!(store.is_ancestor(&lease, CursorId::of(Some("a")), page(0, Some("a"))).await?);
        assert!(!store.is_ancestor(&lease, CursorId::of(Some("c")), page(0, Some("b"))).await?);
        anyhow::Ok(())
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), walk).await?
}

async fn a_chain_of_a_thousand_pages_is_walked_to_its_end(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let cursors: Vec<String> = (0..1_000).map(|n| format!("page {n}")).collect();
    // All at once, for only who named whom matters here.
    let mut chain = vec![done(page(0, None), &[&cursors[0], "aside"])];
    chain.extend(cursors.windows(2).map(|pair| done(page(0, Some(&pair[0])), &[&pair[1]])));
    store.ledger(&lease, &[], &chain).await?;
    let last = page(0, Some(&cursors[999]));
    for ancestor in [CursorId::ROOT, CursorId::of(Some(&cursors[0])), CursorId::of(Some(&cursors[998]))] {
        assert!(store.is_ancestor(&lease, ancestor, last).await?);
    }
    assert!(!store.is_ancestor(&lease, CursorId::of(Some("aside")), last).await?);
    assert!(!store.is_ancestor(&lease, last.cursor, last).await?);
    Ok(())
}

async fn a_pages_facts_are_there_once_it_is_done(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    assert_eq!(store.page_facts(&lease, page(0, None)).await?, None);
    store.ledger(&lease, &[page(0, None)], &[]).await?;
    assert_eq!(store.page_facts(&lease, page(0, None)).await?, None);
    let facts = PageFacts {
        total_records: Some(i64::MAX),
        members: [3; 32],
        content: Some([4; 32]),
        branches: [5; 32],
        repeats: 2,
    };
    store.ledger(&lease, &[], &[Checkpoint { facts: facts.clone(), ..done(page(0, None), &["a"]) }]).await?;
    assert_eq!(store.page_facts(&lease, page(0, None)).await?, Some(facts));
    assert_eq!(store.page_facts(&lease, page(0, Some("a"))).await?, None);
    assert_eq!(store.page_facts(&lease, page(0, Some("unknown"))).await?, None);
    assert_eq!(store.page_facts(&lease, page(1, None)).await?, None);
    let empty = PageFacts { total_records: None, members: [0; 32], content: None, branches: [0; 32], repeats: 1 };
    let looked = Checkpoint { end: PageEnd::Conferida, facts: empty.clone(), ..done(page(0, Some("a")), &[]) };
    store.ledger(&lease, &[], &[looked]).await?;
    assert_eq!(store.page_facts(&lease, page(0, Some("a"))).await?, Some(empty));
    Ok(())
}

async fn a_sweep_adds_up_its_pages(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    assert_eq!(store.sweep_facts(&lease, 0).await?, SweepFacts::default());
    let held = |cursor: Option<&str>, lidos, content: Option<u8>, next: &[&str]| {
        let plain = done(page(0, cursor), next);
        let counts = Counts { lidos, inseridos: lidos, ..Counts::default() };
        let facts = PageFacts { content: content.map(|byte| [byte; 32]), ..plain.facts.clone() };
        Checkpoint { counts, facts, ..plain }
    };
    store.ledger(&lease, &[], &[held(None, 5, Some(1), &["a", "b", "c", "d", "e", "f"])]).await?;
    let group = [
        held(Some("a"), 5, Some(2), &[]),
        held(Some("b"), 5, Some(2), &[]),
        held(Some("c"), 5, Some(1), &[]),
        held(Some("d"), 5, Some(2), &[]),
        // Empty pages are alike, and that says nothing.
        held(Some("e"), 0, None, &[]),
    ];
    store.ledger(&lease, &[], &group).await?;
    let facts = SweepFacts { pages: 6, lidos: 25, same_content: 3 };
    assert_eq!(store.sweep_facts(&lease, 0).await?, facts);
    // A page that was only looked at adds nothing, nor does another sweep.
    let looked = Checkpoint { end: PageEnd::Conferida, ..held(Some("f"), 0, Some(2), &[]) };
    store.ledger(&lease, &[], &[looked]).await?;
    store.open_sweep(&lease, 1).await?;
    store.ledger(&lease, &[], &[done(page(1, None), &[])]).await?;
    assert_eq!(store.sweep_facts(&lease, 0).await?, facts);
    assert_eq!(store.sweep_facts(&lease, 1).await?, SweepFacts { pages: 1, lidos: 0, same_content: 0 });
    Ok(())
}

async fn a_sweep_is_opened_with_its_first_page(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.ledger(&lease, &[], &[done(page(0, None), &["a"])]).await?;
    store.ledger(&lease, &[], &[done(page(0, Some("a")), &[])]).await?;
    store.open_sweep(&lease, 1).await?;
    let scrap = ground.read(lease.scrap_id).await?;
    assert_eq!((scrap.sweep, scrap.frontier, scrap.pages), (1, 1, 2));
    assert_eq!(ground.frontier(&lease, 1).await?, ["-"]);
    // The cursors of the sweep before are new to this one.
    let receipt = store.ledger(&lease, &[], &[done(page(1, None), &["a"])]).await?;
    assert_eq!((receipt.frontier, receipt.pages), (1, 3));
    assert_eq!(ground.frontier(&lease, 1).await?, ["a"]);
    assert!(ground.frontier(&lease, 0).await?.is_empty());
    Ok(())
}

async fn opening_a_sweep_again_changes_nothing(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.ledger(&lease, &[], &[done(page(0, None), &[])]).await?;
    store.open_sweep(&lease, 1).await?;
    store.open_sweep(&lease, 1).await?;
    assert_eq!(ground.read(lease.scrap_id).await?.frontier, 1);
    store.ledger(&lease, &[], &[done(page(1, None), &["a"])]).await?;
    let scrap = ground.read(lease.scrap_id).await?;
    store.open_sweep(&lease, 1).await?;
    assert_eq!(ground.read(lease.scrap_id).await?, scrap);
    assert_eq!(ground.frontier(&lease, 1).await?, ["a"]);
    Ok(())
}
