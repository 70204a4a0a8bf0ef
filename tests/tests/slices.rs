//! Scraps of long periods, divided into slices: several processes share one, and it is told of as
//! one.

use std::time::Duration;

use atlas_tests::{Atlas, FROM, Faults, Rota, SampleApi, TO, api};

const CLIENT: u32 = 2151;

async fn divided(atlas: &Atlas, api: &SampleApi, slice: &str) -> anyhow::Result<()> {
    atlas.register(CLIENT, api).await?;
    let create = ["scrap", "create", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];
    let created = atlas.run(&[&create[..], &["--page-size", "10", "--slice", slice]].concat()).await?.expect(0)?;
    assert_eq!(created.stdout.trim(), "1");
    Ok(())
}

async fn expect_whole(atlas: &Atlas, api: &SampleApi) -> anyhow::Result<()> {
    let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    atlas.database.expect_exactly(CLIENT, "pedido", &served).await
}

#[tokio::test]
async fn a_period_is_run_in_slices_and_told_of_as_one_scrap() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let ran = atlas.run_pedido(CLIENT, &["--slice", "2d", "--page-size", "10"]).await?.expect(0)?;
        let report = ran.json()?;
        assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
        assert_eq!((&report["scrap_id"], &report["status"]), (&1.into(), &"concluido".into()));
        assert_eq!((ran.number("lidos")?, ran.number("inseridos")?, ran.number("total_declarado")?), (100, 100, 100));
        assert_eq!(report["fatias"], serde_json::json!({ "total": 3, "concluidas": 3 }));
        expect_whole(&atlas, &api).await?;
        let list = atlas.run(&["scrap", "list", "--output", "json"]).await?.expect(0)?;
        assert_eq!(list.stdout.lines().count(), 1, "{}", list.stdout);
        let verify = ["verify", "--client", "2151", "--scrap", "1", "--output", "json"];
        let verified = atlas.run(&verify).await?.expect(0)?.json()?;
        assert_eq!((&verified["lidos_nas_paginas"], &verified["confere"]), (&100.into(), &true.into()));
        let again = atlas.run(&["scrap", "resume", "1", "--output", "json"]).await?.expect(0)?;
        assert_eq!(again.number("lidos")?, 100);
    }
    Ok(())
}

#[tokio::test]
async fn workers_share_the_slices_of_one_scrap() -> anyhow::Result<()> {
    let api = api(20, Faults { latency_ms: 100, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        divided(&atlas, &api, "1d").await?;
        let worker = ["worker", "--until-empty", "--scraps", "2", "--concurrency", "1"];
        let (one, two) = (atlas.start(&worker)?, atlas.start(&worker)?);
        let slices = "SELECT COUNT(DISTINCT host) FROM scraps WHERE fatia_de = 1 AND estado = 'executando'";
        let mut most = 0;
        while atlas.database.number("SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'").await? < 5 {
            most = most.max(atlas.database.number(slices).await?);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        one.finish().await?.expect(0)?;
        two.finish().await?.expect(0)?;
        assert_eq!(most, 2, "one of them ran all");
        expect_whole(&atlas, &api).await?;
        assert_eq!(
            atlas.run(&["scrap", "show", "1", "--output", "json"]).await?.expect(0)?.text("status")?,
            "concluido"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_asked_of_a_divided_scrap_is_asked_of_what_is_left_of_it() -> anyhow::Result<()> {
    let api = api(20, Faults { latency_ms: 100, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        divided(&atlas, &api, "1d").await?;
        let mut worker = atlas.start(&["worker", "--scraps", "2", "--concurrency", "1", "--lang", "en"])?;
        worker.until_it_says("Worker ready").await?;
        while atlas.database.number("SELECT COUNT(*) FROM scraps WHERE estado = 'executando'").await? < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        atlas.run(&["scrap", "pause", "1"]).await?.expect(0)?;
        let moving = "SELECT COUNT(*) FROM scraps WHERE estado IN ('executando', 'pendente')";
        let began = std::time::Instant::now();
        while atlas.database.number(moving).await? > 0 {
            anyhow::ensure!(began.elapsed() < Duration::from_secs(60), "it is not paused");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let status = async || atlas.run(&["scrap", "show", "1", "--output", "json"]).await?.expect(0)?.text("status");
        assert_eq!(status().await?, "pausado");
        atlas.run(&["scrap", "cancel", "1"]).await?.expect(0)?;
        assert_eq!(status().await?, "cancelado");
        atlas.run(&["scrap", "retry", "1"]).await?.expect(0)?;
        while status().await? != "concluido" {
            anyhow::ensure!(began.elapsed() < Duration::from_secs(90), "it does not go on");
        }
        worker.signal("TERM").await?;
        worker.finish().await?.expect(0)?;
        expect_whole(&atlas, &api).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_interrupt_leaves_no_slice_to_the_workers_and_what_is_left_can_be_resumed() -> anyhow::Result<()> {
    let api = api(20, Faults { latency_ms: 300, ..Faults::default() }).await?;
    for mut atlas in Atlas::on_both().await? {
        atlas.set("ATLAS_WORKER_SCRAPS", "2");
        divided(&atlas, &api, "1d").await?;
        let mut running = atlas.start(&["scrap", "run", "1", "--lang", "en", "--concurrency", "1"])?;
        running.until_it_says("Period").await?;
        running.signal("INT").await?;
        running.finish().await?.expect(130)?;
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps WHERE estado = 'pausado'").await?, 5);
        atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps WHERE estado = 'pausado'").await?, 5);
        let resumed = atlas.run(&["scrap", "resume", "1", "--output", "json"]).await?.expect(0)?;
        assert_eq!(resumed.text("status")?, "concluido");
        expect_whole(&atlas, &api).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_cancel_from_elsewhere_counts_for_slices_whose_turn_has_not_come() -> anyhow::Result<()> {
    let api = api(20, Faults { latency_ms: 300, ..Faults::default() }).await?;
    for mut atlas in Atlas::on_both().await? {
        atlas.set("ATLAS_WORKER_SCRAPS", "1");
        divided(&atlas, &api, "1d").await?;
        let mut running = atlas.start(&["scrap", "run", "1", "--lang", "en", "--concurrency", "1"])?;
        running.until_it_says("Period").await?;
        atlas.run(&["scrap", "cancel", "1"]).await?.expect(0)?;
        running.finish().await?.expect(130)?;
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps WHERE estado = 'cancelado'").await?, 5);
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps WHERE iniciado_em IS NOT NULL").await?, 1);
        let resumed = atlas.run(&["scrap", "resume", "1", "--output", "json"]).await?.expect(0)?;
        assert_eq!(resumed.text("status")?, "concluido");
        expect_whole(&atlas, &api).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_slice_that_is_none_is_refused() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let mut said = String::new();
    let run =
        |from, slice| ["run", "--client", "2151", "--route", "pedido", "--from", from, "--to", TO, "--slice", slice];
    for arguments in [run(FROM, "0d"), run(FROM, "um dia"), run("2001-01-01", "1d")] {
        said.push_str(&atlas.run_in_both_languages(&arguments, 2).await?);
    }
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
    insta::assert_snapshot!(said);
    Ok(())
}
