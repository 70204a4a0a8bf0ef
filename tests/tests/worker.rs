//! The queue and its workers: several processes at one database, of which any may die, freeze or be
//! told to stop. Whatever they do, every scrap is run to its end, by one of them at a time, and the
//! table holds each record once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, FROM, FaultKind, Faults, Rota, Running, SampleApi, TO, api};

const CLIENT: u32 = 2151;
/// Long enough for any of these tests, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// An installation whose hosts are missed after two seconds.
fn impatient(mut atlas: Atlas) -> Atlas {
    atlas.set("ATLAS_LEASE", "2");
    atlas.set("ATLAS_RERUN_AFTER", "1");
    atlas
}

async fn create(atlas: &Atlas, client: u32, page_size: &str) -> anyhow::Result<String> {
    let client = client.to_string();
    let create = ["scrap", "create", "--client", &client, "--route", "pedido", "--from", FROM, "--to", TO];
    let created = atlas.run(&[&create[..], &["--page-size", page_size]].concat()).await?.expect(0)?;
    Ok(created.stdout.trim().to_owned())
}

async fn state(atlas: &Atlas, id: &str) -> anyhow::Result<String> {
    atlas.run(&["scrap", "show", id, "--output", "json"]).await?.expect(0)?.text("status")
}

/// Waits until the scrap is in this state; gives how long it took.
async fn until(atlas: &Atlas, id: &str, wanted: &str) -> anyhow::Result<Duration> {
    let began = Instant::now();
    loop {
        let now: String = atlas.database.text(&format!("SELECT estado FROM scraps WHERE id = {id}")).await?;
        if now == wanted {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < PATIENCE, "scrap {id} is {now}, and not {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until so many pages of the scrap are done.
async fn until_pages(atlas: &Atlas, id: &str, pages: i64) -> anyhow::Result<()> {
    let began = Instant::now();
    while atlas.database.number(&format!("SELECT paginas FROM scraps WHERE id = {id}")).await? < pages {
        ensure!(began.elapsed() < PATIENCE, "scrap {id} does not get to {pages} pages");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn worker(atlas: &Atlas) -> anyhow::Result<Running> {
    let mut worker = atlas.start(&["worker", "--lang", "en", "--batch", "20", "--concurrency", "2"])?;
    worker.until_it_says("Worker ready").await?;
    Ok(worker)
}

async fn stop(worker: Running) -> anyhow::Result<String> {
    worker.signal("TERM").await?;
    Ok(worker.finish().await?.expect(0)?.stderr)
}

async fn expect_whole(atlas: &Atlas, api: &SampleApi, clients: impl IntoIterator<Item = u32>) -> anyhow::Result<()> {
    for client in clients {
        let served = api.records(client, Rota::Pedido, FROM, TO)?;
        atlas.database.expect_exactly(client, "pedido", &served).await?;
    }
    let off = "SELECT COUNT(*) FROM scraps WHERE estado <> 'concluido' \
               OR lidos <> inseridos + duplicados + reencontrados + rejeitados OR duplicados > 0";
    ensure!(atlas.database.number(off).await? == 0, "a scrap is not done, or does not add up");
    Ok(())
}

#[tokio::test]
async fn a_worker_runs_what_is_in_the_queue() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        for client in 1..=3 {
            atlas.register(client, &api).await?;
            create(&atlas, client, "10").await?;
        }
        let done = atlas.run(&["worker", "--until-empty", "--lang", "en"]).await?.expect(0)?;
        assert!(done.stderr.contains("Worker ready") && done.stderr.contains("Worker ended"), "{}", done.stderr);
        expect_whole(&atlas, &api, 1..=3).await?;
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM atlas_hosts").await?, 0);
        // A row inserted by hand is a scrap like any other, its first page made when it is taken.
        atlas
            .database
            .execute(
                "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina) \
                 VALUES (1, 'pedido', '2025-10-20', '2025-10-24', 50)",
            )
            .await?;
        atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
        assert_eq!(state(&atlas, "4").await?, "concluido");
        assert_eq!(atlas.database.number("SELECT duplicados FROM scraps WHERE id = 4").await?, 100);
    }
    Ok(())
}

#[tokio::test]
async fn what_one_host_lacks_leaves_its_scraps_to_the_others() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for mut atlas in Atlas::on_both().await?.map(impatient) {
        atlas.set("ATLAS_KEY", &"5a".repeat(32));
        atlas.register(CLIENT, &api).await?;
        let id = create(&atlas, CLIENT, "10").await?;
        atlas.unset("ATLAS_KEY");
        let keyless = worker(&atlas).await?;
        until(&atlas, &id, "interrompido").await?;
        assert!(stop(keyless).await?.contains("ATLAS_KEY"));
        atlas.set("ATLAS_KEY", &"5a".repeat(32));
        let keeper = worker(&atlas).await?;
        until(&atlas, &id, "concluido").await?;
        stop(keeper).await?;
        expect_whole(&atlas, &api, [CLIENT]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_ends_when_nothing_is_left_takes_over_what_the_dead_left() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 60, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await?.map(impatient) {
        atlas.register(CLIENT, &api).await?;
        let id = create(&atlas, CLIENT, "5").await?;
        let dead = worker(&atlas).await?;
        until_pages(&atlas, &id, 2).await?;
        dead.signal("KILL").await?;
        drop(dead);
        // At once: it still counts as alive, and its scrap is waited for until its lease has ended.
        atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
        expect_whole(&atlas, &api, [CLIENT]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scrap_that_is_cancelled_and_tried_again_at_once_is_run_once() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 60, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await?.map(impatient) {
        atlas.register(CLIENT, &api).await?;
        let id = create(&atlas, CLIENT, "5").await?;
        let running = worker(&atlas).await?;
        until_pages(&atlas, &id, 1).await?;
        for pages in 2..5 {
            atlas.run(&["scrap", "cancel", &id]).await?.expect(0)?;
            atlas.run(&["scrap", "retry", &id]).await?.expect(0)?;
            until_pages(&atlas, &id, pages).await?;
        }
        until(&atlas, &id, "concluido").await?;
        // Each time it was cancelled, taken and claimed, 11 in all, and perhaps again where the
        // database was busy.
        let epochs = atlas.database.number(&format!("SELECT epoca FROM scraps WHERE id = {id}")).await?;
        ensure!(epochs <= 20, "the scrap changed hands {epochs} times");
        stop(running).await?;
        expect_whole(&atlas, &api, [CLIENT]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_worker_that_was_killed_leaves_another_finishes() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 60, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await?.map(impatient) {
        for client in 1..=3 {
            atlas.register(client, &api).await?;
            create(&atlas, client, "5").await?;
        }
        let dying = worker(&atlas).await?;
        until_pages(&atlas, "1", 3).await?;
        dying.signal("KILL").await?;
        dying.finish().await?;
        let heir = worker(&atlas).await?;
        for id in ["1", "2", "3"] {
            until(&atlas, id, "concluido").await?;
        }
        stop(heir).await?;
        expect_whole(&atlas, &api, 1..=3).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_froze_past_its_lease_changes_nothing_when_it_comes_back() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 60, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await?.map(impatient) {
        atlas.register(CLIENT, &api).await?;
        let id = create(&atlas, CLIENT, "5").await?;
        let frozen = worker(&atlas).await?;
        until_pages(&atlas, &id, 3).await?;
        frozen.signal("STOP").await?;
        let epoch: i64 = atlas.database.number("SELECT epoca FROM scraps").await?;
        let heir = worker(&atlas).await?;
        let began = Instant::now();
        while atlas.database.number("SELECT epoca FROM scraps").await? == epoch {
            ensure!(began.elapsed() < PATIENCE, "nobody takes the scrap over");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        frozen.signal("CONT").await?;
        until(&atlas, &id, "concluido").await?;
        let told = stop(frozen).await?;
        assert!(told.contains("taken over by another process"), "{told}");
        stop(heir).await?;
        expect_whole(&atlas, &api, [CLIENT]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_hands_its_scraps_back() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 60, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let id = create(&atlas, CLIENT, "5").await?;
        let first = worker(&atlas).await?;
        until_pages(&atlas, &id, 3).await?;
        stop(first).await?;
        assert_eq!(state(&atlas, &id).await?, "pendente");
        let (read, rows) = ("SELECT lidos FROM scraps", "SELECT COUNT(*) FROM dados_raw");
        assert_eq!(atlas.database.number(read).await?, atlas.database.number(rows).await?, "what was read is written");
        api.set_faults(Faults::default())?;
        atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
        expect_whole(&atlas, &api, [CLIENT]).await?;
        api.set_faults(Faults { latency_ms: 60, ..Faults::default() })?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scrap_is_paused_resumed_and_cancelled_wherever_it_runs_within_a_second() -> anyhow::Result<()> {
    let api = api(200, Faults { latency_ms: 100, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let id = create(&atlas, CLIENT, "5").await?;
        let busy = worker(&atlas).await?;
        until_pages(&atlas, &id, 2).await?;
        let told = atlas.run(&["scrap", "pause", &id, "--lang", "en"]).await?.expect(0)?;
        assert!(told.stderr.contains("pauses it within about a second"), "{}", told.stderr);
        let took = until(&atlas, &id, "pausado").await?;
        assert!(took < Duration::from_secs(3), "{took:?}");
        atlas.run(&["scrap", "pause", &id, "--lang", "en"]).await?.expect(2)?;
        let pages = atlas.database.number("SELECT paginas FROM scraps").await?;
        atlas.run(&["scrap", "resume", &id, "--queue"]).await?.expect(0)?;
        until(&atlas, &id, "executando").await?;
        until_pages(&atlas, &id, pages + 2).await?;
        atlas.run(&["scrap", "cancel", &id]).await?.expect(0)?;
        assert_eq!(state(&atlas, &id).await?, "cancelado");
        atlas.run(&["scrap", "retry", &id]).await?.expect(0)?;
        until(&atlas, &id, "executando").await?;
        api.set_faults(Faults::default())?;
        until(&atlas, &id, "concluido").await?;
        atlas.run(&["scrap", "retry", &id]).await?.expect(2)?;
        stop(busy).await?;
        expect_whole(&atlas, &api, [CLIENT]).await?;
        api.set_faults(Faults { latency_ms: 100, ..Faults::default() })?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scrap_whose_source_fails_is_taken_again_by_itself_until_it_is_whole() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await?.map(impatient) {
        atlas.register(CLIENT, &api).await?;
        let id = create(&atlas, CLIENT, "10").await?;
        let fail_with = FaultKind::Status503;
        api.set_faults(Faults { fail_page: Some(2), fail_with, ..Faults::default() })?;
        let working = worker(&atlas).await?;
        until(&atlas, &id, "interrompido").await?;
        let shown = atlas.run(&["scrap", "show", &id, "--lang", "en"]).await?.expect(0)?;
        assert!(shown.stdout.contains("Resumes at: 2"), "{}", shown.stdout);
        api.set_faults(Faults::default())?;
        until(&atlas, &id, "concluido").await?;
        stop(working).await?;
        expect_whole(&atlas, &api, [CLIENT]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scrap_that_cannot_even_begin_waits_for_a_person_and_for_nobody_else() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    for client in [1, 2] {
        atlas.register(client, &api).await?;
        create(&atlas, client, "10").await?;
    }
    atlas.database.execute("UPDATE clientes_tokens SET token = '' WHERE cliente_id = 1").await?;
    atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
    assert_eq!(
        (state(&atlas, "1").await?.as_str(), state(&atlas, "2").await?.as_str()),
        ("token_recusado", "concluido")
    );
    let shown = atlas.run(&["scrap", "show", "1", "--lang", "en"]).await?.expect(0)?;
    assert!(shown.stdout.contains("oken"), "{}", shown.stdout);
    Ok(())
}

#[tokio::test]
async fn what_an_operator_runs_no_worker_takes() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 60, ..Faults::default() }).await?;
    let atlas = impatient(Atlas::on_postgres().await?);
    atlas.register(CLIENT, &api).await?;
    let idle = worker(&atlas).await?;
    // Longer than a host is believed to be alive without a word.
    let ran = atlas.run_pedido(CLIENT, &["--page-size", "5", "--concurrency", "1"]).await?.expect(0)?;
    assert_eq!((ran.text("status")?.as_str(), ran.number("reencontrados")?), ("concluido", 0));
    assert_eq!(atlas.database.number("SELECT epoca FROM scraps").await?, 1);
    stop(idle).await?;
    expect_whole(&atlas, &api, [CLIENT]).await
}

/// `ATLAS_TEST_FLEET=WORKERS,CLIENTS,SCRAPS`: larger.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_fleet_no_client_is_starved_and_no_scrap_is_run_twice() -> anyhow::Result<()> {
    let wanted = std::env::var("ATLAS_TEST_FLEET").unwrap_or_else(|_| "3,5,50".to_owned());
    let wanted: Vec<u32> = wanted.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let [workers, clients, scraps] = wanted.try_into().ok().context("WORKERS,CLIENTS,SCRAPS")?;
    let api = api(4, Faults { latency_ms: 30, ..Faults::default() }).await?;
    let atlas = Atlas::on_postgres().await?;
    for client in 1..=clients {
        atlas.register(client, &api).await?;
    }
    atlas.bind_all().await?;
    // The first client has most of them, and had them first.
    let many = scraps - (clients - 1) * (scraps / (2 * clients));
    let insert = |client: u32, count: u32| {
        format!(
            "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina) \
             SELECT {client}, 'pedido', '{FROM}', '{TO}', 5 FROM generate_series(1, {count})"
        )
    };
    atlas.database.execute(&insert(1, many)).await?;
    for client in 2..=clients {
        atlas.database.execute(&insert(client, scraps / (2 * clients))).await?;
    }
    let worker = ["worker", "--until-empty", "--scraps", "4", "--per-client", "2", "--batch", "50", "-q"];
    let started: Vec<Running> = (0..workers).map(|_| atlas.start(&worker)).collect::<Result<_, _>>()?;
    for running in started {
        running.finish().await?.expect(0)?;
    }
    // Taken once: an epoch for that, and one for the run that began.
    assert_eq!(
        atlas.database.number("SELECT COUNT(*) FROM scraps WHERE estado <> 'concluido' OR epoca <> 2").await?,
        0
    );
    // While others waited, the first client had no more than its turn: all of theirs were taken
    // before most of its own.
    let mut order = BTreeMap::new();
    for client in 1..=clients {
        let last = format!(
            "SELECT COUNT(*) FROM scraps s WHERE s.retirado_em <= \
             (SELECT MAX(retirado_em) FROM scraps WHERE cliente_id = {client})"
        );
        order.insert(client, atlas.database.number(&last).await?);
    }
    let others = (clients - 1) * (scraps / (2 * clients));
    let last_of_others = order.iter().filter(|(client, _)| **client > 1).map(|(_, last)| *last).max().unwrap_or(0);
    let turns = i64::from(others + scraps / (2 * clients) + workers * 4);
    assert!(
        last_of_others <= turns,
        "{order:?}: the others' last was taken after {last_of_others}, not within {turns}"
    );
    for client in 1..=clients {
        let served = api.records(client, Rota::Pedido, FROM, TO)?;
        atlas.database.expect_exactly(client, "pedido", &served).await?;
    }
    Ok(())
}

/// `ATLAS_TEST_FLEET=N`: with so many scraps in all, in the place of 160.
#[tokio::test]
async fn four_workers_share_the_scraps_of_twenty_clients_fairly_and_run_none_twice() -> anyhow::Result<()> {
    const CLIENTS: i64 = 20;
    let wanted: i64 = std::env::var("ATLAS_TEST_FLEET").ok().map_or(Ok(160), |text| text.parse())?;
    let each = wanted / CLIENTS;
    let api = api(4, Faults { latency_ms: 10, ..Faults::default() }).await?;
    let atlas = Atlas::on_postgres().await?;
    for client in 1..=CLIENTS {
        atlas.register(u32::try_from(client)?, &api).await?;
    }
    atlas.bind_all().await?;
    // The first client's all stand before the second's, and so on: first come, first served would
    // starve the last.
    let queue = format!(
        "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim) SELECT c, 'pedido', '{FROM}', '{FROM}' \
         FROM generate_series(1, {CLIENTS}) c, generate_series(1, {each}) n ORDER BY c, n"
    );
    atlas.database.execute(&queue).await?;
    let worker = ["worker", "--until-empty", "--scraps", "4", "--per-client", "3", "--batch", "50", "-q"];
    let begun = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        workers.spawn(atlas.start(&worker)?.finish());
    }
    for worker in workers.join_all().await {
        worker?.expect(0)?;
    }
    let took = begun.elapsed();
    let number = async |sql: &str| atlas.database.number(sql).await;
    assert_eq!(number("SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'").await?, each * CLIENTS);
    // Taken once and claimed once; every page asked for once.
    assert_eq!(number("SELECT COUNT(*) FROM scraps WHERE epoca <> 2").await?, 0);
    assert_eq!(number("SELECT COUNT(*) FROM scrap_cursores WHERE tentativas <> 1").await?, 0);
    // Whenever one was taken, no client was far ahead of another: by its place in the order of all,
    // and among its own.
    let ahead = number(&format!(
        "SELECT MAX(ABS(proprio - CAST(geral AS FLOAT) / {CLIENTS}))::bigint FROM (SELECT \
           ROW_NUMBER() OVER (ORDER BY retirado_em) AS geral, \
           ROW_NUMBER() OVER (PARTITION BY cliente_id ORDER BY retirado_em) AS proprio FROM scraps) ordem"
    ))
    .await?;
    #[allow(clippy::disallowed_macros)] // worth knowing
    {
        eprintln!("{} scraps in {took:?}; at most {ahead} ahead or behind", each * CLIENTS);
    }
    assert!(ahead <= 3, "{ahead} scraps ahead or behind");
    for client in 1..=CLIENTS {
        let client = u32::try_from(client)?;
        atlas.database.expect_exactly(client, "pedido", &api.records(client, Rota::Pedido, FROM, FROM)?).await?;
    }
    Ok(())
}

/// The sources of one client's scraps dribble; another client's scrap, of a source that does not,
/// waits for a slot.
async fn a_quick_scrap_beside_slow_ones(atlas: &Atlas, slots: i64) -> anyhow::Result<()> {
    let dribbling = Faults {
        random_rate: 1.0,
        random_kinds: vec![FaultKind::SlowBody],
        slow_chunk: 4,
        slow_pause_ms: 50,
        ..Faults::default()
    };
    let (slow, quick) = (api(4, dribbling).await?, api(4, Faults::default()).await?);
    atlas.register(1, &slow).await?;
    atlas.register(2, &quick).await?;
    atlas.bind_all().await?;
    let insert = |client: u32, count: i64| {
        let rows = vec![format!("({client}, 'pedido', '{FROM}', '{FROM}', 2)"); usize::try_from(count).unwrap_or(1)];
        let into = "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina) VALUES";
        format!("{into} {}", rows.join(", "))
    };
    atlas.database.execute(&insert(1, slots)).await?;
    let scraps = slots.to_string();
    let worker = atlas.start(&["worker", "--scraps", &scraps, "--concurrency", "1", "-q"])?;
    let until = async |what: &str, sql: &str, wanted: i64| -> anyhow::Result<Duration> {
        let begun = Instant::now();
        while atlas.database.number(sql).await? != wanted {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "{what} after {:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(begun.elapsed())
    };
    let running = "SELECT COUNT(*) FROM scraps WHERE estado = 'executando'";
    until("the slots are not all taken", running, slots).await?;
    atlas.database.execute(&insert(2, 1)).await?;
    let done = "SELECT COUNT(*) FROM scraps WHERE cliente_id = 2 AND estado = 'concluido'";
    let took = until("the quick scrap waits", done, 1).await?;
    #[allow(clippy::disallowed_macros)] // worth knowing
    {
        eprintln!("{slots} slots: the quick scrap was done after {took:?}");
    }
    // What was handed back is no failure, and its slot is its own again.
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps WHERE falhas <> 0 OR motivo IS NOT NULL").await?, 0);
    until("what was handed back is not taken again", running, slots).await?;
    slow.set_faults(Faults::default())?;
    until("they do not end", "SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'", slots + 1).await?;
    worker.signal("INT").await?;
    worker.finish().await?;
    for (client, api) in [(1, &slow), (2, &quick)] {
        atlas.database.expect_exactly(client, "pedido", &api.records(client, Rota::Pedido, FROM, FROM)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_whose_sources_dribble_does_not_keep_another_ones_scrap_waiting() -> anyhow::Result<()> {
    for (atlas, slots) in Atlas::on_both().await?.into_iter().zip([4, 1]) {
        a_quick_scrap_beside_slow_ones(&atlas, slots).await?;
    }
    Ok(())
}
