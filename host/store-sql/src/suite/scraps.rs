//! Scraps, and the lease under which they are worked on.

use anyhow::Result;

use super::*;

on_both!(ready:
    a_scrap_is_read_back_as_it_was_created,
    what_is_not_there_is_not_found,
    scraps_are_listed_newest_first,
    a_claim_raises_the_epoch_and_marks_the_scrap_as_running,
    the_first_cursor_format_stays,
    an_older_lease_writes_nothing,
    an_end_has_a_state_a_reason_and_a_duration,
    a_cancel_takes_the_scrap_from_whoever_runs_it,
    a_cancel_refuses_what_is_done_and_nothing_else,
    connectors_of_scraps_that_are_not_done_are_in_use,
);

async fn a_scrap_is_read_back_as_it_was_created(ground: &Ground) -> Result<()> {
    ground.store.add_client(CLIENT, &secret("token")).await?;
    let new = NewScrap {
        period: Some(("2026-01-01".to_owned(), "2026-01-31".to_owned())),
        settings: r#"{"loja":"São Paulo"}"#.to_owned(),
        page_size: 250,
        batch: Some(7),
        retries: Some(3),
        ..new_scrap(CLIENT)
    };
    let id = ground.store.create_scrap(&new).await?;
    let scrap = ground.read(id).await?;
    assert!(!scrap.created_at.is_empty());
    let expected = Scrap {
        id,
        cliente_id: CLIENT,
        rota: ROUTE.to_owned(),
        period: new.period.clone(),
        page_size: 250,
        settings: new.settings.clone(),
        state: ScrapState::Pendente,
        reason: None,
        sweep: 0,
        frontier: 1,
        pages: 0,
        counts: Counts::default(),
        total_records: None,
        cursor_format: None,
        connector: None,
        elapsed_ms: 0,
        again_at: None,
        failures: 0,
        slices: 0,
        slices_done: 0,
        slice_of: None,
        batch: Some(7),
        retries: Some(3),
        created_at: scrap.created_at.clone(),
    };
    assert_eq!(scrap, expected);

    let without = ground.store.create_scrap(&new_scrap(CLIENT)).await?;
    assert!(without > id);
    assert_eq!(ground.read(without).await?.period, None);
    Ok(())
}

async fn what_is_not_there_is_not_found(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    assert_eq!(store.scrap(1).await?, None);
    assert_eq!(fault(store.claim(1, &stamp("1"), HOST).await), Some(Fault::Missing));
    assert!(!store.cancel(1, "{}").await?);
    assert_eq!(fault(store.create_scrap(&new_scrap(99)).await), Some(Fault::Missing));
    assert_eq!(ground.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
    Ok(())
}

async fn scraps_are_listed_newest_first(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    assert!(store.scraps(&ScrapFilter::default(), 10).await?.is_empty());
    let mut ids = Vec::new();
    for client in [1, 2, 1, 2, 1] {
        let _ = store.add_client(client, &secret("token")).await;
        ids.push(store.create_scrap(&new_scrap(client)).await?);
    }
    let listed = |scraps: Vec<Scrap>| scraps.into_iter().map(|s| s.id).collect::<Vec<_>>();
    assert_eq!(listed(store.scraps(&ScrapFilter::default(), 10).await?), [ids[4], ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(listed(store.scraps(&ScrapFilter::default(), 2).await?), [ids[4], ids[3]]);
    assert_eq!(
        listed(store.scraps(&ScrapFilter { cliente_id: Some(2), ..ScrapFilter::default() }, 10).await?),
        [ids[3], ids[1]]
    );
    assert!(store.scraps(&ScrapFilter { cliente_id: Some(3), ..ScrapFilter::default() }, 10).await?.is_empty());
    Ok(())
}

async fn a_claim_raises_the_epoch_and_marks_the_scrap_as_running(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let id = ground.scrap().await?;
    let first = store.claim(id, &stamp("1.0.0"), HOST).await?;
    assert_eq!((first.scrap_id, first.cliente_id, first.origem.as_str()), (id, CLIENT, ROUTE));
    let scrap = ground.read(id).await?;
    assert_eq!(scrap.state, ScrapState::Executando);
    assert_eq!(scrap.connector, Some(("1.0.0".to_owned(), "ab".repeat(32))));
    assert!(store.standing(&first).await? == Standing::Held);

    let second = ground.another().await?.claim(id, &stamp("2.0.0"), HOST).await?;
    assert!(second.epoch > first.epoch);
    assert!(store.standing(&first).await? != Standing::Held);
    assert!(store.standing(&second).await? == Standing::Held);
    assert_eq!(ground.read(id).await?.connector.map(|c| c.0).as_deref(), Some("2.0.0"));
    Ok(())
}

async fn the_first_cursor_format_stays(ground: &Ground) -> Result<()> {
    let id = ground.scrap().await?;
    ground.store.claim(id, &ConnectorStamp { cursor_format: 3, ..stamp("1") }, HOST).await?;
    ground.store.claim(id, &ConnectorStamp { cursor_format: 4, ..stamp("2") }, HOST).await?;
    assert_eq!(ground.read(id).await?.cursor_format, Some(3));
    Ok(())
}

async fn an_older_lease_writes_nothing(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let id = ground.scrap().await?;
    let old = store.claim(id, &stamp("1"), HOST).await?;
    let new = store.claim(id, &stamp("2"), HOST).await?;
    let before = ground.read(id).await?;

    let hashes = [hash(1), hash(2)];
    let rows = [RecordRow { payload: "1", hash: &hashes[0] }, RecordRow { payload: "2", hash: &hashes[1] }];
    assert_eq!(store.insert(&old, &rows[..1]).await?, [false]);
    assert_eq!(store.insert(&old, &rows).await?, [false, false]);
    assert_eq!(ground.database.rows().await?, 0);

    let first = page(0, None);
    let row = RejectedRow { page: first, cursor: None, position: 0, code: "c", reason: "r", content: b"x" };
    store.reject(&old, &[row]).await?;
    assert!(store.rejects(None, 0, 10).await?.is_empty());

    assert_eq!(fault(store.ledger(&old, &[first], &[]).await), Some(Fault::LeaseLost));
    assert_eq!(fault(store.ledger(&old, &[], &[done(first, &["a"])]).await), Some(Fault::LeaseLost));
    assert_eq!(fault(store.ledger(&old, &[first], &[done(first, &["a"])]).await), Some(Fault::LeaseLost));
    let pending = store.pending(&new, 0, 0, 10).await?;
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].id, pending[0].begun), (CursorId::ROOT, false));

    assert_eq!(fault(store.open_sweep(&old, 1).await), Some(Fault::LeaseLost));
    assert!(!store.finish(&old, &end(ScrapState::Concluido, None, 5)).await?);
    assert_eq!(ground.read(id).await?, before);
    assert!(store.pending(&new, 1, 0, 10).await?.is_empty());

    // The newer one is none the worse for it.
    assert_eq!(store.insert(&new, &rows).await?, [true, true]);
    store.reject(&new, &[row]).await?;
    assert_eq!(store.rejects(Some(id), 0, 10).await?.len(), 1);
    store.ledger(&new, &[first], &[]).await?;
    store.ledger(&new, &[], &[done(first, &[])]).await?;
    assert!(store.finish(&new, &end(ScrapState::Concluido, None, 5)).await?);
    Ok(())
}

