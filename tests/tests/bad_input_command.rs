//! Commands that ask for what cannot be: each is refused before anything is fetched, with a message
//! that says what to do.

use atlas_tests::{Atlas, FROM, Faults, LANGUAGES, Rota, SampleApi, TO, TOKEN, api, assert_said};

const CLIENT: u32 = 2151;
const PEDIDO: [&str; 5] = ["run", "--client", "2151", "--route", "pedido"];

/// An installation that could run route `pedido`, if it were asked well.
async fn ready() -> anyhow::Result<(Atlas, SampleApi)> {
    let api = api(4, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    Ok((atlas, api))
}

/// Nothing that was refused may have left a scrap behind, or asked the source for anything.
async fn expect_nothing_begun(atlas: &Atlas, api: &SampleApi) -> anyhow::Result<()> {
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
    assert_eq!(api.served().requests, 0);
    Ok(())
}

#[tokio::test]
async fn a_date_that_is_none_is_refused() -> anyhow::Result<()> {
    let (atlas, api) = ready().await?;
    let mut said = String::new();
    for (from, to) in [("20/10/2025", TO), ("2025-13-01", TO), (FROM, "2025-02-30"), (FROM, "25-10-24"), ("", TO)] {
        let arguments = [&PEDIDO[..], &["--from", from, "--to", to]].concat();
        said.push_str(&atlas.run_in_both_languages(&arguments, 2).await?);
    }
    assert_said!(said);
    expect_nothing_begun(&atlas, &api).await
}

#[tokio::test]
async fn a_period_that_does_not_fit_the_route_is_refused() -> anyhow::Result<()> {
    let (atlas, api) = ready().await?;
    let mut said = String::new();
    for more in [vec!["--from", TO, "--to", FROM], vec!["--from", FROM], vec!["--to", TO], vec![]] {
        said.push_str(&atlas.run_in_both_languages(&[&PEDIDO[..], &more].concat(), 2).await?);
    }
    let cliente = ["run", "--client", "2151", "--route", "cliente", "--from", FROM, "--to", TO];
    said.push_str(&atlas.run_in_both_languages(&cliente, 2).await?);
    assert_said!(said);
    expect_nothing_begun(&atlas, &api).await
}

#[tokio::test]
async fn a_page_size_out_of_range_is_refused() -> anyhow::Result<()> {
    let (atlas, api) = ready().await?;
    let mut said = String::new();
    for size in ["0", "100001"] {
        let arguments = [&PEDIDO[..], &["--from", FROM, "--to", TO, "--page-size", size]].concat();
        said.push_str(&atlas.run_in_both_languages(&arguments, 2).await?);
    }
    assert_said!(said);
    expect_nothing_begun(&atlas, &api).await
}

#[tokio::test]
async fn an_unknown_client_is_told_in_the_words_of_the_documents() -> anyhow::Result<()> {
    let mut on_both = Vec::new();
    for atlas in Atlas::on_both().await? {
        atlas.run(&["db", "init"]).await?.expect(0)?;
        let arguments = [&PEDIDO[..], &["--from", FROM, "--to", TO]].concat();
        let said = atlas.run_in_both_languages(&arguments, 4).await?;
        let exactly = "⚠️ ERRO (executar_scrap): Token não encontrado para o cliente 2151";
        assert!(said.lines().any(|line| line == exactly), "{said}");
        on_both.push(said);
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
    }
    assert_eq!(on_both[0], on_both[1]);
    assert_said!(&on_both[0]);
    Ok(())
}

#[tokio::test]
async fn an_inactive_client_is_not_fetched_for_until_it_is_active_again() -> anyhow::Result<()> {
    let (atlas, api) = ready().await?;
    atlas.run(&["client", "set", "2151", "--inactive"]).await?.expect(0)?;
    let arguments = [&PEDIDO[..], &["--from", FROM, "--to", TO]].concat();
    assert_said!(atlas.run_in_both_languages(&arguments, 4).await?);
    expect_nothing_begun(&atlas, &api).await?;

    atlas.run(&["client", "set", "2151", "--active"]).await?.expect(0)?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await
}

#[tokio::test]
async fn a_client_of_an_adopted_database_has_no_base_url_until_it_is_given_one() -> anyhow::Result<()> {
    let mut on_both = Vec::new();
    let api = api(4, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.run(&["db", "init"]).await?.expect(0)?;
        // As users' own tables have them: `ativo` may be null, and means that it is.
        let insert = format!("INSERT INTO clientes_tokens (cliente_id, token, ativo) VALUES (2151, '{TOKEN}', NULL)");
        atlas.database.execute(&insert).await?;
        let arguments = [&PEDIDO[..], &["--from", FROM, "--to", TO]].concat();
        on_both.push(atlas.run_in_both_languages(&arguments, 3).await?);
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);

        atlas.run(&["client", "set", "2151", "--base-url", &api.base_url()]).await?.expect(0)?;
        atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    assert_eq!(on_both[0], on_both[1]);
    assert_said!(&on_both[0]);
    Ok(())
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_refused_and_not_shown() -> anyhow::Result<()> {
    let api = api(4, Faults::default()).await?;
    for inside in ["\n", " ", "\r\nX-Other: ", "\u{0}", "ç"] {
        let atlas = Atlas::on_sqlite()?;
        let token = format!("metade{inside}{TOKEN}");
        let arguments = ["client", "add", "2151", "--token", "-", "--base-url", &api.base_url()];
        let added = atlas.run_with_input(&arguments, &token).await?;
        if added.code == 0 {
            let run = [&PEDIDO[..], &["--from", FROM, "--to", TO]].concat();
            let said = atlas.run_in_both_languages(&run, 4).await?;
            assert!(!said.contains("metade"), "{said}");
        } else {
            let added = added.expect(2)?;
            assert!(!added.said("pt-BR")?.contains("metade"), "{}", added.stderr);
        }
    }
    assert_eq!(api.served().requests, 0);
    Ok(())
}

#[tokio::test]
async fn a_token_with_a_line_break_in_an_adopted_database_is_told_and_mended() -> anyhow::Result<()> {
    let api = api(4, Faults::default()).await?;
    let mut on_both = Vec::new();
    for atlas in Atlas::on_both().await? {
        atlas.run(&["db", "init"]).await?.expect(0)?;
        let insert = format!("INSERT INTO clientes_tokens (cliente_id, token) VALUES (2151, 'metade\n{TOKEN}')");
        atlas.database.execute(&insert).await?;
        atlas.run(&["client", "set", "2151", "--base-url", &api.base_url()]).await?.expect(0)?;
        let said = atlas.run_in_both_languages(&[&PEDIDO[..], &["--from", FROM, "--to", TO]].concat(), 4).await?;
        assert!(!said.contains("metade"), "{said}");
        on_both.push(said);

        atlas.run_with_input(&["client", "set", "2151", "--token", "-"], TOKEN).await?.expect(0)?;
        atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    }
    assert_eq!(on_both[0], on_both[1]);
    assert_said!(&on_both[0]);
    Ok(())
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_not_registered() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        for wrong in ["dois tokens", "linha\r\nX-Outro: 1", "fim\u{7f}", "maçã"] {
            for command in ["add", "set"] {
                let arguments = ["client", command, "2151", "--token", "-", "--base-url", "http://127.0.0.1:1"];
                let refused = atlas.run_with_input(&arguments, wrong).await?.expect(2)?;
                assert!(!refused.stderr.contains(wrong), "{}", refused.stderr);
            }
        }
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM clientes_tokens").await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_nobody_knows_is_not_proved_to_be_complete() -> anyhow::Result<()> {
    let (atlas, _api) = ready().await?;
    let said = atlas.run_in_both_languages(&["verify", "--client", "424242"], 4).await?;
    assert!(said.contains("Cliente 424242 não encontrado"), "{said}");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn what_may_hold_a_token_is_its_owners_alone_to_read() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let atlas = Atlas::on_sqlite()?;
    atlas.run(&["db", "init"]).await?.expect(0)?;
    atlas.run(&["scrap", "show", "1"]).await?.expect(2)?;
    for file in std::fs::read_dir(atlas.folder())? {
        let file = file?;
        let mode = file.metadata()?.permissions().mode();
        assert!(file.metadata()?.is_dir() || mode & 0o077 == 0, "{}: {mode:o}", file.path().display());
    }
    assert!(atlas.log().exists());
    Ok(())
}

#[tokio::test]
async fn an_api_that_a_client_does_not_have_is_not_removed() -> anyhow::Result<()> {
    let (atlas, _api) = ready().await?;
    assert_said!(atlas.run_in_both_languages(&["client", "remove", "2151", "--api", "bling"], 2).await?);
    Ok(())
}

#[tokio::test]
async fn a_command_that_is_not_understood_is_told_in_the_operators_language() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    assert_said!(atlas.run_in_both_languages(&["run", "--client", "2151"], 2).await?);
    Ok(())
}

#[tokio::test]
async fn line_breaks_around_a_token_are_no_part_of_it() -> anyhow::Result<()> {
    let api = api(4, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    let arguments = ["client", "add", "2151", "--token", "-", "--base-url", &api.base_url()];
    atlas.run_with_input(&arguments, &format!("{TOKEN}\r\n")).await?.expect(0)?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0).map(drop)
}

#[tokio::test]
async fn a_client_that_cannot_be_is_not_registered() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    atlas.run(&["db", "init"]).await?.expect(0)?;
    let mut said = String::new();
    for (client, token, url) in [
        ("0", TOKEN, "https://erp.example/api"),
        ("2151", " ", "https://erp.example/api"),
        ("2151", TOKEN, "erp.example/api"),
        ("2151", TOKEN, "ftp://erp.example/api"),
    ] {
        for lang in LANGUAGES {
            let arguments = ["client", "add", client, "--token", "-", "--base-url", url, "--lang", lang];
            let refused = atlas.run_with_input(&arguments, token).await?.expect(2)?;
            said.push_str(&refused.said(lang)?);
        }
    }
    assert_said!(said);
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM clientes_tokens").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_client_is_added_once_and_changed_only_where_something_changes() -> anyhow::Result<()> {
    let (atlas, api) = ready().await?;
    let mut said = String::new();
    for lang in LANGUAGES {
        let arguments =
            ["client", "add", "2151", "--token", "-", "--base-url", "https://outro.example", "--lang", lang];
        said.push_str(&atlas.run_with_input(&arguments, "outro").await?.expect(2)?.said(lang)?);
    }
    said.push_str(&atlas.run_in_both_languages(&["client", "set", "2151"], 2).await?);
    said.push_str(&atlas.run_in_both_languages(&["client", "set", "99", "--inactive"], 4).await?);
    said.push_str(&atlas.run_in_both_languages(&["client", "remove", "99"], 4).await?);
    said.push_str(&atlas.run_in_both_languages(&["client", "remove", "99", "--api", "bling"], 4).await?);
    assert_said!(said);
    // Neither token nor address have changed.
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    assert!(api.served().requests > 0);
    Ok(())
}

