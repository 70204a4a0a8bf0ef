//! What may be loaded: the closed world of imports, pins and signatures, and files that are not
//! what their names say. Whatever is refused is refused by its name and for its reason, in both
//! languages, and the other connectors go on.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use atlas_tests::versions::version;
use atlas_tests::{Atlas, FROM, Faults, SampleApi, TO, api, assert_said};
use tokio::process::Command;

const CLIENT: u32 = 2151;
const PEDIDO: [&str; 9] = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];
const PASSWORD: &str = "senha da chave";
/// An empty custom section: the same component to the engine, and another file.
const CUSTOM_SECTION: [u8; 4] = [0, 2, 1, b'x'];

/// An installation with a client, and a folder of connectors that may be tampered with.
async fn ready(api: &SampleApi) -> anyhow::Result<(Atlas, PathBuf)> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    atlas.register(CLIENT, api).await?;
    Ok((atlas, folder))
}

fn write_settings(atlas: &Atlas, settings: &str) -> anyhow::Result<()> {
    std::fs::write(atlas.folder().join("atlas.toml"), settings).context("atlas.toml")
}

/// Changes a file without changing what it does.
fn alter(file: &Path) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    bytes.extend(CUSTOM_SECTION);
    std::fs::write(file, bytes).context("alter")
}

async fn sha256(atlas: &Atlas, file: &str) -> anyhow::Result<String> {
    atlas.run(&["connector", "inspect", file, "--output", "json"]).await?.expect(0)?.text("sha256")
}

/// A component of these imports.
fn importing(names: &[&str]) -> anyhow::Result<Vec<u8>> {
    let imports: String = names.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
    Ok(wat::parse_str(format!("(component {imports})"))?)
}

