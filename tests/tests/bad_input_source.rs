//! Sources that refuse, lie, repeat themselves or are not there. What was good is in the table, the
//! message says what is wrong and what to do, and doing it leads to the end.

use atlas_tests::{
    Atlas, FROM, FaultKind, Faults, Finished, LANGUAGES, Rota, SampleApi, Settings, TO, TOKEN, api, assert_said,
    closed_port,
};
use sample_api::{Charset, Encoding, Redirect};

const CLIENT: u32 = 2151;
/// Five pages, one at a time, so that what is said comes in one order.
const PAGES: [&str; 4] = ["--page-size", "10", "--concurrency", "1"];

/// Runs route `pedido` on a fresh installation for each language, against a source of 50 orders
/// with these faults. Gives what was said, and each installation as the run left it.
async fn run_against(faults: &Faults, more: &[&str], code: i32) -> anyhow::Result<(String, Vec<(Atlas, Finished)>)> {
    let mut said = String::new();
    let mut left = Vec::new();
    let api = api(10, faults.clone()).await?;
    for lang in LANGUAGES {
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &[more, &["--lang", lang]].concat()).await?.expect(code)?;
        said.push_str(&run.said(lang)?);
        left.push((atlas, run));
    }
    Ok((said, left))
}

/// The records of such a source, in its order.
async fn served() -> anyhow::Result<Vec<String>> {
    api(10, Faults::default()).await?.records(CLIENT, Rota::Pedido, FROM, TO)
}

/// Fails unless the table holds as many of the served records as the summary says, each once, and
/// the counts add up.
async fn expect_only_good(atlas: &Atlas, run: &Finished, served: &[String]) -> anyhow::Result<()> {
    let rows = atlas.database.rows().await?;
    assert_eq!(i64::try_from(rows.len())?, run.number("inseridos")?);
    let mut payloads: Vec<&str> = rows.iter().map(|row| row.payload.as_str()).collect();
    payloads.dedup();
    assert_eq!(payloads.len(), rows.len());
    assert!(payloads.iter().all(|payload| served.iter().any(|record| record == payload)));
    let mut sum = 0;
    for count in ["inseridos", "duplicados", "reencontrados", "rejeitados"] {
        sum += run.number(count)?;
    }
    assert_eq!(run.number("lidos")?, sum);
    Ok(())
}