#[tokio::test]
async fn a_client_with_data_is_not_removed() -> anyhow::Result<()> {
    let mut on_both = Vec::new();
    let api = api(4, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
        on_both.push(atlas.run_in_both_languages(&["client", "remove", "2151"], 2).await?);
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    assert_eq!(on_both[0], on_both[1]);
    assert_said!(&on_both[0]);
    Ok(())
}

#[tokio::test]
async fn a_scrap_that_is_not_there_can_be_neither_shown_run_nor_cancelled() -> anyhow::Result<()> {
    let (atlas, _api) = ready().await?;
    let mut said = String::new();
    for command in ["show", "run", "resume", "cancel"] {
        said.push_str(&atlas.run_in_both_languages(&["scrap", command, "41"], 2).await?);
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_scrap_that_is_done_is_not_cancelled_and_not_fetched_again() -> anyhow::Result<()> {
    let (atlas, api) = ready().await?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    let said = atlas.run_in_both_languages(&["scrap", "cancel", "1"], 2).await?;
    assert!(said.contains("O scrap 1 já terminou") && said.contains("Scrap 1 has ended already"), "{said}");
    let asked = api.served().requests;
    let again = atlas.run(&["scrap", "run", "1", "--output", "json"]).await?.expect(0)?;
    assert_eq!((again.text("status")?.as_str(), again.number("lidos")?), ("concluido", 20));
    assert_eq!(api.served().requests, asked);
    Ok(())
}

#[tokio::test]
async fn a_password_or_token_inside_a_refused_base_url_is_not_shown() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    atlas.keep_log()?;
    for url in ["https://user:senha-da-api@erp.example/api", "https://erp.example/api?api_key=senha-da-api"] {
        let arguments = ["client", "add", "2151", "--token", "-", "--base-url", url];
        let refused = atlas.run_with_input(&arguments, TOKEN).await?.expect(2)?;
        let log = std::fs::read_to_string(atlas.log())?;
        assert!(!refused.stderr.contains("senha-da-api"), "{}", refused.stderr);
        assert!(!log.contains("senha-da-api"), "{log}");
    }
    Ok(())
}