/// What was said, without the lines of the program's log: they name folders and digests of this
/// run.
fn without_log(said: &str) -> String {
    said.lines().filter(|line| !line.starts_with(" WARN ")).map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn every_refused_import_is_named_with_what_removes_it() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    let mut said = String::new();
    for (file, imports) in [
        (
            "javascript",
            vec!["wasi:http/types@0.2.10", "wasi:http/outgoing-handler@0.2.10", "wasi:clocks/wall-clock@0.2.10"],
        ),
        ("earlier", vec!["wasi:sockets/tcp@0.1.0", "wasi:filesystem/types@0.1.0", "atlas:connector/log@9.0.0"]),
        ("others", vec!["wasi:cli/stdout@0.3.0", "wasi:keyvalue/store@0.2.0-draft", "vendor:database/query@1.0.0"]),
    ] {
        std::fs::write(folder.join(format!("{file}.wasm")), importing(&imports)?)?;
        let path = format!("connectors/{file}.wasm");
        said.push_str(&atlas.run_in_both_languages(&["connector", "inspect", &path], 7).await?);
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_component_of_more_parts_than_any_connector_needs_is_refused() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    // Each holds two of the one before: 2^29 instances, in a few kilobytes.
    let doubled: String = (1..30)
        .map(|i| {
            let two = "(instance (instantiate $x))".repeat(2);
            format!("(component $c{i} (alias outer 1 $c{} (component $x)) {two})", i - 1)
        })
        .collect();
    let bomb = wat::parse_str(format!("(component (component $c0) {doubled} (instance (instantiate $c29)))"))?;
    ensure!(bomb.len() < 4096);
    std::fs::write(folder.join("bomba.wasm"), bomb)?;
    let modules = wat::parse_str(format!("(component {})", "(core module)".repeat(1000)))?;
    std::fs::write(folder.join("modulos.wasm"), modules)?;
    let mut said = atlas.run_in_both_languages(&["connector", "inspect", "connectors/bomba.wasm"], 7).await?;
    said.push_str(&atlas.run_in_both_languages(&["connector", "inspect", "connectors/modulos.wasm"], 7).await?);
    assert_said!(said);
    Ok(())
}

/// Whether a terminal would act on any of it.
fn acts_on_a_terminal(said: &str) -> bool {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    said.chars().any(|c| c.is_control() && c != '\n' || turns(c))
}

#[tokio::test]
async fn nothing_that_a_stranger_wrote_acts_on_the_terminal() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, folder) = ready(&api).await?;
    let mut said = String::new();
    let mut run = async |arguments: &[&str], code: i32| {
        for output in ["text", "json"] {
            let ran = atlas.run(&[arguments, &["--output", output, "--lang", "en"]].concat()).await?.expect(code)?;
            ensure!(!acts_on_a_terminal(&ran.stdout) && !acts_on_a_terminal(&ran.stderr), "{ran:?}");
            said.push_str(&ran.stdout);
            said.push_str(&ran.stderr);
        }
        anyhow::Ok(())
    };
    // What a connector says of itself.
    let file = folder.join("dito.wasm");
    for acting in
        ["version=1\u{202e}", "version=1\u{1b}[2J", "version=1 unhashed=/a\u{9b}2J", "version=1 unhashed=/\u{2066}a"]
    {
        std::fs::write(&file, version(acting)?)?;
        run(&["connector", "inspect", "connectors/dito.wasm"], 7).await?;
    }
    std::fs::remove_file(&file)?;
    // The names of files: of one that is a connector, and of one that is none.
    std::fs::rename(folder.join("venda.wasm"), folder.join("a\u{1b}[2J\u{202e}b\nc.wasm"))?;
    std::fs::write(folder.join("z\u{1b}[2J\u{202e}\n.wasm"), "x")?;
    run(&["connector", "list"], 0).await?;
    // What an earlier Atlas, which let it pass, wrote down.
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    let stored = "UPDATE scraps SET conector_versao = '1' || char(27) || '[2J' || char(8238)";
    atlas.database.execute(stored).await?;
    run(&["scrap", "show", "1"], 0).await?;
    for shown in [r"\u{202e}", r"\u{1b}[2J", r"\u202e", r"\u001b[2J"] {
        ensure!(said.contains(shown), "{shown} was not shown: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_becomes_thousands_of_times_as_much_code_is_refused_and_not_kept() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    let cache = atlas.folder().join("cache");
    atlas.set("ATLAS_CACHE", &cache.display().to_string());
    // What lies between two bytes is taken along up to a mebibyte, for each of any number of
    // memories.
    let memory = |n: usize| {
        format!("(memory 16) (data (memory {n}) (i32.const 0) \"x\") (data (memory {n}) (i32.const 1048574) \"x\")")
    };
    let module = format!("(core module {})", (0..10).map(memory).collect::<String>());
    let component = wat::parse_str(format!("(component {})", module.repeat(30)))?;
    ensure!(component.len() < 64 * 1024);
    std::fs::write(folder.join("bomba.wasm"), component)?;
    let listed = atlas.run(&["connector", "list", "--output", "json", "--lang", "en"]).await?.expect(0)?;
    // Without several memories in a module, a mebibyte for each of its 64 modules is all that there
    // is.
    ensure!(listed.stdout.contains("no connector may use: multi-memory"), "{}", listed.stdout);
    let module = memory(0);
    let component = wat::parse_str(format!("(component {})", format!("(core module {module})").repeat(64)))?;
    std::fs::write(folder.join("bomba.wasm"), component)?;
    let listed = atlas.run(&["connector", "list", "--output", "json", "--lang", "en"]).await?.expect(0)?;
    ensure!(listed.stdout.contains("bomba.wasm does not follow the connectors' contract"), "{}", listed.stdout);
    for entry in std::fs::read_dir(cache)? {
        ensure!(entry?.metadata()?.len() < 80 << 20);
    }
    Ok(())
}

#[tokio::test]
async fn a_pinned_route_runs_from_the_pinned_file_and_from_no_other() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, folder) = ready(&api).await?;
    let digest = sha256(&atlas, "connectors/pedido.wasm").await?;
    write_settings(&atlas, &format!("[connector.pedido]\nsha256 = \"{}\"\n", digest.to_uppercase()))?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;

    let file = folder.join("pedido.wasm");
    alter(&file)?;
    let inspect = ["connector", "inspect", "connectors/pedido.wasm"];
    let altered = atlas.run_in_both_languages(&inspect, 7).await?;
    // The version that served goes on: it is the one that was pinned.
    assert_eq!(atlas.run_pedido(CLIENT, &[]).await?.expect(0)?.json()?["conector"]["sha256"], digest.as_str());
    // Refused before anything of it is looked at: what is no component at all is told the same.
    std::fs::write(&file, "nem WebAssembly é")?;
    let no_component = atlas.run_in_both_languages(&inspect, 7).await?;
    // A pin that neither the file nor the version that served satisfies: nothing serves.
    write_settings(&atlas, &format!("[connector.pedido]\nsha256 = \"{}\"\n", "0".repeat(64)))?;
    let nothing = atlas.run_in_both_languages(&PEDIDO, 7).await?;
    // And no other name gets round the pin.
    std::fs::remove_file(&file)?;
    std::fs::copy(folder.join("venda.wasm"), folder.join("outro.wasm"))?;
    write_settings(&atlas, &format!("[connector.venda]\nsha256 = \"{digest}\"\n"))?;
    let another_name = atlas.run_in_both_languages(&["connector", "inspect", "connectors/outro.wasm"], 7).await?;
    let said = [altered, no_component, nothing, another_name].join("");
    let digits = |c: char| c.is_ascii_hexdigit();
    let without_digests: Vec<_> = said
        .split_inclusive(|c: char| !digits(c))
        .map(|word| {
            if word.trim_end_matches(|c| !digits(c)).len() == 64 {
                format!("SHA256{}", &word[64..])
            } else {
                word.to_owned()
            }
        })
        .collect();
    assert_said!(without_log(&without_digests.concat()));
    Ok(())
}

