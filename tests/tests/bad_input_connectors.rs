//! Files in the connectors' folder that are no connectors: each is refused by its name and for its
//! reason, and hinders none of the others.

use std::path::{Path, PathBuf};

use atlas_tests::{Atlas, FROM, Faults, Rota, SampleApi, TO, api, assert_said};

const CLIENT: u32 = 2151;
const PEDIDO: [&str; 9] = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];

/// It wants something that this version of the contract does not have.
const UNKNOWN_INTERFACE: &str =
    r#"(component (import "atlas:connector/shell@0.1.0" (instance (export "run" (func)))))"#;

/// Files that are no connectors, as name and content.
fn bad_files(good: &Path) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let whole = std::fs::read(good)?;
    let imports = |name: &str| wat::parse_str(format!("(component (import \"{name}\" (instance)))"));
    Ok(vec![
        ("text", b"isto n\xc3\xa3o \xc3\xa9 um componente\n".to_vec()),
        ("nothing", Vec::new()),
        ("module", b"\0asm\x01\0\0\0".to_vec()),
        ("half", whole[..whole.len() / 2].to_vec()),
        ("empty-component", wat::parse_str("(component)")?),
        ("other-version", imports("atlas:connector/http@9.0.0")?),
        ("file-system", imports("wasi:filesystem/types@0.2.0")?),
        ("sockets", imports("wasi:sockets/tcp@0.2.0")?),
        ("unknown-interface", wat::parse_str(UNKNOWN_INTERFACE)?),
    ])
}

/// An installation with a client, and a folder of connectors that may be tampered with.
async fn ready(api: &SampleApi) -> anyhow::Result<(Atlas, PathBuf)> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    atlas.register(CLIENT, api).await?;
    Ok((atlas, folder))
}

/// The other routes go on as if nothing were wrong.
async fn expect_the_others_work(atlas: &Atlas, api: &SampleApi) -> anyhow::Result<()> {
    atlas.run(&["run", "--client", "2151", "--route", "cliente"]).await?.expect(0)?;
    atlas.database.expect_exactly(CLIENT, "cliente", &api.records(CLIENT, Rota::Cliente, FROM, TO)?).await
}

#[tokio::test]
async fn a_file_that_is_no_connector_is_refused_by_its_name_and_for_its_reason() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, folder) = ready(&api).await?;
    let file = folder.join("pedido.wasm");
    let mut said = String::new();
    for (what, content) in bad_files(&file)? {
        std::fs::write(&file, content)?;
        let told = atlas.run_in_both_languages(&PEDIDO, 7).await?;
        assert_eq!(told.matches("pedido.wasm").count(), 2, "{told}");
        said.push_str(&format!("--- {what}\n{told}"));
    }
    assert_said!(said);
    assert_eq!(api.served().requests, 0);
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
    expect_the_others_work(&atlas, &api).await
}

#[tokio::test]
async fn files_that_are_no_connectors_hinder_none_of_the_others_and_are_all_listed() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, folder) = ready(&api).await?;
    let bad = bad_files(&folder.join("pedido.wasm"))?;
    for (what, content) in &bad {
        std::fs::write(folder.join(format!("{what}.wasm")), content)?;
    }
    std::fs::create_dir(folder.join("folder.wasm"))?;
    std::fs::write(folder.join("LEIAME.txt"), "não é um conector")?;

    expect_the_others_work(&atlas, &api).await?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    let listed = atlas.run(&["connector", "list", "--output", "json", "--lang", "en"]).await?.expect(0)?;
    let rows: Vec<serde_json::Value> = listed.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(rows.iter().filter(|row| row["rota"].is_string()).count(), Rota::ALL.len());
    let errors: Vec<&str> = rows.iter().filter_map(|row| row["erro"].as_str()).collect();
    assert_eq!(errors.len(), bad.len() + 1);
    assert_said!(errors.join("\n"));

    let doctor = atlas.run(&["doctor"]).await?.expect(3)?;
    for (what, _) in &bad {
        assert!(doctor.stdout.contains(&format!("❌ {what}.wasm")), "{}", doctor.stdout);
    }
    Ok(())
}

