//! The main job: every order that the source has is in the table, once, as it was served.

use atlas_tests::{Atlas, FROM, Faults, Rota, TO, api};

const CLIENT: u32 = 2151;

#[tokio::test]
async fn every_order_is_in_the_table_once_and_as_it_was_served() -> anyhow::Result<()> {
    let api = api(120, Faults::default()).await?;
    let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &["--page-size", "70"]).await?.expect(0)?;
        assert_eq!(run.text("status")?, "concluido");
        assert_eq!(run.number("lidos")?, 600);
        assert_eq!(run.number("inseridos")?, 600);
        assert_eq!(run.number("total_declarado")?, 600);
        assert_eq!(run.number("paginas")?, 9);
        atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
        atlas.run(&["verify", "--client", "2151"]).await?.expect(0)?;
        // What pages were asked for by is needed no more.
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scrap_cursores WHERE cursor IS NOT NULL").await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_second_run_of_the_same_period_adds_nothing_and_counts_duplicates() -> anyhow::Result<()> {
    let api = api(40, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
        let again = atlas.run_pedido(CLIENT, &["--batch", "64"]).await?.expect(0)?;
        assert_eq!((again.number("inseridos")?, again.number("duplicados")?), (0, 200));
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_route_of_the_api_is_served() -> anyhow::Result<()> {
    let api = api(10, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    atlas.grant_acknowledgments()?;
    for rota in Rota::ALL {
        let mut arguments = vec!["run", "--cliente", "2151", "--rota", rota.name()];
        if rota.takes_period() {
            arguments.extend(["--de", FROM, "--ate", TO]);
        }
        atlas.run(&arguments).await?.expect(0)?;
        atlas.database.expect_exactly(CLIENT, rota.name(), &api.records(CLIENT, rota, FROM, TO)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_clients_with_identical_orders_both_keep_all_of_theirs() -> anyhow::Result<()> {
    let api = sample_api::SampleApi::start(sample_api::Settings {
        per_day: 30,
        identical_clients: true,
        token: atlas_tests::TOKEN.to_owned(),
        ..Default::default()
    })
    .await?;
    for atlas in Atlas::on_both().await? {
        for client in [1, 2] {
            atlas.register(client, &api).await?;
            atlas.run_pedido(client, &["--batch", "50"]).await?.expect(0)?;
        }
        for client in [1, 2] {
            let served = api.records(client, Rota::Pedido, FROM, TO)?;
            assert_eq!(served, api.records(1, Rota::Pedido, FROM, TO)?);
            atlas.database.expect_exactly(client, "pedido", &served).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_benchmark_of_writing_runs_on_the_tables_as_they_are() -> anyhow::Result<()> {
    let mut bench = tokio::process::Command::new(atlas_tests::programs()?.join("atlas-bench"));
    let done = bench.args(["300", "50", "2"]).output().await?;
    let (told, said) = (String::from_utf8(done.stdout)?, String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && told.contains("| atlas run --batch 1 |"), "{told}{said}");
    Ok(())
}
