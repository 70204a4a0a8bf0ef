//! Settings that cannot be, and databases that are not there: exit code 3, before anything else is
//! looked at.

use atlas_tests::{Atlas, LANGUAGES, assert_said, closed_port};

/// What stands for a password, and must never be shown.
const PASSWORD: &str = "senha-do-banco";
const LIST: [&str; 2] = ["client", "list"];

/// What `client list` says in both languages, when it must fail with exit code 3.
async fn refused(atlas: &Atlas) -> anyhow::Result<String> {
    atlas.keep_log()?;
    let said = atlas.run_in_both_languages(&LIST, 3).await?;
    let log = std::fs::read_to_string(atlas.log())?;
    assert!(!said.contains(PASSWORD) && !log.contains(PASSWORD), "the password was shown:\n{said}\n{log}");
    Ok(said)
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_and_logged_with_its_causes() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    let url = format!("postgres://atlas:{PASSWORD}@127.0.0.1:{}/atlas", closed_port()?);
    atlas.set("DATABASE_URL", &url);
    let said = refused(&atlas).await?;
    assert!(said.contains("⚠️ ERRO (conectar): "), "{said}");
    assert_said!(said);

    let log = std::fs::read_to_string(atlas.log())?;
    let entries: Vec<&str> = log.lines().filter(|line| !line.starts_with("    ")).collect();
    assert_eq!(entries.len(), LANGUAGES.len());
    assert_said!(log);
    Ok(())
}

#[tokio::test]
async fn a_database_that_the_server_does_not_have_is_told() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_postgres().await?;
    let url = atlas.database.url().replace("/atlas_test_", "/nao_existe_");
    let url = match url.split_once("/nao_existe_") {
        Some((server, rest)) => {
            format!("{server}/nao_existe{}", rest.find('?').map_or("", |query| &rest[query..]))
        }
        None => anyhow::bail!("another URL than expected: {url}"),
    };
    atlas.set("DATABASE_URL", &url);
    let said = refused(&atlas).await?;
    assert!(said.contains("não há o banco nao_existe") && said.contains("there is no database nao_existe"), "{said}");
    assert!(!said.contains("at line"), "the server's own source is nobody's business: {said}");
    Ok(())
}

#[tokio::test]
async fn a_database_url_that_is_none_is_refused_without_showing_it() -> anyhow::Result<()> {
    let mut said = String::new();
    for url in [
        format!("mysql://atlas:{PASSWORD}@db.example/atlas"),
        format!("postgres://atlas:{PASSWORD}@db.example:porta/atlas"),
        format!("postgres//atlas:{PASSWORD}@db.example/atlas"),
        "sqlite:".to_owned(),
        "sqlite::memory:".to_owned(),
        "sqlite:atlas.db?mode=ro".to_owned(),
    ] {
        let mut atlas = Atlas::on_sqlite()?;
        atlas.set("DATABASE_URL", &url);
        said.push_str(&refused(&atlas).await?);
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn an_embedded_database_that_cannot_be_opened_is_told() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    atlas.set("DATABASE_URL", "sqlite:nenhuma/pasta/atlas.db");
    let said = atlas.run_in_both_languages(&["db", "init"], 3).await?;
    assert_eq!(said.matches("sqlite:nenhuma/pasta/atlas.db: o arquivo não pode ser aberto").count(), 1, "{said}");
    assert_eq!(said.matches("sqlite:nenhuma/pasta/atlas.db: the file cannot be opened").count(), 1, "{said}");
    assert!(!said.contains("servidor") && !said.contains("password"), "a file has neither: {said}");
    let text = "isto não é um banco de dados".repeat(100);
    std::fs::write(atlas.folder().join("texto.db"), &text)?;
    atlas.set("DATABASE_URL", "sqlite:texto.db");
    let said = refused(&atlas).await?;
    assert_eq!(said.matches("o arquivo não é um banco SQLite").count(), 1, "{said}");
    assert_eq!(said.matches("the file is not an SQLite database").count(), 1, "{said}");
    assert_eq!(std::fs::read_to_string(atlas.folder().join("texto.db"))?, text, "somebody's file was changed");
    Ok(())
}

#[tokio::test]
async fn half_of_the_database_settings_are_not_filled_up_with_guesses() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    atlas.unset("DATABASE_URL");
    let env = atlas.folder().join(".env");
    std::fs::write(&env, format!("DB_NAME=atlas\nDB_USER=atlas\nDB_PASSWORD={PASSWORD}\n"))?;
    let mut said = refused(&atlas).await?;
    std::fs::write(&env, "DB_PORT=5432\n")?;
    said.push_str(&refused(&atlas).await?);
    std::fs::write(&env, format!("DB_HOST=db.example\nDB_NAME=a\nDB_USER=a\nDB_PASSWORD={PASSWORD}\nDB_PORT=porta\n"))?;
    said.push_str(&refused(&atlas).await?);
    assert_said!(said);
    assert!(!atlas.folder().join("atlas.db").exists(), "no embedded database may be taken instead");

    std::fs::remove_file(env)?;
    atlas.run(&["db", "init"]).await?.expect(0)?;
    assert!(atlas.folder().join("atlas.db").exists(), "without any of them, the embedded one is meant");
    Ok(())
}

