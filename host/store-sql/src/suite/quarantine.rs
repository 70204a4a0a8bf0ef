//! Versions that are held on all hosts, and what becomes of what the host ran that died of one.

use anyhow::Result;

use super::*;

on_both!(ready:
    what_the_dead_host_ran_goes_back_uncounted_and_can_be_taken_at_once,
    what_was_to_be_paused_is_paused,
    what_another_host_took_over_meanwhile_does_not_count_the_death,
    a_version_is_held_once_and_until_it_is_published_as_accepted,
    a_cursor_is_found_by_its_identity,
);

/// The version of [`stamp`], held for the death of this host.
fn held<'a>(sha256: &'a str, host: &'a str, beside: &'a [i64]) -> NewQuarantine<'a> {
    NewQuarantine {
        sha256,
        route: ROUTE,
        version: "1",
        signal: "SIGABRT",
        host,
        beside,
        reason: "its own",
        reason_beside: "beside it",
    }
}

/// A scrap that runs on this host with this version.
async fn running(ground: &Ground, host: &str, version: &str) -> Result<Lease> {
    let id = ground.scrap().await?;
    let stamp = ConnectorStamp { sha256: version.to_owned(), ..stamp("1") };
    Ok(ground.store.claim(id, &stamp, host).await?)
}

async fn what_the_dead_host_ran_goes_back_uncounted_and_can_be_taken_at_once(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let own = running(ground, "morto", "mau").await?;
    let beside = running(ground, "morto", "bom").await?;
    let elsewhere = running(ground, "vivo", "bom").await?;
    let lease = std::time::Duration::from_secs(60);
    let alive = Host { id: "vivo".to_owned(), name: "maquina:1".to_owned(), version: "1".to_owned(), lease };
    store.beat(&alive).await?;
    store.quarantine(&held("mau", "morto", &[])).await?;
    for (lease, reason) in [(&own, "its own"), (&beside, "beside it")] {
        let scrap = ground.read(lease.scrap_id).await?;
        assert_eq!((scrap.state, scrap.failures, scrap.reason.as_deref()), (ScrapState::Interrompido, 0, Some(reason)));
        // Should the host live after all, it writes nothing more.
        assert_eq!(store.standing(lease).await?, Standing::Lost);
    }
    assert_eq!(store.standing(&elsewhere).await?, Standing::Held);
    let routes = [ROUTE.to_owned()];
    let connectors = ["bom".to_owned(), "mau".to_owned()];
    let offer = Offer {
        host: "outro",
        routes: &routes,
        connectors: &connectors,
        running: &[],
        per_client: 100,
        may_take_over: false,
        reason_to_give_up: "",
    };
    let mut taken = Vec::new();
    while let Some(lease) = store.take(&Offer { running: &taken, ..offer }).await? {
        taken.push(lease.scrap_id);
        assert_eq!(ground.read(lease.scrap_id).await?.failures, 0);
    }
    assert_eq!(taken, [own.scrap_id, beside.scrap_id]);
    Ok(())
}

async fn what_was_to_be_paused_is_paused(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = running(ground, "morto", "bom").await?;
    ground.database.execute("UPDATE scraps SET pedido = 'pausar'").await?;
    store.quarantine(&held("mau", "morto", &[])).await?;
    let scrap = ground.read(lease.scrap_id).await?;
    assert_eq!((scrap.state, scrap.again_at), (ScrapState::Pausado, None));
    Ok(())
}

async fn what_another_host_took_over_meanwhile_does_not_count_the_death(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let [beside, own] = [running(ground, "vivo", "bom").await?, running(ground, "vivo", "mau").await?];
    ground.database.execute("UPDATE scraps SET falhas = 2").await?;
    store.quarantine(&held("mau", "morto", &[beside.scrap_id, own.scrap_id])).await?;
    store.quarantine(&held("mau", "morto", &[beside.scrap_id, own.scrap_id])).await?;
    assert_eq!(ground.read(beside.scrap_id).await?.failures, 1);
    assert_eq!(ground.read(own.scrap_id).await?.failures, 2);
    assert_eq!(store.standing(&beside).await?, Standing::Held);
    Ok(())
}

async fn a_version_is_held_once_and_until_it_is_published_as_accepted(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    for version in ["a", "b", "a"] {
        store.quarantine(&held(version, "morto", &[])).await?;
    }
    let versions = async || -> Result<Vec<String>> {
        let mut all: Vec<String> = store.quarantined().await?.into_iter().map(|row| row.sha256).collect();
        all.sort();
        Ok(all)
    };
    assert_eq!(versions().await?, ["a", "b"]);
    store.publish(&publication("b", b"b")).await?;
    assert_eq!(versions().await?, ["a", "b"]);
    store.publish(&NewPublication { accepted: true, ..publication("a", b"a") }).await?;
    assert_eq!(versions().await?, ["b"]);
    Ok(())
}

async fn a_cursor_is_found_by_its_identity(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    assert_eq!(store.cursor(lease.scrap_id, CursorId::ROOT).await?, None);
    store.ledger(&lease, &[], &[done(page(0, None), &["2", "3"])]).await?;
    let id = CursorId::of(Some("2"));
    assert_eq!(CursorId::from_hex(&id.hex()), Some(id));
    assert_eq!(store.cursor(lease.scrap_id, id).await?.as_deref(), Some("2"));
    assert_eq!(store.cursor(lease.scrap_id, CursorId::of(Some("4"))).await?, None);
    assert_eq!(store.cursor(lease.scrap_id + 1, id).await?, None);
    Ok(())
}
