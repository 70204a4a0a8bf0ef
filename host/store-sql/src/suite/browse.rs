//! What people look at: scraps, pages and records, a part at a time.

use anyhow::{Context, Result};

use super::*;

on_both!(ready:
    scraps_are_found_by_client_route_and_state,
    a_divided_scrap_is_found_by_the_states_of_its_slices,
    parts_of_a_listing_make_up_the_whole_whatever_is_created_meanwhile,
    scraps_that_are_new_run_or_ended_a_moment_ago_are_watched,
    scraps_are_counted_by_state_without_slices,
    pages_come_in_the_order_in_which_they_became_known,
    records_are_found_by_client_route_and_day,
    an_export_in_parts_has_each_record_once_and_whole,
    what_is_read_at_a_time_is_bounded_by_bytes,
    what_a_clients_scraps_came_to_adds_up,
    a_payload_is_cut_at_characters,
    rows_are_counted_by_route_and_step,
    hosts_are_listed_with_what_they_run,
);

fn ids(scraps: &[Scrap]) -> Vec<i64> {
    scraps.iter().map(|scrap| scrap.id).collect()
}

async fn of_route(ground: &Ground, cliente_id: i32, rota: &str) -> Result<i64> {
    let _ = ground.store.add_client(cliente_id, &secret("token")).await;
    Ok(ground.store.create_scrap(&NewScrap { rota: rota.to_owned(), ..new_scrap(cliente_id) }).await?)
}

async fn scraps_are_found_by_client_route_and_state(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let first = of_route(ground, 1, "pedido").await?;
    let second = of_route(ground, 2, "pedido").await?;
    let third = of_route(ground, 1, "venda").await?;
    store.claim(third, &stamp("1"), HOST).await?;
    let found = async |filter: ScrapFilter| Ok::<_, StoreError>(ids(&store.scraps(&filter, 10).await?));
    let all = ScrapFilter::default();
    assert_eq!(found(all.clone()).await?, [third, second, first]);
    assert_eq!(found(ScrapFilter { cliente_id: Some(1), ..all.clone() }).await?, [third, first]);
    assert_eq!(found(ScrapFilter { rota: Some("pedido".into()), ..all.clone() }).await?, [second, first]);
    assert_eq!(found(ScrapFilter { state: Some(ScrapState::Executando), ..all.clone() }).await?, [third]);
    let both = ScrapFilter { cliente_id: Some(1), rota: Some("pedido".into()), ..all.clone() };
    assert_eq!(found(both.clone()).await?, [first]);
    assert_eq!(found(ScrapFilter { state: Some(ScrapState::Executando), ..both }).await?, [0; 0]);
    assert_eq!(found(ScrapFilter { cliente_id: Some(3), ..all.clone() }).await?, [0; 0]);
    assert_eq!(found(ScrapFilter { rota: Some("' OR 1=1 --".into()), ..all.clone() }).await?, [0; 0]);
    assert_eq!(found(ScrapFilter { before: Some(i64::MIN), ..all.clone() }).await?, [0; 0]);
    assert_eq!(found(ScrapFilter { before: Some(i64::MAX), ..all }).await?, [third, second, first]);
    assert_eq!(store.newest_scrap().await?, third);
    Ok(())
}

fn divided(cliente_id: i32) -> NewScrap {
    let day = |day: u32| format!("2025-10-2{day}");
    let slices = (0..3).map(|n| (day(n), day(n))).collect();
    NewScrap { period: Some((day(0), day(2))), slices, ..new_scrap(cliente_id) }
}