#[tokio::test]
async fn a_source_that_is_not_there_is_tried_five_times_and_the_scrap_goes_on_when_it_is_back() -> anyhow::Result<()> {
    let port = closed_port()?;
    let url = format!("http://127.0.0.1:{port}/sis/api/v1");
    let mut said = String::new();
    let mut left = Vec::new();
    for lang in LANGUAGES {
        let atlas = Atlas::on_sqlite()?;
        let arguments = ["client", "add", "2151", "--token", "-", "--base-url", &url];
        atlas.run_with_input(&arguments, TOKEN).await?.expect(0)?;
        let run = atlas.run_pedido(CLIENT, &["--lang", lang]).await?.expect(5)?;
        assert_eq!(run.text("status")?, "interrompido");
        said.push_str(&run.said(lang)?);
        left.push(atlas);
    }
    assert!(said.contains("⚠️ Tentativa 1/5 falhou, aguardando "), "{said}");
    assert_said!(said);
    assert_said!(std::fs::read_to_string(left[0].log())?);

    let settings = Settings { port, per_day: 10, token: TOKEN.to_owned(), ..Settings::default() };
    let back = SampleApi::start(settings).await?;
    for atlas in left {
        atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &back.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_token_stops_the_scrap_until_it_is_changed() -> anyhow::Result<()> {
    let api = api(10, Faults::default()).await?;
    let mut said = String::new();
    for lang in LANGUAGES {
        let atlas = Atlas::on_sqlite()?;
        let arguments = ["client", "add", "2151", "--token", "-", "--base-url", &api.base_url()];
        atlas.run_with_input(&arguments, "trocado-9f3a").await?.expect(0)?;
        let run = atlas.run_pedido(CLIENT, &["--lang", lang]).await?.expect(4)?;
        assert_eq!(run.text("status")?, "token_recusado");
        let log = std::fs::read_to_string(atlas.log())?;
        assert!(!run.stderr.contains("9f3a") && !run.stdout.contains("9f3a") && !log.contains("9f3a"));
        said.push_str(&run.said(lang)?);

        atlas.run_with_input(&["client", "set", "2151", "--token", "-"], TOKEN).await?.expect(0)?;
        atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_token_refused_in_the_middle_leaves_what_was_read_in_the_table() -> anyhow::Result<()> {
    let faults = Faults { fail_page: Some(3), fail_with: FaultKind::Unauthorized, ..Faults::default() };
    let api = api(10, faults).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let run = atlas.run_pedido(CLIENT, &PAGES).await?.expect(4)?;
    assert_eq!((run.text("status")?.as_str(), run.number("inseridos")?), ("token_recusado", 20));
    let served = served().await?;
    atlas.database.expect_exactly(CLIENT, "pedido", &served[..20]).await?;
    api.set_faults(Faults::default())?;
    atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
    atlas.database.expect_exactly(CLIENT, "pedido", &served).await
}

#[tokio::test]
async fn answers_that_are_not_whole_json_are_tried_again_and_then_told() -> anyhow::Result<()> {
    let mut all = String::new();
    for fail_with in [FaultKind::Html, FaultKind::TruncatedJson, FaultKind::Truncated, FaultKind::Status500] {
        let faults = Faults { fail_page: Some(1), fail_with, ..Faults::default() };
        let (said, left) = run_against(&faults, &[], 5).await?;
        all.push_str(&format!("--- {fail_with:?}\n{said}"));
        for (atlas, run) in left {
            assert_eq!((run.text("status")?.as_str(), run.number("lidos")?), ("interrompido", 0));
            assert!(atlas.database.rows().await?.is_empty());
        }
    }
    assert_said!(all);
    Ok(())
}

#[tokio::test]
async fn a_broken_page_in_the_middle_costs_none_of_the_pages_around_it() -> anyhow::Result<()> {
    let served = served().await?;
    for fail_with in [FaultKind::Html, FaultKind::TruncatedJson] {
        let api = api(10, Faults { fail_page: Some(3), fail_with, ..Faults::default() }).await?;
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &PAGES).await?.expect(5)?;
        assert_eq!(run.text("status")?, "interrompido");
        assert!(run.number("inseridos")? >= 20);
        expect_only_good(&atlas, &run, &served).await?;
        api.set_faults(Faults::default())?;
        atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_source_is_done_with_nothing() -> anyhow::Result<()> {
    let (said, left) = run_against(&Faults { empty: true, ..Faults::default() }, &[], 0).await?;
    assert_said!(said);
    for (atlas, run) in left {
        assert_eq!((run.text("status")?.as_str(), run.number("lidos")?), ("concluido", 0));
        assert!(atlas.database.rows().await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_repeats_for_ever_ends_the_run_and_the_good_pages_are_kept() -> anyhow::Result<()> {
    let (said, left) = run_against(&Faults { repeat_from: Some(2), ..Faults::default() }, &PAGES, 5).await?;
    assert_said!(said);
    let served = served().await?;
    for (atlas, run) in left {
        assert_eq!(run.text("status")?, "falhou");
        atlas.database.expect_exactly(CLIENT, "pedido", &served[..20]).await?;
        expect_only_good(&atlas, &run, &served).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_source_that_ignores_the_page_number_is_done_with_a_reservation() -> anyhow::Result<()> {
    let (said, left) = run_against(&Faults { ignore_page: true, ..Faults::default() }, &PAGES, 6).await?;
    assert_said!(said);
    let served = served().await?;
    for (atlas, run) in left {
        assert_eq!(run.text("status")?, "concluido_com_ressalva");
        atlas.database.expect_exactly(CLIENT, "pedido", &served[..10]).await?;
        expect_only_good(&atlas, &run, &served).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_total_that_is_not_true_is_a_reservation_with_both_numbers() -> anyhow::Result<()> {
    let mut all = String::new();
    let served = served().await?;
    for lies in [7, -7] {
        let (said, left) = run_against(&Faults { total_lies: Some(lies), ..Faults::default() }, &PAGES, 6).await?;
        all.push_str(&said);
        for (atlas, run) in left {
            assert_eq!(run.number("total_declarado")?, 50 + lies);
            let reason = run.text("motivo")?;
            assert!(reason.contains("50") && reason.contains(&(50 + lies).to_string()), "{reason}");
            atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
        }
    }
    assert_said!(all);
    Ok(())
}

#[tokio::test]
async fn a_source_without_a_total_is_read_to_its_end() -> anyhow::Result<()> {
    let (_, left) = run_against(&Faults { no_total: true, ..Faults::default() }, &PAGES, 0).await?;
    for (atlas, run) in left {
        assert_eq!(run.text("status")?, "concluido");
        assert!(run.json()?["total_declarado"].is_null());
        atlas.database.expect_exactly(CLIENT, "pedido", &served().await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_refused_and_never_followed() -> anyhow::Result<()> {
    let other = api(10, Faults::default()).await?;
    let elsewhere = Redirect::Other(format!("{}/2151/pedido?page=1", other.base_url()));
    let (said, left) = run_against(&Faults { redirect: Some(elsewhere), ..Faults::default() }, &[], 5).await?;
    assert_said!(said);
    assert_eq!(other.served().requests, 0);
    for (atlas, _) in left {
        assert!(atlas.database.rows().await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn every_way_to_write_a_body_gives_the_same_records() -> anyhow::Result<()> {
    let served = served().await?;
    let ways = [
        Faults { redirect: Some(Redirect::SameOrigin), ..Faults::default() },
        Faults { charset: Some(Charset::Latin1), ..Faults::default() },
        Faults { encoding: Some(Encoding::Gzip), ..Faults::default() },
        Faults { encoding: Some(Encoding::Br), ..Faults::default() },
        Faults { encoding: Some(Encoding::Zstd), ..Faults::default() },
        Faults { encoding: Some(Encoding::Deflate), ..Faults::default() },
        Faults { encoding: Some(Encoding::Gzip), charset: Some(Charset::Latin1), ..Faults::default() },
    ];
    for faults in ways {
        let api = api(10, faults.clone()).await?;
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        atlas.run_pedido(CLIENT, &PAGES).await?.expect(0)?;
        let exactly = atlas.database.expect_exactly(CLIENT, "pedido", &served).await;
        exactly.map_err(|error| error.context(format!("{faults:?}")))?;
    }
    Ok(())
}