#[tokio::test]
async fn a_route_whose_signers_are_listed_runs_only_what_one_of_them_signed() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (mut atlas, folder) = ready(&api).await?;
    atlas.set("ATLAS_SIGNING_PASSWORD", PASSWORD);
    let key = make_key(&atlas, "equipe.key").await?;
    let other = make_key(&atlas, "outra.key").await?;
    let keys = |keys: &str| format!("[connector.pedido]\nkeys = [{keys}]\n");
    // It serves before the settings demand a signature; from then on its kept copy serves no more
    // than the file.
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    write_settings(&atlas, &keys(&format!("\"{other}\", \"{key}\"")))?;
    let mut said = atlas.run_in_both_languages(&PEDIDO, 7).await?;

    atlas.run(&["connector", "sign", "connectors/pedido.wasm", "--key", "equipe.key"]).await?.expect(0)?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    atlas.run(&["connector", "verify", "connectors/pedido.wasm"]).await?.expect(0)?;

    // Signed with a key that is not listed: neither the file nor the version that served may go on.
    write_settings(&atlas, &keys(&format!("\"{other}\"")))?;
    said.push_str(&atlas.run_in_both_languages(&PEDIDO, 7).await?);
    // Altered after it was signed. The version that served goes on, by the signature that was kept
    // with it.
    write_settings(&atlas, &keys(&format!("\"{key}\"")))?;
    let digest = sha256(&atlas, "connectors/pedido.wasm").await?;
    alter(&folder.join("pedido.wasm"))?;
    said.push_str(&atlas.run_in_both_languages(&["connector", "inspect", "connectors/pedido.wasm"], 7).await?);
    said.push_str(&atlas.run_in_both_languages(&["connector", "verify", "connectors/pedido.wasm"], 7).await?);
    assert_eq!(atlas.run_pedido(CLIENT, &[]).await?.expect(0)?.json()?["conector"]["sha256"], digest.as_str());
    // A signature that is a pipe: the host does not wait for it.
    let signature = folder.join("pedido.wasm.minisig");
    std::fs::remove_file(&signature)?;
    ensure!(Command::new("mkfifo").arg(&signature).status().await?.success());
    said.push_str(&atlas.run_in_both_languages(&["connector", "inspect", "connectors/pedido.wasm"], 7).await?);
    assert_said!(without_log(&said));
    Ok(())
}

/// Makes a key pair with the environment's password, and gives the public key.
async fn make_key(atlas: &Atlas, file: &str) -> anyhow::Result<String> {
    let made = atlas.run(&["connector", "keygen", "--key", file]).await?.expect(0)?;
    Ok(made.stdout.trim().to_owned())
}

#[tokio::test]
async fn signing_says_what_it_lacks() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    std::fs::write(folder.join("texto.wasm"), "não é um componente")?;
    let sign = ["connector", "sign", "connectors/pedido.wasm", "--key", "equipe.key"];
    let mut said = atlas.run_in_both_languages(&sign, 2).await?;
    atlas.set("ATLAS_SIGNING_PASSWORD", PASSWORD);
    said.push_str(&atlas.run_in_both_languages(&sign, 3).await?);
    make_key(&atlas, "equipe.key").await?;
    said.push_str(&atlas.run_in_both_languages(&["connector", "keygen", "--key", "equipe.key"], 3).await?);
    said.push_str(&atlas.run_in_both_languages(&["connector", "verify", "connectors/pedido.wasm"], 3).await?);
    let verify = ["connector", "verify", "connectors/pedido.wasm", "--key", "equipe.key.pub"];
    said.push_str(&atlas.run_in_both_languages(&verify, 7).await?);
    let text = ["connector", "sign", "connectors/texto.wasm", "--key", "equipe.key"];
    said.push_str(&atlas.run_in_both_languages(&text, 7).await?);
    atlas.set("ATLAS_SIGNING_PASSWORD", "outra");
    said.push_str(&atlas.run_in_both_languages(&sign, 3).await?);
    write_settings(&atlas, "[connector.pedido]\nkeys = []\n")?;
    said.push_str(&atlas.run_in_both_languages(&["connector", "list"], 3).await?);
    write_settings(&atlas, "[connector.pedido]\nsha256 = \"abc\"\n")?;
    said.push_str(&atlas.run_in_both_languages(&["connector", "list"], 3).await?);
    assert_said!(said);
    assert!(!folder.join("texto.wasm.minisig").exists());

    // A password comes from standard input as well, and no other user may read the secret key.
    atlas.unset("ATLAS_SIGNING_PASSWORD");
    write_settings(&atlas, "")?;
    atlas.run_with_input(&sign, &format!("{PASSWORD}\n")).await?.expect(0)?;
    atlas.run(&verify).await?.expect(0)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(atlas.folder().join("equipe.key"))?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    Ok(())
}