async fn a_divided_scrap_is_found_by_the_states_of_its_slices(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    let whole = store.create_scrap(&divided(CLIENT)).await?;
    let alone = ground.scrap().await?;
    let slices = store.unfinished_slices(whole).await?;
    store.claim(slices[1], &stamp("1"), HOST).await?;
    let in_state = |state| ScrapFilter { state: Some(state), ..ScrapFilter::default() };
    let found = store.scraps(&in_state(ScrapState::Executando), 10).await?;
    assert_eq!(ids(&found), [whole]);
    assert_eq!((found[0].slices, found[0].slices_done), (3, 0));
    assert_eq!(ids(&store.scraps(&in_state(ScrapState::Pendente), 10).await?), [alone, whole]);
    assert_eq!(ids(&store.scraps(&in_state(ScrapState::Falhou), 10).await?), [0; 0]);
    let of_whole = ScrapFilter { slice_of: Some(whole), ..ScrapFilter::default() };
    assert_eq!(ids(&store.scraps(&of_whole, 10).await?), [slices[2], slices[1], slices[0]]);
    let part = ScrapFilter { before: Some(slices[2]), ..of_whole.clone() };
    assert_eq!(ids(&store.scraps(&part, 1).await?), [slices[1]]);
    let running = ScrapFilter { state: Some(ScrapState::Executando), ..of_whole };
    assert_eq!(ids(&store.scraps(&running, 10).await?), [slices[1]]);
    Ok(())
}

async fn parts_of_a_listing_make_up_the_whole_whatever_is_created_meanwhile(ground: &Ground) -> Result<()> {
    let mut all = Vec::new();
    for _ in 0..25 {
        all.push(ground.scrap().await?);
    }
    all.reverse();
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let part = ground.store.scraps(&ScrapFilter { before, ..ScrapFilter::default() }, 7).await?;
        let Some(last) = part.last() else { break };
        before = Some(last.id);
        found.extend(ids(&part));
        ground.scrap().await?;
    }
    assert_eq!(found, all);
    Ok(())
}

async fn scraps_that_are_new_run_or_ended_a_moment_ago_are_watched(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let old = ground.scrap().await?;
    let runs = ground.lease().await?;
    let ended = ground.lease().await?;
    let ended_before = ground.lease().await?;
    store.finish(&ended, &end(ScrapState::Falhou, None, 1)).await?;
    store.finish(&ended_before, &end(ScrapState::Concluido, None, 1)).await?;
    let long_ago =
        format!("UPDATE scraps SET terminado_em = '2020-01-01 00:00:00' WHERE id = {}", ended_before.scrap_id);
    ground.database.execute(&long_ago).await?;
    let newest = store.newest_scrap().await?;
    assert_eq!(ids(&store.watch_scraps(newest, 10).await?), [runs.scrap_id, ended.scrap_id]);
    let new = store.create_scrap(&divided(CLIENT)).await?;
    let slices = store.unfinished_slices(new).await?;
    let watched = ids(&store.watch_scraps(newest, 10).await?);
    assert_eq!(watched, [&[runs.scrap_id, ended.scrap_id, new], &slices[..]].concat());
    assert_eq!(ids(&store.watch_scraps(newest, 1).await?), [runs.scrap_id]);
    assert!(ids(&store.watch_scraps(0, 100).await?).contains(&old));
    Ok(())
}

async fn scraps_are_counted_by_state_without_slices(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    assert_eq!(store.scraps_by_state().await?, []);
    assert_eq!(store.newest_scrap().await?, 0);
    ground.scrap().await?;
    ground.scrap().await?;
    ground.lease().await?;
    store.create_scrap(&divided(CLIENT)).await?;
    let counts = store.scraps_by_state().await?;
    let counts: Vec<(&str, i64)> = counts.iter().map(|(state, count)| (state.as_str(), *count)).collect();
    assert_eq!(counts, [("dividido", 1), ("executando", 1), ("pendente", 2)]);
    Ok(())
}

