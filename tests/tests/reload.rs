//! Connectors that change while scraps run: the next page is fetched by the new version, or,
//! whatever is wrong with it, by the present one; and nothing is lost or doubled in either case.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use atlas_tests::versions::{another, rename_over, slow_to_compile, version};
use atlas_tests::{Atlas, FROM, Faults, Finished, Rota, Running, SampleApi, TO, api};

const CLIENT: u32 = 2151;
/// A source so slow that a run of 50 pages, two at a time, takes ten seconds: something can happen
/// in the middle of it, on a machine that is busy too. [`Ground::hurry`] ends the wait.
const LATENCY_MS: u64 = 400;

/// An installation whose one connector is this, and a source of 50 pages of ten orders for it.
struct Ground {
    atlas: Atlas,
    api: SampleApi,
    file: PathBuf,
    served: Vec<String>,
}

impl Ground {
    async fn with(connector: &[u8]) -> anyhow::Result<Self> {
        let mut atlas = Atlas::on_sqlite()?;
        let folder = atlas.folder().join("connectors");
        std::fs::create_dir(&folder)?;
        atlas.set("ATLAS_CONNECTORS", &folder.display().to_string());
        let file = folder.join("pedido.wasm");
        std::fs::write(&file, connector)?;
        let api = api(100, Faults { latency_ms: LATENCY_MS, ..Faults::default() }).await?;
        atlas.register(CLIENT, &api).await?;
        let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
        Ok(Self { atlas, api, file, served })
    }

    /// Starts a run, and waits until it is in the middle of it.
    async fn start(&self) -> anyhow::Result<Running> {
        let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "--page-size", "10"];
        let more = ["--batch", "100", "--concurrency", "2", "--output", "json", "--lang", "en"];
        let mut running = self.atlas.start(&[&run[..], &more[..]].concat())?;
        running.until_it_says("📄").await?;
        Ok(running)
    }

    /// Nothing more has to happen in the middle of a run: the source is as fast as it can be.
    fn hurry(&self) -> anyhow::Result<()> {
        self.api.set_faults(Faults::default())
    }

    /// The run is done, and the table holds what was served.
    async fn finish(&self, running: Running) -> anyhow::Result<Finished> {
        self.hurry()?;
        let finished = running.finish().await?.expect(0)?;
        anyhow::ensure!(!finished.stderr.contains("Attempt"), "a page failed:\n{}", finished.stderr);
        anyhow::ensure!(finished.number("lidos")? == finished.number("inseridos")?, "{}", finished.stdout);
        self.atlas.database.expect_exactly(CLIENT, "pedido", &self.served).await?;
        Ok(finished)
    }

    /// How many versions fetched the pages of all scraps.
    async fn versions(&self) -> anyhow::Result<i64> {
        self.atlas.database.number("SELECT COUNT(DISTINCT conector_sha256) FROM scrap_cursores").await
    }

    async fn connector(&self, arguments: &[&str]) -> anyhow::Result<Finished> {
        self.atlas.run(&[&["connector"], arguments, &["--lang", "en"]].concat()).await
    }

    /// The one row of `connector list`.
    async fn listed(&self) -> anyhow::Result<serde_json::Value> {
        self.connector(&["list", "--output", "json"]).await?.expect(0)?.json()
    }
}

fn slowly(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;

    let mut file = std::fs::File::create(file)?;
    for piece in content.chunks(content.len().div_ceil(8)) {
        file.write_all(piece)?;
        std::thread::sleep(Duration::from_millis(60));
    }
    Ok(())
}

/// A word that no other run has: what was compiled once is in the tests' cache, and taking over
/// would cost nothing.
fn this_run() -> anyhow::Result<String> {
    Ok(format!("{:x}", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos()))
}

/// A way to put a file into the folder.
type Put = fn(&Path, &[u8]) -> anyhow::Result<()>;