#[tokio::test]
async fn numbers_out_of_range_are_refused_and_named_as_they_were_given() -> anyhow::Result<()> {
    let mut said = String::new();
    for (name, value) in [
        ("BATCH_EXPORT", "0"),
        ("BATCH_EXPORT", "um"),
        ("BATCH_EXPORT", "10001"),
        ("RETRY_MAX", "0"),
        ("RETRY_MAX", "-1"),
        ("RETRY_MAX", "cinco"),
        ("ATLAS_CONCURRENCY", "65"),
        ("ATLAS_SWEEPS", "1.5"),
    ] {
        let mut atlas = Atlas::on_sqlite()?;
        atlas.set(name, value);
        said.push_str(&refused(&atlas).await?);
    }
    let atlas = Atlas::on_sqlite()?;
    said.push_str(&atlas.run_in_both_languages(&["client", "list", "--batch", "0", "--retries", "9"], 3).await?);
    std::fs::write(atlas.folder().join("atlas.toml"), "batch = 0\n")?;
    said.push_str(&refused(&atlas).await?);
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_variable_that_is_empty_does_not_hide_the_environment_file() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    std::fs::write(atlas.folder().join(".env"), "BATCH_EXPORT=zero\n")?;
    atlas.set("BATCH_EXPORT", "");
    let said = refused(&atlas).await?;
    assert!(said.contains("BATCH_EXPORT=zero"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_language_that_there_is_no_catalogue_for_is_refused() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    let by_flag = atlas.run(&["client", "list", "--lang", "de"]).await?.expect(3)?;
    atlas.set("ATLAS_LANG", "klingon");
    let by_variable = atlas.run(&LIST).await?.expect(3)?;
    let atlas = Atlas::on_sqlite()?;
    std::fs::write(atlas.folder().join("atlas.toml"), "lang = \"elvish\"\n")?;
    let by_file = atlas.run(&LIST).await?.expect(3)?;
    let said = [(by_flag, "--lang=de"), (by_variable, "ATLAS_LANG=klingon"), (by_file, "lang=elvish")];
    for (finished, named) in said {
        let said = finished.said(named)?;
        assert!(said.contains(&format!("{named} não é um valor aceito (esperado: pt-BR, en)")), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_settings_file_that_is_not_understood_is_not_passed_over() -> anyhow::Result<()> {
    let mut said = String::new();
    for text in [
        "bacth = 5\n",
        "batch = \"cinco\"\n",
        "batch = \n",
        "[limits]\nrecord_size = 1\n",
        "[limites]\nrecord_bytes = 1\n",
    ] {
        let atlas = Atlas::on_sqlite()?;
        std::fs::write(atlas.folder().join("atlas.toml"), text)?;
        said.push_str(text);
        said.push_str(&refused(&atlas).await?);
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_broken_line_of_the_environment_file_is_told_without_showing_it() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    std::fs::write(atlas.folder().join(".env"), format!("DB_NAME=atlas\nDB_PASSWORD: {PASSWORD}\n"))?;
    assert_said!(refused(&atlas).await?);
    Ok(())
}

/// The commands that only look, and those that need something to be there.
const LOOKING: [&[&str]; 9] = [
    &["client", "list"],
    &["client", "set", "2151", "--inactive"],
    &["scrap", "list"],
    &["verify", "--client", "2151"],
    &["rejects", "list"],
    &["schedule", "list"],
    &["access", "token", "add", "--name", "painel"],
    &["connector", "published"],
    &["db", "status"],
];

#[tokio::test]
async fn a_command_that_only_looks_creates_no_database_and_says_where_there_is_none() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    atlas.unset("DATABASE_URL");
    let file = atlas.folder().join("atlas.db");
    for command in LOOKING {
        for lang in LANGUAGES {
            let refused = atlas.run(&[command, &["--lang", lang]].concat()).await?.expect(3)?;
            let said = refused.said(lang)?;
            assert!(said.contains(&file.display().to_string()), "{command:?}: {said}");
            assert!(!file.exists(), "{command:?} created a database");
        }
    }
    let doctor = atlas.run(&["doctor", "--lang", "en"]).await?.expect(3)?;
    assert!(doctor.stdout.contains(&format!("❌ There is no database at {}", file.display())), "{}", doctor.stdout);
    atlas.run(&["scrap", "lits"]).await?.expect(2)?;
    let left: Vec<_> = std::fs::read_dir(atlas.folder())?.collect::<Result<_, _>>()?;
    assert!(left.is_empty(), "{left:?}");
    let nobody = atlas.run(&["run", "--client", "0", "--route", "pedido"]).await?.expect(2)?;
    assert!(nobody.stderr.contains("(0)") && !file.exists(), "{}", nobody.stderr);
    // An empty file is no database either.
    std::fs::write(&file, "")?;
    atlas.run(&LIST).await?.expect(3)?;
    assert_eq!(std::fs::metadata(&file)?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_command_that_creates_a_database_says_so_once_with_its_path() -> anyhow::Result<()> {
    let commands: [&[&str]; 4] = [
        &["db", "init"],
        &["client", "add", "2151", "--token", "-", "--base-url", "https://erp.example/api"],
        &["run", "--client", "2151", "--route", "pedido", "--from", "2025-10-20", "--to", "2025-10-20"],
        &["worker", "--until-empty"],
    ];
    for command in commands {
        let mut atlas = Atlas::on_sqlite()?;
        atlas.unset("DATABASE_URL");
        let path = atlas.folder().join("atlas.db");
        for (lang, times) in [("en", 1), ("pt-BR", 0)] {
            let finished = atlas.run_with_input(&[command, &["--lang", lang]].concat(), "token").await?;
            assert_eq!(finished.stderr.matches("🆕").count(), times, "{command:?}: {}", finished.stderr);
            assert!(times == 0 || finished.stderr.contains(&path.display().to_string()), "{}", finished.stderr);
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_settings_of_a_parent_folder_are_another_projects() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    atlas.unset("DATABASE_URL");
    let here = atlas.folder().join("projeto");
    std::fs::create_dir(&here)?;
    for mark in [".env", "atlas.db"] {
        let file = atlas.folder().join(mark);
        std::fs::write(&file, format!("DATABASE_URL=postgres://u:{PASSWORD}@127.0.0.1:1/outro\n"))?;
        for (command, more) in [("run", &["--client", "1", "--route", "pedido"][..]), ("serve", &[]), ("worker", &[])] {
            for lang in LANGUAGES {
                let mut started = atlas.command(&[&[command], more, &["--lang", lang]].concat())?;
                let output = started.current_dir(&here).output().await?;
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(3), "{command}: {said}");
                assert!(said.contains(&file.display().to_string()) && !said.contains(PASSWORD), "{command}: {said}");
                assert!(!here.join("atlas.db").exists(), "{command} created a database");
            }
        }
        // Who says which database is meant is in no doubt.
        let mut named = atlas.command(&["worker", "--until-empty", "--db", "sqlite:aqui.db"])?;
        let output = named.current_dir(&here).output().await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(here.join("aqui.db"))?;
        std::fs::remove_file(file)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_environment_file_that_cannot_be_read_is_not_taken_for_none() -> anyhow::Result<()> {
    let mut said = String::new();
    let wrong: [(&str, &[u8]); 4] = [
        ("latin1", b"DB_NAME=atlas\nDB_USER=jo\xe3o\n"),
        ("utf16", b"\xff\xfeD\0B\0"),
        ("no value", b"\xef\xbb\xbfDB_NAME=atlas\nDB_USER\n"),
        ("open quote", b"DB_NAME=atlas\n\nDB_PASSWORD='senha-do-banco\nDB_USER=u\n"),
    ];
    for (what, bytes) in wrong {
        let mut atlas = Atlas::on_sqlite()?;
        atlas.unset("DATABASE_URL");
        std::fs::write(atlas.folder().join(".env"), bytes)?;
        said.push_str(&format!("--- {what}\n{}", refused(&atlas).await?));
        assert!(!atlas.folder().join("atlas.db").exists());
    }
    for is_link in [false, true] {
        let mut atlas = Atlas::on_sqlite()?;
        atlas.unset("DATABASE_URL");
        let env = atlas.folder().join(".env");
        if is_link {
            std::os::unix::fs::symlink("nenhum", env)?
        } else {
            std::fs::create_dir(env)?
        }
        assert!(refused(&atlas).await?.contains("Não foi possível ler .env: "));
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_byte_order_mark_is_part_of_no_setting_and_of_no_secret() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    atlas.unset("DATABASE_URL");
    std::fs::write(atlas.folder().join(".env"), "\u{feff}DATABASE_URL=sqlite:marcado.db\r\n")?;
    std::fs::write(atlas.folder().join("atlas.toml"), "\u{feff}batch = 7\n")?;
    let add = ["client", "add", "2151", "--token", "-", "--base-url", "https://erp.example/api"];
    atlas.run_with_input(&add, "\u{feff}token-com-marca\r\n").await?.expect(0)?;
    assert!(atlas.folder().join("marcado.db").exists());
    let database = atlas_tests::Database::sqlite(&atlas.folder().join("marcado.db"));
    assert_eq!(database.text("SELECT token FROM clientes_tokens").await?, "token-com-marca");
    std::fs::write(atlas.folder().join("partes.txt"), "\u{feff}client_id=abc\nclient_secret=def\n")?;
    let set = ["client", "credential", "set", "2151", "--api", "bling", "--base-url", "https://bling.example/api"];
    let set = atlas.run(&[&set[..], &["--parts", "partes.txt", "--lang", "en"]].concat()).await?.expect(0)?;
    assert!(set.stderr.contains("client_id, client_secret"), "{}", set.stderr);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_file_of_parts_is_told_with_the_file_and_the_line() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    atlas.run(&["db", "init"]).await?.expect(0)?;
    let mut said = String::new();
    let wrong: [(&str, &[u8]); 4] = [
        ("linha.txt", b"\n\nclient_id=abc\nsem-valor\n"),
        ("latin1.txt", b"client_id=abc\nclient_secret=\xe3\n"),
        ("objeto.json", b"{\n \"client_id\": 7\n}"),
        ("nome.txt", b"Client Id=abc\n"),
    ];
    for (file, bytes) in wrong {
        std::fs::write(atlas.folder().join(file), bytes)?;
        let set = ["client", "credential", "set", "2151", "--api", "bling", "--parts", file];
        said.push_str(&atlas.run_in_both_languages(&set, 2).await?);
    }
    let set = ["client", "credential", "set", "2151", "--api", "bling", "--parts", "nenhum.txt"];
    said.push_str(&atlas.run_in_both_languages(&set, 2).await?);
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_filter_of_the_log_that_is_none_is_refused_with_the_variable_and_the_part_that_is_wrong() -> anyhow::Result<()>
{
    for (name, value, wrong) in [
        ("ATLAS_LOG", "atlas_http=debug,atlas=alto", "atlas=alto"),
        ("RUST_LOG", "=debug", "=debug"),
        ("ATLAS_LOG", "[scrap{", "[scrap{"),
    ] {
        let mut atlas = Atlas::on_sqlite()?;
        atlas.set(name, value);
        let said = refused(&atlas).await?;
        assert_eq!(said.matches(&format!("{name}={wrong} ")).count(), LANGUAGES.len(), "{said}");
    }
    Ok(())
}