async fn pages_come_in_the_order_in_which_they_became_known(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    let lease = ground.lease().await?;
    // Another scrap's are not among them.
    ground.lease().await?;
    let names: Vec<String> = (0..9).map(|n| format!("c{n}")).collect();
    let next: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut first = done(page(0, None), &next);
    first.counts = Counts { lidos: 3, inseridos: 1, duplicados: 1, rejeitados: 1, ..Counts::default() };
    first.attempts = 2;
    first.facts.total_records = Some(30);
    store.ledger(&lease, &[first.page], &[]).await?;
    store.ledger(&lease, &[], &[first]).await?;
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let part = store.pages(lease.scrap_id, after, 4).await?;
        let Some(last) = part.last() else { break };
        after = last.ordem;
        found.extend(part);
    }
    assert!(found.windows(2).all(|two| two[0].ordem < two[1].ordem));
    let cursors: Vec<Option<&str>> = found.iter().map(|page| page.cursor.as_deref()).collect();
    let expected: Vec<Option<&str>> = std::iter::once(None).chain(next.iter().map(|name| Some(*name))).collect();
    assert_eq!(cursors, expected);
    let (first, second) = (&found[0], &found[1]);
    assert_eq!((first.estado.as_str(), first.tentativas, first.total_declarado), ("feita", 2, Some(30)));
    assert_eq!((first.counts.lidos, first.counts.rejeitados), (3, 1));
    assert!(first.gravado_em.is_some() && first.conector_sha256.is_some());
    assert_eq!((second.estado.as_str(), second.iniciado, second.gravado_em.as_ref()), ("pendente", false, None));
    assert_eq!(store.newest_pages(lease.scrap_id, 3).await?, found[7..]);
    assert_eq!(store.newest_pages(lease.scrap_id, 100).await?, found);
    assert_eq!(store.pages(lease.scrap_id, i64::MAX, 4).await?, []);
    Ok(())
}

/// Records of client 7's `pedido`, one a day from 2025-10-20 on at its last second, and of client
/// 8's `venda` at noon.
async fn records(ground: &Ground) -> Result<()> {
    for client in [7, 8] {
        ground.store.add_client(client, &secret("token")).await?;
    }
    for day in 20..25 {
        for (client, route, time) in [(7, "pedido", "23:59:59"), (8, "venda", "12:00:00")] {
            let insert = format!(
                "INSERT INTO dados_raw (cliente_id, data_coleta, origem, payload, hash_conteudo) VALUES \
                 ({client}, '2025-10-{day} {time}', '{route}', '{{\"valor\": 1234567890123456789.10}}', '{client}-{day}')"
            );
            ground.database.execute(&insert).await?;
        }
    }
    Ok(())
}

async fn records_are_found_by_client_route_and_day(ground: &Ground) -> Result<()> {
    records(ground).await?;
    let found = async |filter: RecordFilter| {
        let records = ground.store.records(&filter, i64::MAX, 100, 1_000).await?;
        let exported = ground.store.export(&filter, 0, 100).await?;
        assert_eq!(
            records.iter().rev().map(|r| r.id).collect::<Vec<_>>(),
            exported.iter().map(|r| r.id).collect::<Vec<_>>()
        );
        let hashes = exported.into_iter().map(|record| record.hash_conteudo.unwrap_or_default());
        Ok::<_, StoreError>(hashes.collect::<Vec<String>>())
    };
    let all = RecordFilter::default();
    assert_eq!(found(all.clone()).await?.len(), 10);
    let of_client = RecordFilter { cliente_id: Some(7), ..all.clone() };
    assert_eq!(found(of_client.clone()).await?, ["7-20", "7-21", "7-22", "7-23", "7-24"]);
    assert_eq!(found(RecordFilter { origem: Some("venda".into()), ..all.clone() }).await?.len(), 5);
    assert_eq!(found(RecordFilter { origem: Some("venda".into()), ..of_client.clone() }).await?, [""; 0]);
    let at = |text: &str| Some(format!("{text} 00:00:00"));
    let days = RecordFilter { from: at("2025-10-21"), until: at("2025-10-23"), ..of_client.clone() };
    assert_eq!(found(days).await?, ["7-21", "7-22"]);
    assert_eq!(found(RecordFilter { from: at("2025-10-24"), ..of_client.clone() }).await?, ["7-24"]);
    assert_eq!(found(RecordFilter { until: at("2025-10-21"), ..of_client.clone() }).await?, ["7-20"]);
    // The first and the last moment that can be asked for.
    let ever = RecordFilter { from: at("0001-01-01"), until: at("9999-12-31"), ..of_client };
    assert_eq!(found(ever).await?.len(), 5);
    Ok(())
}