#[tokio::test]
async fn a_new_version_fetches_the_next_page_however_it_is_put_there() -> anyhow::Result<()> {
    let ways: [(&str, Put); 4] = [
        ("renamed", rename_over),
        ("overwritten", |file, content| Ok(std::fs::write(file, content)?)),
        ("copied slowly", slowly),
        ("removed first", |file, content| {
            std::fs::remove_file(file)?;
            std::thread::sleep(Duration::from_millis(100));
            Ok(std::fs::write(file, content)?)
        }),
    ];
    for (way, put) in ways {
        let ground = Ground::with(&version("version=one")?).await?;
        let mut running = ground.start().await?;
        let (file, content) = (ground.file.clone(), version("version=two")?);
        tokio::task::spawn_blocking(move || put(&file, &content)).await??;
        running.until_it_says("Route pedido: version two").await?;
        let finished = ground.finish(running).await?;
        assert_eq!(ground.versions().await?, 2, "{way}");
        assert!(!finished.stderr.contains("untried"), "{way}: {}", finished.stderr);
        assert!(!finished.stderr.contains("⚠️"), "{way}: {}", finished.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_removed_goes_on_serving_until_the_run_ends() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    let mut running = ground.start().await?;
    std::fs::remove_file(&ground.file)?;
    running.until_it_says("pedido.wasm was removed: the route pedido goes on with version one").await?;
    ground.finish(running).await?;
    let refused = ground.atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(7)?;
    assert!(refused.stderr.contains("No connector in"), "{}", refused.stderr);
    Ok(())
}

#[tokio::test]
async fn a_broken_file_leaves_the_present_version_serving_and_is_told_everywhere() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    let mut running = ground.start().await?;
    let half = version("version=two")?;
    std::fs::write(&ground.file, &half[..half.len() / 2])?;
    running.until_it_says("The route pedido goes on with version one").await?;
    let finished = ground.finish(running).await?;
    assert_eq!(finished.stderr.matches("pedido.wasm is not a WebAssembly component").count(), 1, "{}", finished.stderr);
    assert_eq!(ground.versions().await?, 1);
    let log = std::fs::read_to_string(ground.atlas.log())?;
    assert!(log.contains("pedido.wasm is not a WebAssembly component"), "{log}");
    let listed = ground.listed().await?;
    assert_eq!((&listed["estado"], &listed["servindo"]["versao"]), (&"recusada".into(), &"one".into()));
    assert!(listed["erro"].as_str().is_some_and(|error| error.contains("not a WebAssembly component")), "{listed}");

    // The next start goes on with it as well, and says so.
    let again = ground.atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(0)?;
    assert!(again.stderr.contains("The route pedido goes on with version one"), "{}", again.stderr);
    assert_eq!(again.number("inseridos")?, 0);
    Ok(())
}

#[tokio::test]
async fn a_version_that_takes_another_number_of_records_waits_for_the_operators_word() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    let mut running = ground.start().await?;
    rename_over(&ground.file, &version("version=two records=none")?)?;
    running.until_it_says("Route pedido: the new version two").await?;
    running.until_it_says("from the same answers a page gave 0 records instead of 10").await?;
    let listed = ground.listed().await?;
    assert_eq!((&listed["estado"], &listed["servindo"]["versao"]), (&"retida".into(), &"one".into()), "{listed}");
    let digest = listed["sha256"].as_str().context("a digest")?;
    let other = ground.connector(&["accept", "pedido", "--digest", "no-digest"]).await?.expect(2)?;
    let told = format!("What waits of the route pedido is version two ({}), not no-digest", &digest[..12]);
    assert!(other.stderr.contains(&told), "{}", other.stderr);
    assert_eq!(ground.listed().await?["estado"], "retida");
    // Accepted, it serves at once, and the rest of the pages are as empty as it wants them: the
    // operator was asked.
    let accepted =
        ground.connector(&["accept", "pedido", "--digest", &digest[..8], "--output", "json"]).await?.expect(0)?;
    assert_eq!((accepted.text("versao")?.as_str(), accepted.text("sha256")?.as_str()), ("two", digest));
    let told = Instant::now();
    running.until_it_says("Route pedido: version two").await?;
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
    ground.hurry()?;
    running.finish().await?;
    assert_eq!(ground.versions().await?, 2);
    let nothing = ground.connector(&["accept", "pedido"]).await?.expect(2)?;
    assert!(nothing.stderr.contains("No version of the route pedido waits"), "{}", nothing.stderr);
    assert_eq!(ground.listed().await?["estado"], "servindo");
    Ok(())
}