async fn an_end_has_a_state_a_reason_and_a_duration(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    for state in ScrapState::ALL {
        let id = ground.scrap().await?;
        for spent in [1_500, 3_000] {
            if ground.read(id).await?.state.is_done() {
                break;
            }
            let lease = store.claim(id, &stamp("1"), HOST).await?;
            let running = ground.read(id).await?;
            assert_eq!((running.state, running.reason), (ScrapState::Executando, None));
            assert!(store.finish(&lease, &end(state, Some(r#"{"why":"ü"}"#), 1_500)).await?);
            let ended = ground.read(id).await?;
            assert_eq!((ended.state, ended.elapsed_ms), (state, spent));
            assert_eq!(ended.reason.as_deref(), Some(r#"{"why":"ü"}"#));
        }
    }
    let id = ground.scrap().await?;
    let lease = store.claim(id, &stamp("1"), HOST).await?;
    assert!(store.finish(&lease, &end(ScrapState::Concluido, None, 0)).await?);
    assert_eq!(ground.read(id).await?.reason, None);
    Ok(())
}

async fn a_cancel_takes_the_scrap_from_whoever_runs_it(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    assert!(ground.another().await?.cancel(lease.scrap_id, r#"{"by":"hand"}"#).await?);
    assert!(store.standing(&lease).await? != Standing::Held);
    assert_eq!(store.insert(&lease, &[RecordRow { payload: "1", hash: &hash(1) }]).await?, [false]);
    assert_eq!(fault(store.ledger(&lease, &[], &[done(page(0, None), &[])]).await), Some(Fault::LeaseLost));
    assert!(!store.finish(&lease, &end(ScrapState::Concluido, None, 1)).await?);
    let scrap = ground.read(lease.scrap_id).await?;
    assert_eq!((scrap.state, scrap.reason.as_deref()), (ScrapState::Cancelado, Some(r#"{"by":"hand"}"#)));
    // It can be taken up again.
    let again = store.claim(lease.scrap_id, &stamp("1"), HOST).await?;
    assert!(again.epoch > lease.epoch + 1);
    Ok(())
}

async fn a_cancel_refuses_what_is_done_and_nothing_else(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    for state in ScrapState::ALL {
        let lease = ground.lease().await?;
        store.finish(&lease, &end(state, Some("before"), 1)).await?;
        let cancelled = store.cancel(lease.scrap_id, "after").await?;
        assert_eq!(cancelled, !state.is_done(), "{state:?}");
        assert_eq!(store.standing(&lease).await? == Standing::Held, state.is_done(), "{state:?}");
        let scrap = ground.read(lease.scrap_id).await?;
        let expected = if state.is_done() { (state, "before") } else { (ScrapState::Cancelado, "after") };
        assert_eq!((scrap.state, scrap.reason.as_deref()), (expected.0, Some(expected.1)));
    }
    Ok(())
}

async fn connectors_of_scraps_that_are_not_done_are_in_use(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let digest = |state: ScrapState| state.name().repeat(2);
    assert_eq!(store.connectors_in_use().await?, [""; 0]);
    for state in ScrapState::ALL {
        let lease = ground.lease().await?;
        let lease = store.claim(lease.scrap_id, &ConnectorStamp { sha256: digest(state), ..stamp("1") }, HOST).await?;
        store.finish(&lease, &end(state, None, 1)).await?;
    }
    let mut in_use = store.connectors_in_use().await?;
    in_use.sort();
    let mut needed: Vec<String> = ScrapState::ALL.into_iter().filter(|state| !state.is_done()).map(digest).collect();
    needed.sort();
    assert_eq!(in_use, needed);
    Ok(())
}