async fn an_export_in_parts_has_each_record_once_and_whole(ground: &Ground) -> Result<()> {
    records(ground).await?;
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let part = ground.store.export(&RecordFilter::default(), after, 3).await?;
        let Some(last) = part.last() else { break };
        after = last.id;
        found.extend(part);
    }
    assert_eq!(found.len(), 10);
    assert!(found.windows(2).all(|two| two[0].id < two[1].id));
    for record in &found {
        assert_eq!(record.payload, "{\"valor\": 1234567890123456789.10}");
        assert_eq!(ground.store.record(record.id).await?.as_ref(), Some(record));
    }
    let last = found.last().context("records")?.id;
    assert_eq!(ground.store.record(last + 1).await?, None);
    assert_eq!(ground.store.record(i64::MIN).await?, None);
    let newest = ground.store.records(&RecordFilter::default(), last, 2, 1_000).await?;
    assert_eq!(newest.iter().map(|record| record.id).collect::<Vec<_>>(), [found[8].id, found[7].id]);
    Ok(())
}

async fn what_is_read_at_a_time_is_bounded_by_bytes(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    // One that is more than may be read at a time by itself, between small ones.
    for (n, length) in [1_usize, 1_500_000, 1_500_000, 5_000_000, 1, 1].into_iter().enumerate() {
        let payload = "x".repeat(length);
        let insert = format!(
            "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) VALUES (7, 'pedido', '\"{payload}\"', 'h{n}')"
        );
        ground.database.execute(&insert).await?;
    }
    let hashes = |records: Vec<RawRecord>| {
        let hashes = records.iter().filter_map(|record| record.hash_conteudo.clone());
        (hashes.collect::<Vec<_>>().join(" "), records.last().map(|record| record.id))
    };
    let (mut parts, mut after) = (Vec::new(), 0);
    while let (part, Some(last)) = hashes(store.export(&RecordFilter::default(), after, 100).await?) {
        parts.push(part);
        after = last;
    }
    assert_eq!(parts, ["h0 h1 h2", "h3", "h4 h5"]);
    let (mut parts, mut before) = (Vec::new(), i64::MAX);
    while let (part, Some(last)) = hashes(store.read_back(&RecordFilter::default(), before, 100).await?) {
        parts.push(part);
        before = last;
    }
    assert_eq!(parts, ["h5 h4", "h3", "h2 h1 h0"]);
    Ok(())
}

async fn what_a_clients_scraps_came_to_adds_up(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    store.add_client(CLIENT, &secret("token")).await?;
    let none = store.scrap_sums(CLIENT).await?;
    assert_eq!((none.scraps, none.inacabados, none.lidos, none.off_by()), (0, 0, 0, 0));
    for (state, counts) in [("concluido", "10, 5, 2, 2, 1"), ("falhou", "4, 4, 0, 0, 0"), ("dividido", "7, 7, 0, 0, 0")]
    {
        let insert = format!(
            "INSERT INTO scraps (cliente_id, rota, tamanho_pagina, estado, lidos, inseridos, duplicados, reencontrados, rejeitados) \
             VALUES (7, 'pedido', 10, '{state}', {counts})"
        );
        ground.database.execute(&insert).await?;
    }
    let sums = store.scrap_sums(CLIENT).await?;
    assert_eq!((sums.scraps, sums.inacabados), (2, 1));
    assert_eq!((sums.lidos, sums.inseridos, sums.duplicados, sums.reencontrados, sums.rejeitados), (14, 9, 2, 2, 1));
    assert_eq!(sums.off_by(), 0);
    Ok(())
}