#[tokio::test]
async fn a_wider_list_of_what_is_not_hashed_waits_for_a_word_even_if_nothing_runs() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one unhashed=/a")?).await?;
    let started = ground.start().await?;
    ground.finish(started).await?;
    rename_over(&ground.file, &version("version=two unhashed=/a,/status")?)?;
    let run = ground.atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(0)?;
    assert!(run.stderr.contains("it leaves more out of the content hash (/status)"), "{}", run.stderr);
    assert_eq!((run.number("inseridos")?, run.json()?["conector"]["versao"].as_str()), (0, Some("one")));
    ground.connector(&["accept", "pedido"]).await?.expect(0)?;
    let run = ground.atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(0)?;
    assert_eq!(run.json()?["conector"]["versao"].as_str(), Some("two"));
    Ok(())
}

#[tokio::test]
async fn a_version_that_fails_its_trial_is_refused() -> anyhow::Result<()> {
    for (what, told) in [("trap", "the connector crashed"), ("error", "a version that gives up")] {
        let ground = Ground::with(&version("version=one")?).await?;
        let mut running = ground.start().await?;
        rename_over(&ground.file, &version(&format!("version=two fails={what}"))?)?;
        running.until_it_says("pedido.wasm failed at a page that the present version fetched well").await?;
        let finished = ground.finish(running).await?;
        assert!(finished.stderr.contains(told), "{}", finished.stderr);
        assert_eq!(ground.versions().await?, 1);
        // A later start knows it, without a page to try it on.
        assert_eq!(ground.listed().await?["estado"], "recusada");
        ground.atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_version_that_asks_for_something_else_is_not_tried_and_that_is_said() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    let mut running = ground.start().await?;
    rename_over(&ground.file, &version("version=two asks=more")?)?;
    running
        .until_it_says("untried: the new version asks for what the kept page does not have (GET 2151/pedido)")
        .await?;
    ground.finish(running).await?;
    assert_eq!(ground.versions().await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_rollback_serves_at_once_and_until_the_file_changes() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    let mut running = ground.start().await?;
    rename_over(&ground.file, &version("version=two")?)?;
    running.until_it_says("Route pedido: version two").await?;
    ground.connector(&["rollback", "pedido"]).await?.expect(0)?;
    running.until_it_says("Route pedido: back to version one").await?;
    let listed = ground.listed().await?;
    assert_eq!((&listed["estado"], &listed["servindo"]["versao"]), (&"revertida".into(), &"one".into()), "{listed}");
    ground.finish(running).await?;
    // Across starts, until the file is another.
    let run = ground.atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(0)?;
    assert_eq!(run.json()?["conector"]["versao"], "one");
    rename_over(&ground.file, &version("version=three")?)?;
    let run = ground.atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(0)?;
    assert_eq!(run.json()?["conector"]["versao"], "three");
    let two = another(&version("version=two")?, 0);
    assert_ne!(two, version("version=two")?);
    let unknown = ground.connector(&["rollback", "pedido", "--to", "0000"]).await?.expect(2)?;
    assert!(unknown.stderr.contains("There is no earlier version of the route pedido"), "{}", unknown.stderr);
    Ok(())
}

#[tokio::test]
async fn a_rollback_serves_at_once_when_the_file_is_none_any_more() -> anyhow::Result<()> {
    for becomes in ["a pipe", "gone"] {
        let ground = Ground::with(&version("version=one")?).await?;
        let mut running = ground.start().await?;
        rename_over(&ground.file, &version("version=two")?)?;
        running.until_it_says("Route pedido: version two").await?;
        std::fs::remove_file(&ground.file)?;
        if becomes == "gone" {
            running.until_it_says("pedido.wasm was removed").await?;
        } else {
            let made = std::process::Command::new("mkfifo").arg(&ground.file).status()?;
            anyhow::ensure!(made.success(), "mkfifo");
            running.until_it_says("pedido.wasm could not be read").await?;
        }
        ground.connector(&["rollback", "pedido"]).await?.expect(0)?;
        running.until_it_says("Route pedido: back to version one").await?;
        ground.finish(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scrap_whose_cursors_the_new_version_does_not_understand_stays_on_its_own() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    let mut running = ground.start().await?;
    rename_over(&ground.file, &version("version=two cursor-format=2")?)?;
    running.until_it_says("Route pedido: version two").await?;
    // Even across a crash: its version is kept.
    running.signal("KILL").await?;
    running.finish().await?;
    ground.hurry()?;
    let resumed = ground.atlas.run(&["scrap", "resume", "1", "--output", "json"]).await?.expect(0)?;
    assert_eq!(resumed.json()?["conector"]["versao"], "one");
    assert_eq!(ground.versions().await?, 1);
    ground.atlas.database.expect_exactly(CLIENT, "pedido", &ground.served).await?;
    // A new scrap begins with the new one.
    let run = ground.atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    assert_eq!(run.json()?["conector"]["versao"], "two");
    Ok(())
}

#[tokio::test]
async fn a_second_file_that_claims_a_route_does_not_get_it() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    let mut running = ground.start().await?;
    let other = ground.file.with_file_name("outro.wasm");
    rename_over(&other, &version("version=two")?)?;
    running.until_it_says("outro.wasm serves the route pedido, which pedido.wasm serves too").await?;
    // Unless the other is gone.
    std::fs::remove_file(&ground.file)?;
    running.until_it_says("Route pedido: version two").await?;
    ground.finish(running).await?;
    assert_eq!(ground.versions().await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_file_that_served_one_route_does_not_take_another_while_nothing_runs() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    ground.hurry()?;
    // By its name it is the first.
    let other = ground.file.with_file_name("a.wasm");
    std::fs::write(&other, version("version=other route=a")?)?;
    for route in ["a", "pedido"] {
        let run = ["run", "--client", "2151", "--route", route, "--from", FROM, "--to", TO];
        ground.atlas.run(&run).await?.expect(0)?;
    }
    rename_over(&other, &version("version=taker")?)?;
    let listed = ground.connector(&["list", "--output", "json"]).await?.expect(0)?;
    let rows: Vec<serde_json::Value> = listed.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(rows.iter().map(|row| &row["estado"]).collect::<Vec<_>>(), ["recusada", "servindo"], "{rows:?}");
    let told = rows[0]["erro"].as_str().context("told")?;
    assert!(told.contains("a.wasm serves the route pedido, which pedido.wasm serves too"), "{told}");
    let run = ground.atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    assert_eq!((run.json()?["conector"]["versao"].as_str(), run.number("inseridos")?), (Some("one"), 0));
    Ok(())
}

#[tokio::test]
async fn of_two_files_that_claim_a_route_from_the_start_neither_gets_it_until_the_other_is_gone() -> anyhow::Result<()>
{
    let ground = Ground::with(&version("version=one")?).await?;
    let folder = ground.file.parent().context("a folder")?;
    let other = folder.join("outro.wasm");
    std::fs::write(&other, version("version=two")?)?;
    std::fs::copy(atlas_tests::connectors()?.join("cliente.wasm"), folder.join("cliente.wasm"))?;
    let run =
        ["run", "--client", "2151", "--route", "cliente", "--page-size", "10", "--concurrency", "1", "--lang", "en"];
    let mut running = ground.atlas.start(&run)?;
    running.until_it_says("📄").await?;
    // Longer than it takes to look around.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    std::fs::remove_file(&other)?;
    running.until_it_says("Route pedido: version").await?;
    running.until_it_says("serves from the next page on").await?;
    ground.hurry()?;
    let finished = running.finish().await?.expect(0)?;
    let (before, after) = finished.stderr.split_once("Route pedido: version ").context("told")?;
    // A page takes 400 ms: none of the two served while both were there.
    assert!(before.matches("📄").count() >= 4, "{}", finished.stderr);
    assert!(after.starts_with("one "), "{}", finished.stderr);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_replaced_before_its_signature_takes_over_when_the_signature_is_there() -> anyhow::Result<()> {
    let ground = Ground::with(&version("version=one")?).await?;
    let made = ground.connector(&["keygen", "--key", "equipe.key", "--no-password"]).await?.expect(0)?;
    let settings = format!("[connector.pedido]\nkeys = [\"{}\"]\n", made.stdout.trim());
    std::fs::write(ground.atlas.folder().join("atlas.toml"), settings)?;
    let sign = async |file: &str| {
        ground.connector(&["sign", file, "--key", "equipe.key", "--no-password"]).await?.expect(0).map(drop)
    };
    sign("connectors/pedido.wasm").await?;
    std::fs::write(ground.atlas.folder().join("novo.wasm"), version("version=two")?)?;
    sign("novo.wasm").await?;

    let mut running = ground.start().await?;
    rename_over(&ground.file, &version("version=two")?)?;
    running.until_it_says("pedido.wasm is not what was signed").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let signature = std::fs::read(ground.atlas.folder().join("novo.wasm.minisig"))?;
    std::fs::write(ground.file.with_extension("wasm.minisig"), signature)?;
    running.until_it_says("Route pedido: version two").await?;
    ground.finish(running).await?;
    assert_eq!(ground.versions().await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_component_that_takes_too_much_to_compile_is_refused_by_the_limits_name() -> anyhow::Result<()> {
    let ground = Ground::with(&slow_to_compile(&version("version=one")?, 20)?).await?;
    for (limit, value) in [("compile_cpu_s", 1_u64), ("compile_memory", 16 << 20)] {
        std::fs::write(ground.atlas.folder().join("atlas.toml"), format!("[limits]\n{limit} = {value}\n"))?;
        let refused = ground.atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(7)?;
        let told = format!("Compiling pedido.wasm took more than the limit {limit} ({value})");
        assert!(refused.stderr.contains(&told), "{}", refused.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn what_took_too_long_to_compile_is_known_at_the_next_start_until_it_may_take_longer() -> anyhow::Result<()> {
    let slow = slow_to_compile(&version(&format!("version=one run={}", this_run()?))?, 40)?;
    let ground = Ground::with(&slow).await?;
    let limit = |seconds: u64| {
        let settings = format!("[limits]\ncompile_cpu_s = {seconds}\n");
        std::fs::write(ground.atlas.folder().join("atlas.toml"), settings)
    };
    limit(3)?;
    let mut took = Vec::new();
    for _ in 0..2 {
        let began = Instant::now();
        let listed = ground.listed().await?;
        took.push(began.elapsed());
        let told = listed["erro"].as_str().context("refused")?;
        assert!(told.contains("the limit compile_cpu_s (3)"), "{told}");
    }
    // Three seconds of CPU time, by four threads, and none.
    assert!(took[1] < took[0] / 2, "{took:?}");
    limit(60)?;
    assert_eq!(ground.listed().await?["versao"], "one");
    Ok(())
}

/// The route in JavaScript and in Python. The files as they are built, since they take seconds to
/// compile: what was compiled once is in the tests' cache, and only so can they be there in time
/// between two others.
async fn in_other_languages(atlas: &Atlas, file: &Path) -> anyhow::Result<[(Vec<u8>, String); 2]> {
    let mut guests = Vec::new();
    for name in ["pedido-js.wasm", "pedido-py.wasm"] {
        let guest = std::fs::read(atlas_tests::example_connectors()?.join(name))?;
        rename_over(file, &guest)?;
        let listed = atlas.run(&["connector", "list", "--output", "json"]).await?.expect(0)?;
        guests.push((guest, listed.text("sha256")?));
    }
    guests.try_into().map_err(|_| anyhow::anyhow!("two languages"))
}

/// What runs the scraps.
#[derive(Debug, Clone, Copy)]
enum RunBy {
    Operator,
    Worker,
}

/// A source that is slow enough for `seconds`, scraps of so many clients at it, and a connector
/// that changes every 50 ms, into one written in another language at times.
async fn storm(by: RunBy, clients: u32, seconds: u64) -> anyhow::Result<()> {
    let mut atlas = Atlas::on_postgres().await?;
    let folder = atlas.folder().join("connectors");
    std::fs::create_dir(&folder)?;
    atlas.set("ATLAS_CONNECTORS", &folder.display().to_string());
    let file = folder.join("pedido.wasm");
    let [(javascript, javascript_sha256), (python, python_sha256)] = in_other_languages(&atlas, &file).await?;
    std::fs::write(&file, version("version=first")?)?;
    // Two pages of ten at a time, each 200 ms: 100 orders a second for each scrap.
    let api = api(seconds * 20 + 100, Faults { latency_ms: 200, ..Faults::default() }).await?;
    let mut ids = Vec::new();
    for client in CLIENT..CLIENT + clients {
        atlas.register(client, &api).await?;
        let client = client.to_string();
        let create = ["scrap", "create", "--client", &client, "--route", "pedido", "--from", FROM, "--to", TO];
        let created = atlas.run(&[&create[..], &["--page-size", "10"]].concat()).await?.expect(0)?;
        ids.push(created.stdout.trim().to_owned());
    }
    let at_once = clients.to_string();
    let mut run = match by {
        RunBy::Operator => ["scrap", "run"].into_iter().chain(ids.iter().map(String::as_str)).collect(),
        RunBy::Worker => vec!["worker", "--until-empty", "--scraps", &at_once],
    };
    run.extend(["--batch", "100", "--concurrency", "2", "--output", "json", "--lang", "en"]);
    let mut running = atlas.start(&run)?;
    running.until_it_says("📄").await?;

    let blow = {
        let file = file.clone();
        let run = this_run()?;
        let slow = slow_to_compile(&version(&format!("version=slow-{run}"))?, 8)?;
        move || -> anyhow::Result<()> {
            let until = Instant::now() + Duration::from_secs(seconds);
            let mut number = 0;
            while Instant::now() < until {
                let good = another(&version(&format!("version=storm-{number}-{run}"))?, number);
                match number % 7 {
                    0 => std::fs::write(&file, &good)?,
                    1 => std::fs::write(&file, &good[..good.len() / 2])?,
                    2 => rename_over(&file, &good)?,
                    3 => std::fs::write(&file, another(&slow, number))?,
                    4 => rename_over(&file, &javascript)?,
                    5 => rename_over(&file, &python)?,
                    _ => std::fs::write(&file, b"\0asm\x0d\0\x01\0broken")?,
                }
                // Megabytes are read and gone through in a build for debugging: they need to stand
                // still for a moment.
                let pause = if matches!(number % 7, 4 | 5) { 400 } else { 50 };
                number += 1;
                std::thread::sleep(Duration::from_millis(pause));
            }
            Ok(std::fs::write(&file, version(&format!("version=last run={run}"))?)?)
        }
    };
    let mut blowing = tokio::task::spawn_blocking(blow);
    // What it prints has to be read, or it would wait.
    let stood_still = tokio::select! {
        blown = &mut blowing => { blown??; Instant::now() }
        told = running.until_it_says("version last") => anyhow::bail!("before it was there: {told:?}"),
    };
    running.until_it_says("version last").await?;
    let took_over = stood_still.elapsed();
    let finished = running.finish().await?.expect(0)?;
    anyhow::ensure!(!finished.stderr.contains("Attempt"), "a page failed:\n{}", finished.stderr);
    for client in CLIENT..CLIENT + clients {
        let served = api.records(client, Rota::Pedido, FROM, TO)?;
        atlas.database.expect_exactly(client, "pedido", &served).await?;
    }
    let off = "SELECT COUNT(*) FROM scraps WHERE estado <> 'concluido' OR lidos <> inseridos OR duplicados + reencontrados > 0";
    assert_eq!(atlas.database.number(off).await?, 0);
    let versions = atlas.database.number("SELECT COUNT(DISTINCT conector_sha256) FROM scrap_cursores").await?;
    let fetched_by = |digest| format!("SELECT COUNT(*) FROM scrap_cursores WHERE conector_sha256 = '{digest}'");
    let javascript = atlas.database.number(&fetched_by(javascript_sha256)).await?;
    let python = atlas.database.number(&fetched_by(python_sha256)).await?;
    #[allow(clippy::disallowed_macros)] // worth knowing
    {
        eprintln!("{versions} versions fetched, {javascript} pages in JavaScript and {python} in Python;");
        eprintln!("the last took over {took_over:?} after it was written");
    }
    assert!(versions >= 2, "{versions} versions");
    assert!(javascript > 0 && python > 0, "{javascript} pages in JavaScript, {python} in Python");
    // 1 s once it has stood still for 500 ms.
    assert!(took_over < Duration::from_millis(1500), "{took_over:?}");
    Ok(())
}

/// `ATLAS_TEST_STORM=SECONDS,SCRAPS`: longer, and with more of them.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_storm_of_versions_no_page_fails_and_nothing_is_lost_or_doubled() -> anyhow::Result<()> {
    storm_as_wanted(RunBy::Operator).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_storm_of_versions_a_worker_goes_on_as_well() -> anyhow::Result<()> {
    storm_as_wanted(RunBy::Worker).await
}

async fn storm_as_wanted(by: RunBy) -> anyhow::Result<()> {
    let wanted = std::env::var("ATLAS_TEST_STORM").ok();
    let wanted = wanted.as_deref().and_then(|text| text.split_once(','));
    let (seconds, scraps) = match wanted {
        Some((seconds, scraps)) => (seconds.parse()?, scraps.parse()?),
        None => (8, 4),
    };
    storm(by, scraps, seconds).await
}

/// `ATLAS_TEST_SWAPS=N`: how soon a version takes over after its last byte was written, N times.
#[tokio::test]
async fn a_version_takes_over_soon_after_its_last_byte() -> anyhow::Result<()> {
    let swaps: u32 = std::env::var("ATLAS_TEST_SWAPS").ok().map_or(Ok(5), |text| text.parse())?;
    let ground = Ground::with(&version("version=first")?).await?;
    // Long enough for all of them.
    ground.api.set_faults(Faults { latency_ms: 100 + 10 * u64::from(swaps), ..Faults::default() })?;
    let mut running = ground.start().await?;
    let (mut times, run) = (Vec::new(), this_run()?);
    for swap in 0..swaps {
        let content = version(&format!("version=swap-{swap} run={run}"))?;
        std::fs::write(&ground.file, content)?;
        let written = Instant::now();
        running.until_it_says(&format!("version swap-{swap} ")).await?;
        times.push(written.elapsed());
    }
    running.signal("INT").await?;
    running.finish().await?;
    times.sort();
    let (half, last) = (times[times.len() / 2], times[(times.len() * 99).div_ceil(100) - 1]);
    #[allow(clippy::disallowed_macros)] // worth knowing
    {
        eprintln!("{swaps} versions took over: p50 {half:?}, p99 {last:?}");
    }
    // A busy machine takes its time; a quiet one is measured.
    assert!(last < Duration::from_secs(5), "{last:?}");
    Ok(())
}