#[tokio::test]
async fn minisign_itself_verifies_what_atlas_signed_and_atlas_what_minisign_signed() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    atlas.own_connectors()?;
    let (file, signature) = ("connectors/pedido.wasm", atlas.folder().join("connectors/pedido.wasm.minisig"));
    atlas.set("ATLAS_SIGNING_PASSWORD", PASSWORD);
    let key = make_key(&atlas, "atlas.key").await?;

    // Ours, by our key, and our key in its hands.
    atlas.run(&["connector", "sign", file, "--key", "atlas.key"]).await?.expect(0)?;
    minisign(&atlas, &["-V", "-m", file, "-P", &key], "").await?;
    minisign(&atlas, &["-V", "-m", file, "-p", "atlas.key.pub"], "").await?;
    std::fs::remove_file(&signature)?;
    minisign(&atlas, &["-S", "-m", file, "-s", "atlas.key"], PASSWORD).await?;
    atlas.run(&["connector", "verify", file, "--key", &key]).await?.expect(0)?;

    // Its own, without a password and over the file itself rather than its hash; and its key in our
    // hands.
    minisign(&atlas, &["-G", "-W", "-p", "mini.pub", "-s", "mini.key"], "").await?;
    for more in [&["-S", "-m", file, "-s", "mini.key"][..], &["-S", "-l", "-m", file, "-s", "mini.key"]] {
        std::fs::remove_file(&signature)?;
        minisign(&atlas, more, "").await?;
        atlas.run(&["connector", "verify", file, "--key", "mini.pub"]).await?.expect(0)?;
        atlas.run(&["connector", "verify", file, "--key", &key]).await?.expect(7)?;
    }
    std::fs::remove_file(&signature)?;
    atlas.run(&["connector", "sign", file, "--key", "mini.key", "--no-password"]).await?.expect(0)?;
    minisign(&atlas, &["-V", "-m", file, "-p", "mini.pub"], "").await
}

/// Runs the real tool.
async fn minisign(atlas: &Atlas, arguments: &[&str], password: &str) -> anyhow::Result<()> {
    use tokio::io::AsyncWriteExt;

    let mut command = Command::new("minisign");
    command
        .args(arguments)
        .current_dir(atlas.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = command.spawn();
    let mut child = started.context("this test needs minisign itself (Debian: apt-get install minisign)")?;
    let mut stdin = child.stdin.take().context("standard input")?;
    // Where it asks for no password, it may be gone before it could be told one.
    let _ = stdin.write_all(format!("{password}\n").as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "minisign {arguments:?}: {output:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_and_nobody_waits_for_it() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let (atlas, folder) = ready(&api).await?;
    std::fs::create_dir(folder.join("pasta.wasm"))?;
    ensure!(Command::new("mkfifo").arg(folder.join("pipe.wasm")).status().await?.success());
    // Half a gigabyte that takes no room on the disk.
    std::fs::File::create(folder.join("enorme.wasm"))?.set_len(500 << 20)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        std::fs::copy(folder.join("cliente.wasm"), atlas.folder().join("fora.wasm"))?;
        symlink("../fora.wasm", folder.join("link-para-fora.wasm"))?;
        symlink("nada.wasm", folder.join("link-para-nada.wasm"))?;
        symlink("/dev/zero", folder.join("zero.wasm"))?;
        // As a folder that is mounted into a container has them.
        std::fs::create_dir(folder.join("..data"))?;
        std::fs::rename(folder.join("pedido.wasm"), folder.join("..data/pedido.wasm"))?;
        symlink("..data/pedido.wasm", folder.join("pedido.wasm"))?;
    }
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    let mut said = String::new();
    for lang in ["pt-BR", "en"] {
        let listed = atlas.run(&["connector", "list", "--output", "json", "--lang", lang]).await?.expect(0)?;
        for line in listed.stdout.lines() {
            let row: serde_json::Value = serde_json::from_str(line)?;
            said.extend(row["erro"].as_str().map(|error| format!("{error}\n")));
        }
    }
    assert_said!(said);
    Ok(())
}
