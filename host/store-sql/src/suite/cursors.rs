//! Erasing cursors.

use anyhow::Result;

use super::*;

on_both!(ready:
    cursors_of_pages_that_are_done_are_erased_and_the_others_stay,
    a_scrap_of_more_pages_than_one_part_is_erased_to_its_end,
);

async fn cursors_of_pages_that_are_done_are_erased_and_the_others_stay(ground: &Ground) -> Result<()> {
    let (store, lease) = (&ground.store, ground.lease().await?);
    store.ledger(&lease, &[], &[done(page(0, None), &["a", "b"])]).await?;
    store.ledger(&lease, &[], &[done(page(0, Some("a")), &["c"])]).await?;
    let reject = |cursor| RejectedRow {
        page: page(0, Some(cursor)),
        cursor: Some(cursor),
        position: 0,
        code: "json",
        reason: "no JSON",
        content: b"{",
    };
    store.reject(&lease, &[reject("a"), reject("b")]).await?;
    for _ in 0..2 {
        store.erase_cursors(lease.scrap_id).await?;
        let left = "SELECT cursor FROM scrap_cursores WHERE cursor IS NOT NULL ORDER BY cursor";
        assert_eq!(ground.database.texts(left).await?, ["b", "c"]);
        let left = "SELECT cursor FROM dados_rejeitados WHERE cursor IS NOT NULL";
        assert_eq!(ground.database.texts(left).await?, ["b"]);
    }
    // Known all the same, and not fetched again.
    assert!(store.knows(&lease, page(0, Some("a"))).await?);
    store.ledger(&lease, &[], &[done(page(0, Some("b")), &["a"])]).await?;
    assert_eq!(ground.frontier(&lease, 0).await?, ["c"]);
    assert!(store.is_ancestor(&lease, CursorId::of(Some("a")), page(0, Some("c"))).await?);
    let named: Vec<_> = store.pages(lease.scrap_id, 0, 9).await?.iter().map(PageRow::name).collect();
    let hash = format!("sha256:{}", CursorId::of(Some("a")).hex());
    assert_eq!(named, [None, Some(hash.clone()), Some("b".to_owned()), Some("c".to_owned())]);
    let rejected: Vec<_> = store.rejects(None, 0, 9).await?.into_iter().map(|rejected| rejected.cursor).collect();
    assert_eq!(rejected, [Some(hash), Some("b".to_owned())]);
    Ok(())
}

async fn a_scrap_of_more_pages_than_one_part_is_erased_to_its_end(ground: &Ground) -> Result<()> {
    let (store, lease) = (&ground.store, ground.lease().await?);
    let names: Vec<String> = (0..crate::sqlite::cursors::PART + 7).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    store.ledger(&lease, &[], &[done(page(0, None), &names)]).await?;
    ground.database.execute("UPDATE scrap_cursores SET estado = 'feita'").await?;
    store.erase_cursors(lease.scrap_id).await?;
    assert_eq!(ground.database.number("SELECT COUNT(*) FROM scrap_cursores WHERE cursor IS NOT NULL").await?, 0);
    Ok(())
}