async fn a_payload_is_cut_at_characters(ground: &Ground) -> Result<()> {
    ground.store.add_client(CLIENT, &secret("token")).await?;
    let insert = "INSERT INTO dados_raw (cliente_id, origem, payload) VALUES (7, 'pedido', '\"ação 😀 fim\"')";
    ground.database.execute(insert).await?;
    let cut = ground.store.records(&RecordFilter::default(), i64::MAX, 10, 7).await?;
    assert_eq!(cut[0].payload, "\"ação 😀");
    assert!(cut[0].data_coleta.is_some() && cut[0].hash_conteudo.is_none());
    let whole = ground.store.records(&RecordFilter::default(), i64::MAX, 10, i64::MAX).await?;
    assert_eq!(whole[0].payload, "\"ação 😀 fim\"");
    Ok(())
}

async fn rows_are_counted_by_route_and_step(ground: &Ground) -> Result<()> {
    for client in [7, 8] {
        ground.store.add_client(client, &secret("token")).await?;
    }
    let rows = [
        (7, "pedido", "2026-11-28 23:59:59"),
        (7, "pedido", "2026-11-29 02:59:59.5"),
        (7, "pedido", "2026-11-29 03:00:00"),
        (7, "pedido", "2026-11-29 04:10:00"),
        (7, "venda", "2026-11-29 04:00:00"),
        (8, "pedido", "2026-11-29 04:00:00"),
    ];
    for (n, (client, route, time)) in rows.into_iter().enumerate() {
        let insert = format!(
            "INSERT INTO dados_raw (cliente_id, data_coleta, origem, payload, hash_conteudo) \
             VALUES ({client}, '{time}', '{route}', '1', 'h{n}')"
        );
        ground.database.execute(&insert).await?;
    }
    let counted = async |since: &str, step: i64| {
        let steps = ground.store.rows_by_step(7, since, step).await?;
        Ok::<_, StoreError>(steps.into_iter().map(|s| (s.origem, s.passo * step, s.registros)).collect::<Vec<_>>())
    };
    let of = |route: &str, time: &str, rows: i64| {
        let time = chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M").unwrap();
        (route.to_owned(), time.and_utc().timestamp(), rows)
    };
    let by_hours = vec![
        of("pedido", "2026-11-29 03:00", 2),
        of("venda", "2026-11-29 03:00", 1),
        of("pedido", "2026-11-29 00:00", 1),
    ];
    assert_eq!(counted("2026-11-29 00:00:00", 3 * 3600).await?, by_hours);
    let by_days = vec![
        of("pedido", "2026-11-29 00:00", 3),
        of("venda", "2026-11-29 00:00", 1),
        of("pedido", "2026-11-28 00:00", 1),
    ];
    assert_eq!(counted("2026-11-28 03:00:00", 24 * 3600).await?, by_days);
    Ok(())
}

async fn hosts_are_listed_with_what_they_run(ground: &Ground) -> Result<()> {
    let store = &ground.store;
    assert_eq!(store.hosts().await?, []);
    for id in ["a", "b"] {
        let lease = std::time::Duration::from_secs(60);
        let host = Host { id: id.to_owned(), name: format!("host {id}"), version: "1".to_owned(), lease };
        store.beat(&host).await?;
    }
    let id = ground.scrap().await?;
    store.claim(id, &stamp("1"), "b").await?;
    let hosts = store.hosts().await?;
    let mut running: Vec<(&str, i64)> = hosts.iter().map(|host| (host.nome.as_str(), host.correndo)).collect();
    running.sort_unstable();
    assert_eq!(running, [("host a", 0), ("host b", 1)]);
    assert!(hosts.iter().all(|host| !host.visto_em.is_empty() && !host.iniciado_em.is_empty()));
    Ok(())
}
