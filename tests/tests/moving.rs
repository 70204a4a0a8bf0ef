//! A source that moves while it is read: it is followed, swept again, and if it never stands still,
//! that is said.

use atlas_tests::{Atlas, FROM, Faults, Moving, Rota, TO, api};

const CLIENT: u32 = 2151;

#[tokio::test]
async fn a_growing_source_is_followed_to_its_end() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let moving = Moving { every: 2, at_end: 15, max_moves: Some(4), ..Moving::default() };
        let api = api(20, Faults { moving: Some(moving), ..Faults::default() }).await?;
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &["--page-size", "10"]).await?.expect(0)?;
        let now = api.records_now(CLIENT, Rota::Pedido, FROM, TO)?;
        assert_eq!(now.len(), 160);
        atlas.database.expect_exactly(CLIENT, "pedido", &now).await?;
        assert_eq!(run.text("status")?, "concluido");
    }
    Ok(())
}

#[tokio::test]
async fn records_that_shift_between_pages_are_found_by_a_second_sweep() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        // Each deletion moves a record from the head of every page to the tail of the one before.
        let moving = Moving { every: 1, delete_front: 1, at_end: 1, max_moves: Some(6), ..Moving::default() };
        let api = api(20, Faults { moving: Some(moving), ..Faults::default() }).await?;
        atlas.register(CLIENT, &api).await?;
        let more = ["--page-size", "10", "--concurrency", "1", "--sweeps", "2"];
        let run = atlas.run_pedido(CLIENT, &more).await?.expect(0)?;
        assert!(run.stderr.contains("🔁"), "{}", run.stderr);
        let rows = atlas.database.rows().await?;
        let now = api.records_now(CLIENT, Rota::Pedido, FROM, TO)?;
        // Those that were deleted while they were read may be there too; none that still is there
        // may be missing.
        assert!(rows.len() >= now.len());
        let sum = run.number("inseridos")? + run.number("reencontrados")? + run.number("duplicados")?;
        assert_eq!(run.number("lidos")?, sum);
        if !atlas.database.is_postgres() {
            let missing = now.iter().filter(|text| !rows.iter().any(|row| row.payload == **text)).count();
            assert_eq!(missing, 0);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_source_that_never_stands_still_ends_with_a_reservation() -> anyhow::Result<()> {
    let moving = Moving { every: 3, at_front: 1, ..Moving::default() };
    let api = api(20, Faults { moving: Some(moving), ..Faults::default() }).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let run = atlas.run_pedido(CLIENT, &["--page-size", "10"]).await?.expect(6)?;
    assert_eq!(run.text("status")?, "concluido_com_ressalva");
    assert!(run.text("motivo")?.contains("continuou mudando"), "{:?}", run.text("motivo"));
    Ok(())
}

/// Page by page: which of them declared another total, and that their counts add up to the scrap's.
#[tokio::test]
async fn verify_says_on_which_pages_the_source_moved_and_whether_they_add_up() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let moving = Moving { every: 2, at_end: 10, ..Moving::default() };
        let api = api(20, Faults { moving: Some(moving), ..Faults::default() }).await?;
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &["--page-size", "10", "--concurrency", "1"]).await?;
        assert!(matches!(run.code, 0 | 6), "{}", run.stderr);
        let verify = ["verify", "--client", "2151", "--scrap", "1", "--output", "json"];
        let pages = atlas.run(&verify).await?.expect(0)?.json()?;
        assert_eq!(pages["confere"], true, "{pages}");
        assert_eq!(pages["lidos"], pages["lidos_nas_paginas"]);
        let odd = pages["paginas_estranhas"].as_array().map_or(0, Vec::len);
        assert!(odd > 0, "{pages}");
        let text = atlas.run(&["verify", "--client", "2151", "--scrap", "1", "--lang", "en"]).await?.expect(0)?;
        assert!(
            text.stdout.contains("it moved while it was read") && text.stdout.contains("confere"),
            "{}",
            text.stdout
        );
        // A page that lost a count is found, and by how much.
        let broken = "UPDATE scrap_cursores SET inseridos = inseridos - 3 WHERE ordem = (SELECT MAX(ordem) FROM scrap_cursores \
                WHERE scrap_id = 1 AND varredura = 0 AND inseridos > 3)";
        atlas.database.execute(broken).await?;
        let off = atlas.run(&verify).await?.expect(6)?.json()?;
        assert_eq!(off["confere"], false);
        // By now it is known by its cursor's hash.
        let is_off = |page: &&serde_json::Value| page["diferenca"] == 3;
        let page = off["paginas_estranhas"].as_array().and_then(|all| all.iter().find(is_off));
        let name = page.and_then(|page| page["cursor"].as_str());
        assert!(name.is_some_and(|name| name.starts_with("sha256:")), "{off}");
    }
    Ok(())
}