#[tokio::test]
async fn a_file_is_inspected_wherever_it_is_and_said_to_be_none() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    std::fs::write(folder.join("modulo.wasm"), b"\0asm\x01\0\0\0")?;
    let mut said = atlas.run_in_both_languages(&["connector", "inspect", "connectors/modulo.wasm"], 7).await?;
    said.push_str(&atlas.run_in_both_languages(&["connector", "inspect", "connectors/falta.wasm"], 7).await?);
    said.push_str(&atlas.run_in_both_languages(&["connector", "inspect", "connectors"], 7).await?);
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_file_larger_than_the_limit_is_not_even_read() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, folder) = ready(&api).await?;
    let limit = std::fs::metadata(folder.join("cliente.wasm"))?.len().max(400_000);
    std::fs::write(atlas.folder().join("atlas.toml"), format!("[limits]\ncomponent_bytes = {limit}\n"))?;
    std::fs::write(folder.join("pedido.wasm"), vec![0; usize::try_from(limit)? + 1])?;
    assert_said!(atlas.run_in_both_languages(&PEDIDO, 7).await?);
    expect_the_others_work(&atlas, &api).await
}

#[tokio::test]
async fn two_files_that_claim_one_route_are_both_refused() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, folder) = ready(&api).await?;
    std::fs::copy(folder.join("pedido.wasm"), folder.join("outro.wasm"))?;
    assert_said!(atlas.run_in_both_languages(&PEDIDO, 7).await?);
    expect_the_others_work(&atlas, &api).await?;
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM dados_raw WHERE origem = 'pedido'").await?, 0);

    std::fs::remove_file(folder.join("outro.wasm"))?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0).map(drop)
}

#[tokio::test]
async fn a_route_that_no_connector_serves_is_told_with_those_that_are() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, _) = ready(&api).await?;
    let mut said = String::new();
    for route in ["estoque", "Pedido", "../pedido", ""] {
        let arguments = ["run", "--client", "2151", "--route", route];
        said.push_str(&atlas.run_in_both_languages(&arguments, 7).await?);
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_folder_of_connectors_that_is_not_there_or_empty_is_told() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, _) = ready(&api).await?;
    std::fs::create_dir(atlas.folder().join("vazia"))?;
    let empty = atlas.run_in_both_languages(&[&PEDIDO[..], &["--connectors", "vazia"]].concat(), 7).await?;
    assert!(empty.contains("Nenhum conector em vazia"), "{empty}");
    assert_said!(atlas.run_in_both_languages(&[&PEDIDO[..], &["--connectors", "nenhuma"]].concat(), 7).await?);
    Ok(())
}

#[tokio::test]
async fn a_scrap_whose_connector_broke_in_the_meantime_goes_on_with_the_version_that_served() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, folder) = ready(&api).await?;
    let file = folder.join("pedido.wasm");
    atlas.run(&[&["scrap", "create"], &PEDIDO[1..]].concat()).await?.expect(0)?;
    std::fs::write(&file, "x")?;
    let run = atlas.run(&["scrap", "run", "1"]).await?.expect(0)?;
    assert!(run.stderr.contains("pedido.wasm não é um componente WebAssembly"), "{}", run.stderr);
    assert!(run.stderr.contains("A rota pedido continua com a versão"), "{}", run.stderr);
    atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await
}

#[tokio::test]
async fn what_cannot_be_made_a_component_is_told_and_leaves_no_file() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    atlas.own_connectors()?;
    std::fs::write(atlas.folder().join("texto.wasm"), "isto não é um módulo")?;
    std::fs::write(atlas.folder().join("vazio.wasm"), b"\0asm\x01\0\0\0")?;
    let componentize = |module, to| ["connector", "componentize", module, to];
    let mut said = String::new();
    for (module, code) in [("connectors/pedido.wasm", 7), ("texto.wasm", 7), ("falta.wasm", 7)] {
        said.push_str(&atlas.run_in_both_languages(&componentize(module, "novo.wasm"), code).await?);
    }
    said.push_str(&atlas.run_in_both_languages(&componentize("vazio.wasm", "falta/novo.wasm"), 3).await?);
    assert_said!(said);
    assert!(!atlas.folder().join("novo.wasm").exists());
    Ok(())
}
