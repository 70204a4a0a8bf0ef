//! Records that the table cannot hold.

use anyhow::Result;

use super::*;

on_both!(ready:
    a_rejected_record_is_kept_once_for_each_place_and_content,
    a_rejected_record_is_read_back_byte_for_byte,
    rejected_records_are_listed_oldest_first_and_in_pages,
    rejected_records_go_with_their_scrap,
);

fn rejected<'a>(cursor: Option<&'a str>, position: i64, content: &'a [u8]) -> RejectedRow<'a> {
    RejectedRow { page: page(0, cursor), cursor, position, code: "nul_character", reason: "why", content }
}

async fn a_rejected_record_is_kept_once_for_each_place_and_content(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    store.reject(&lease, &[]).await?;
    let row = rejected(None, 0, b"x");
    store.reject(&lease, &[row]).await?;
    store.reject(&lease, &[row]).await?;
    store.reject(&lease, &[row, row]).await?;
    // The reason is not what makes it another one, nor is the sweep.
    let again = RejectedRow { page: page(1, None), code: "other", reason: "other", ..row };
    store.reject(&lease, &[again]).await?;
    let kept = store.rejects(None, 0, 10).await?;
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].code.as_str(), kept[0].reason.as_str()), ("nul_character", "why"));

    let others = [rejected(None, 1, b"x"), rejected(None, 0, b"y"), rejected(Some("a"), 0, b"x"), row];
    store.reject(&lease, &others).await?;
    assert_eq!(store.rejects(None, 0, 10).await?.len(), 4);
    let another = ground.lease().await?;
    store.reject(&another, &[row]).await?;
    assert_eq!(store.rejects(None, 0, 10).await?.len(), 5);
    Ok(())
}

async fn a_rejected_record_is_read_back_byte_for_byte(ground: &Ground) -> Result<()> {
    let lease = ground.lease().await?;
    let content: Vec<u8> = (0..=255).collect();
    let long = "é".repeat(5_000);
    let row = RejectedRow { reason: "naïve “reason”", ..rejected(Some(&long), i64::MAX, &content) };
    ground.store.reject(&lease, &[row, rejected(None, 0, b"")]).await?;
    let kept = ground.store.rejects(None, 0, 10).await?;
    let expected = Rejected {
        id: kept[0].id,
        scrap_id: lease.scrap_id,
        cliente_id: CLIENT,
        origem: ROUTE.to_owned(),
        cursor: Some(long.clone()),
        position: i64::MAX,
        code: "nul_character".to_owned(),
        reason: "naïve “reason”".to_owned(),
        content,
        created_at: kept[0].created_at.clone(),
        replayed_at: None,
    };
    assert_eq!(kept[0], expected);
    assert!(!kept[0].created_at.is_empty());
    assert_eq!((kept[1].cursor.as_deref(), kept[1].content.len()), (None, 0));
    Ok(())
}

async fn rejected_records_are_listed_oldest_first_and_in_pages(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let (one, two) = (ground.lease().await?, ground.lease().await?);
    for position in 0..5 {
        store.reject(&one, &[rejected(None, position, b"x")]).await?;
        store.reject(&two, &[rejected(None, position, b"x")]).await?;
    }
    let all = store.rejects(None, 0, 100).await?;
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted_by_key(|r| r.id));
    let mut paged = Vec::new();
    loop {
        let page = store.rejects(None, paged.last().map_or(0, |r: &Rejected| r.id), 3).await?;
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let of_two = store.rejects(Some(two.scrap_id), 0, 100).await?;
    assert_eq!(of_two.iter().map(|r| r.position).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(of_two.iter().all(|r| r.scrap_id == two.scrap_id));
    assert_eq!(store.rejects(Some(two.scrap_id), of_two[3].id, 100).await?, of_two[4..]);
    Ok(())
}

async fn rejected_records_go_with_their_scrap(ground: &Ground) -> Result<()> {
    let (one, two) = (ground.lease().await?, ground.lease().await?);
    ground.store.reject(&one, &[rejected(None, 0, b"x")]).await?;
    ground.store.reject(&two, &[rejected(None, 0, b"x")]).await?;
    ground.database.execute(&format!("DELETE FROM scraps WHERE id = {}", one.scrap_id)).await?;
    let left = ground.store.rejects(None, 0, 10).await?;
    assert_eq!(left.iter().map(|r| r.scrap_id).collect::<Vec<_>>(), [two.scrap_id]);
    Ok(())
}
