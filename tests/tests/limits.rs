//! Connectors that take all they can get: each is stopped at a limit that the error names, and
//! no scrap beside them notices.

use atlas_tests::{
    Atlas, FROM, Faults, LANGUAGES, Rota, SampleApi, TO, api, assert_said, hostile_connectors, test_guests,
};

const CLIENT: u32 = 2151;
const GREEDY: u32 = 6666;

/// An installation with the greedy connectors beside the others, and these settings.
async fn ready(api: &SampleApi, settings: &str) -> anyhow::Result<Atlas> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    for guest in ["gira.wasm", "aloca.wasm"] {
        std::fs::copy(test_guests()?.join(guest), folder.join(guest))?;
    }
    std::fs::write(atlas.folder().join("atlas.toml"), settings)?;
    atlas.register(CLIENT, api).await?;
    atlas.register(GREEDY, api).await?;
    Ok(atlas)
}

#[tokio::test]
async fn a_connector_that_goes_past_its_limit_is_stopped_and_told_which_and_its_neighbour_is_complete()
-> anyhow::Result<()> {
    let api = api(40, Faults::default()).await?;
    let settings = "[connector.gira.limits]\nguest_cpu_ms = 150\n\n[client.6666.limits]\nguest_memory = 20000000\n";
    let mut said = String::new();
    for (route, size) in [("gira", "2000"), ("aloca", "30")] {
        for lang in LANGUAGES {
            let atlas = ready(&api, settings).await?;
            let greedy = ["scrap", "create", "--client", "6666", "--route", route, "--page-size", size];
            atlas.run(&greedy).await?.expect(0)?;
            let pedido = ["scrap", "create", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];
            atlas.run(&pedido).await?.expect(0)?;
            let ran = atlas.run(&["scrap", "run", "1", "2", "--lang", lang, "-q"]).await?.expect(7)?;
            said.push_str(&format!("--- {route}\n{}", ran.said(lang)?));
            atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
            let failed = atlas.run(&["scrap", "show", "1", "--output", "json"]).await?;
            assert_eq!(failed.text("status")?, "falhou");
            let done = atlas.run(&["scrap", "show", "2", "--output", "json"]).await?;
            assert_eq!(done.text("status")?, "concluido");
        }
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_limit_of_its_own_holds_for_one_connector_and_for_no_other() -> anyhow::Result<()> {
    let api = api(4, Faults::default()).await?;
    let atlas = ready(&api, "[connector.venda.limits]\nrecords_per_page = 3\n").await?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    let venda = ["run", "--client", "2151", "--route", "venda", "--from", FROM, "--to", TO];
    let refused = atlas.run(&venda).await?.expect(7)?;
    assert!(refused.stderr.contains("records_per_page foi atingido (3)"), "{}", refused.stderr);
    Ok(())
}

/// What comes of a limit that is set low.
enum Comes {
    /// The run ends with this code, and the limit and its value are told.
    Ends(i32),
    /// All records are rejected, and the limit and its value are told.
    Rejects,
    /// It only takes longer.
    Waits,
}

#[tokio::test]
async fn each_limit_that_is_set_holds_and_is_told_with_its_value() -> anyhow::Result<()> {
    use Comes::{Ends, Rejects, Waits};
    let cases = [
        ("page_wall_ms", 150, Ends(5)),
        ("body_bytes", 700, Ends(7)),
        ("page_bytes", 700, Ends(7)),
        ("call_bytes", 20, Ends(7)),
        ("records_per_page", 3, Ends(7)),
        ("cursors_per_page", 0, Ends(7)),
        ("cursor_bytes", 0, Ends(7)),
        ("pages", 2, Ends(7)),
        ("record_bytes", 20, Rejects),
        ("record_depth", 0, Rejects),
        ("queue_records", 1, Waits),
        ("queue_bytes", 1, Waits),
        ("host_bodies", 1, Waits),
    ];
    for (limit, value, comes) in cases {
        let slow = if limit == "page_wall_ms" { 1000 } else { 0 };
        let api = api(4, Faults { latency_ms: slow, ..Faults::default() }).await?;
        let atlas = ready(&api, &format!("[limits]\n{limit} = {value}\n")).await?;
        let run = ["--page-size", "5", "--retries", "2", "--lang", "en", "-v"];
        let ran = atlas.run_pedido(CLIENT, &run).await?;
        let told = ran.stderr.contains(limit) && ran.stderr.contains(&format!("({value}"))
            || ran.stderr.contains(&format!("{value} ms (limit {limit})"));
        match comes {
            Ends(code) => assert!(ran.code == code && told, "{limit}: {} {}", ran.code, ran.stderr),
            Rejects => {
                let ran = ran.expect(6)?;
                assert_eq!((ran.number("rejeitados")?, ran.number("inseridos")?), (20, 0), "{limit}");
                assert!(told, "{limit}: {}", ran.stderr);
            }
            Waits => {
                ran.expect(0)?;
                let orders = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
                atlas.database.expect_exactly(CLIENT, "pedido", &orders).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn pages_that_find_no_memory_for_guests_are_tried_again_until_there_is_some() -> anyhow::Result<()> {
    let api = api(1, Faults::default()).await?;
    // Half of it is one connector's: room for one page of 60 MiB beyond its free 16, and not for
    // two.
    let atlas = ready(&api, "[limits]\nhost_guests = 120000000\n").await?;
    let aloca = ["run", "--client", "6666", "--route", "aloca", "--page-size", "60", "--retries", "100"];
    let ran = atlas.run(&[&aloca[..], &["--output", "json", "--lang", "en"]].concat()).await?;
    assert!(matches!(ran.code, 0 | 6), "{}", ran.stderr);
    assert_eq!(ran.number("paginas")?, 64);
    assert!(ran.stderr.contains("limit host_guests (120000000)"), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn limits_of_ones_own_that_cannot_be_are_refused() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let mut said = String::new();
    for settings in [
        "[client.todos.limits]\nguest_cpu_ms = 10\n",
        "[connector.pedido.limits]\nhost_bodies = 1000\n",
        "[connector.pedido]\nlimites = 3\n",
    ] {
        std::fs::write(atlas.folder().join("atlas.toml"), settings)?;
        said.push_str(&atlas.run_in_both_languages(&["client", "list"], 3).await?);
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn what_a_connector_uses_is_counted_and_listed() -> anyhow::Result<()> {
    let api = api(4, Faults::default()).await?;
    let mut atlas = ready(&api, "[connector.gira.limits]\nguest_cpu_ms = 100\n").await?;
    let state = atlas.folder().join("estado");
    atlas.set("ATLAS_STATE", &state.display().to_string());
    atlas.run_pedido(CLIENT, &["--page-size", "5"]).await?.expect(0)?;
    atlas.run(&["run", "--client", "6666", "--route", "gira", "--page-size", "5000"]).await?.expect(7)?;
    let listed = atlas.run(&["connector", "list", "--output", "json"]).await?.expect(0)?;
    let rows: Vec<serde_json::Value> = listed.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let used = |route: &str| rows.iter().find(|row| row["rota"] == route).map(|row| row["uso"].clone());
    let pedido = used("pedido").unwrap_or_default();
    // Four pages of five orders, and the second look at the first.
    assert_eq!((pedido["paginas"].as_u64(), pedido["traps"].as_u64()), (Some(5), Some(0)), "{pedido}");
    assert!(pedido["memoria_pico"].as_u64() > Some(0), "{pedido}");
    let gira = used("gira").unwrap_or_default();
    assert!(gira["traps"].as_u64() >= Some(1) && gira["cpu_ms"].as_u64() >= Some(100), "{gira}");
    Ok(())
}

/// Fifty strings that share one mebibyte of the guest's memory are fifty for the host.
#[tokio::test]
async fn records_that_a_connector_makes_are_memory_of_its_clients_like_a_guests_own() -> anyhow::Result<()> {
    let api = api(1, Faults::default()).await?;
    // Half of it is one client's: less than a page hands over.
    let atlas = ready(&api, "[limits]\nhost_guests = 80000000\n").await?;
    let maker = hostile_connectors()?.join("shared-strings-in-every-page.wasm");
    std::fs::copy(maker, atlas.folder().join("connectors/hostil.wasm"))?;
    let run = ["run", "--client", "6666", "--route", "hostil", "--retries", "2", "--lang", "en"];
    let ran = atlas.run(&run).await?.expect(5)?;
    assert!(ran.stderr.contains("limit host_guests (80000000)"), "{}", ran.stderr);
    assert_eq!(atlas.database.rows().await?.len(), 0);
    Ok(())
}
