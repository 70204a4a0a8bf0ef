//! Published connectors: the newest of each route is known, and what a scrap needs is there.

use anyhow::{Context, Result};

use super::*;
use crate::sqlite::publications::PUBLICATIONS_KEPT;

on_both!(ready:
    the_newest_publication_comes_first_and_its_bytes_come_back,
    old_publications_are_forgotten_unless_a_scrap_needs_them,
);

async fn the_newest_publication_comes_first_and_its_bytes_come_back(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.publish(&publication("a", b"old")).await?;
    store.publish(&publication("b", b"\0bytes\xff")).await?;
    let signed = NewPublication { signature: Some(b"signed"), accepted: true, ..publication("a", b"new") };
    store.publish(&signed).await?;
    let all = store.publications().await?;
    let seen: Vec<(&str, bool)> = all.iter().map(|one| (one.sha256.as_str(), one.aceito)).collect();
    assert_eq!(seen, [("a", true), ("b", false), ("a", false)]);
    let file = store.published_file("a").await?.context("it was published")?;
    assert_eq!((file.component.as_slice(), file.signature.as_deref()), (&b"new"[..], Some(&b"signed"[..])));
    assert_eq!(store.published_file("b").await?.context("it was published")?.component, b"\0bytes\xff");
    assert_eq!(store.published_file("c").await?, None);
    Ok(())
}

async fn old_publications_are_forgotten_unless_a_scrap_needs_them(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    let needed = stamp("1").sha256;
    store.publish(&publication(&needed, b"needed")).await?;
    let other = NewPublication { route: "venda", ..publication("other", b"other") };
    store.publish(&other).await?;
    for n in 0..=PUBLICATIONS_KEPT {
        store.publish(&publication(&format!("v{n}"), b"v")).await?;
    }
    let left: Vec<(String, bool)> =
        store.publications().await?.into_iter().map(|one| (one.sha256, one.em_uso)).collect();
    assert!(left.contains(&(needed.clone(), true)) && left.contains(&("other".to_owned(), false)), "{left:?}");
    assert!(!left.iter().any(|(sha256, _)| sha256 == "v0"), "{left:?}");
    assert!(left.iter().any(|(sha256, _)| sha256 == "v1"), "{left:?}");
    store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?;
    store.publish(&publication("last", b"last")).await?;
    assert_eq!(store.published_file(&needed).await?, None);
    Ok(())
}
