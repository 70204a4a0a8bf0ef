//! Connectors that end the process that runs them, as one would that meets a fault of the
//! WebAssembly engine. A hook of builds for debugging stands for such a fault. A version that does
//! so again alone is held on all hosts; the versions that ran beside it are not, and nothing is
//! lost or doubled.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use atlas_tests::versions::{rename_over, version};
use atlas_tests::{Atlas, FROM, Faults, Finished, Rota, SampleApi, TO, api};

const CLIENT: u32 = 2151;
const NEIGHBOUR: u32 = 2152;
/// Long enough for any of these tests, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// What allows a guest's log to end the process.
const HOOK: &str = "ATLAS_TEST_GUESTS_MAY_END_THE_PROCESS";
/// The signals that a process gets for what it did itself.
const DEADLY: [&str; 5] = ["SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE"];

/// Two routes of one source: `outra`, in whatever version a test puts there, and `pedido`, which is
/// good.
struct Ground {
    atlas: Atlas,
    api: SampleApi,
    file: PathBuf,
}

impl Ground {
    async fn new(mut atlas: Atlas, outra: &str) -> anyhow::Result<Self> {
        let connectors = atlas.folder().join("connectors");
        std::fs::create_dir(&connectors)?;
        atlas.set("ATLAS_CONNECTORS", &connectors.display().to_string());
        atlas.set(HOOK, "1");
        atlas.set("ATLAS_LEASE", "2");
        let file = connectors.join("outra.wasm");
        std::fs::write(&file, outra_version(outra)?)?;
        std::fs::copy(atlas_tests::connectors()?.join("pedido.wasm"), connectors.join("pedido.wasm"))?;
        let api = api(20, Faults { latency_ms: 50, ..Faults::default() }).await?;
        for client in [CLIENT, NEIGHBOUR] {
            atlas.register(client, &api).await?;
        }
        Ok(Self { atlas, api, file })
    }

    async fn create(&self, client: u32, route: &str) -> anyhow::Result<String> {
        let client = client.to_string();
        let create = ["scrap", "create", "--client", &client, "--route", route, "--from", FROM, "--to", TO];
        let created = self.atlas.run(&[&create[..], &["--page-size", "10"]].concat()).await?.expect(0)?;
        Ok(created.stdout.trim().to_owned())
    }

    /// Runs a worker until it ends, by itself or by a signal.
    async fn work(&self) -> anyhow::Result<Finished> {
        self.atlas.run(&["worker", "--until-empty", "--lang", "pt-BR", "-v"]).await
    }

    async fn state(&self, id: &str) -> anyhow::Result<String> {
        self.atlas.database.text(&format!("SELECT estado FROM scraps WHERE id = {id}")).await
    }

    async fn until(&self, id: &str, wanted: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let now = self.state(id).await?;
            if now == wanted {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "scrap {id} is {now}, and not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn number(&self, query: &str) -> anyhow::Result<i64> {
        self.atlas.database.number(query).await
    }

    async fn listed(&self, lang: &str) -> anyhow::Result<String> {
        let listed = self.atlas.run(&["connector", "list", "--output", "json", "--lang", lang]).await?.expect(0)?;
        let row = listed.stdout.lines().find(|line| line.contains("outra.wasm"));
        Ok(row.unwrap_or_default().to_owned())
    }

    /// The good route's rows are those that were served, once each; and so are those of `outra`, if
    /// it is done.
    async fn expect_exactly(&self, client: u32, origem: &str) -> anyhow::Result<()> {
        let served = self.api.records(client, Rota::Pedido, FROM, TO)?;
        self.atlas.database.expect_exactly(client, origem, &served).await
    }
}

fn outra_version(settings: &str) -> anyhow::Result<Vec<u8>> {
    version(&format!("route=outra {settings}"))
}

#[tokio::test]
async fn a_version_that_ends_the_process_is_held_after_one_death_and_its_neighbour_is_not() -> anyhow::Result<()> {
    for (atlas, signal) in Atlas::on_both().await?.into_iter().zip(["SIGABRT", "SIGSEGV"]) {
        let ground = Ground::new(atlas, &format!("version=1 ends=page:3:{signal}")).await?;
        let bad = ground.create(CLIENT, "outra").await?;
        let good = ground.create(NEIGHBOUR, "pedido").await?;
        let died = ground.work().await?;
        assert_eq!(died.code, -1, "it ended by a signal: {}", died.stderr);
        assert_eq!(ground.state(&bad).await?, "executando");

        // The next process finds out which of the two it was.
        let settled = ground.work().await?.expect(0)?;
        assert!(settled.stderr.contains("encerrou o processo"), "{}", settled.stderr);
        assert!(settled.stderr.contains(signal), "{}", settled.stderr);
        assert_eq!(ground.state(&good).await?, "concluido");
        ground.expect_exactly(NEIGHBOUR, "pedido").await?;
        assert_eq!(ground.number("SELECT COUNT(*) FROM scraps WHERE falhas > 0").await?, 0, "a run counts as failed");
        assert_eq!(ground.number("SELECT COUNT(*) FROM atlas_quarentena").await?, 1);
        let log = std::fs::read_to_string(ground.atlas.log())?;
        assert!(log.contains("encerrou o processo"), "{log}");

        // Said wherever it is looked for, and not run any more.
        let listed = ground.listed("pt-BR").await?;
        assert!(listed.contains("segurado: encerrou o processo"), "{listed}");
        assert!(ground.listed("en").await?.contains("held: it ended the process"));
        let shown = ground.atlas.run(&["scrap", "show", &bad, "--lang", "pt-BR"]).await?.expect(0)?;
        let shown = shown.stdout + &shown.stderr;
        assert!(shown.contains("encerrou o processo"), "{shown}");
        let run = ["run", "--client", "2151", "--route", "outra", "--from", FROM, "--to", TO, "--lang", "pt-BR"];
        let refused = ground.atlas.run(&run).await?.expect(7)?;
        assert!(refused.stderr.contains("encerrou o processo"), "{}", refused.stderr);

        // Another file for the route, and its scrap goes on where it was.
        rename_over(&ground.file, &outra_version("version=2")?)?;
        ground.work().await?.expect(0)?;
        assert_eq!(ground.state(&bad).await?, "concluido");
        ground.expect_exactly(CLIENT, "outra").await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_signal_that_a_process_gets_for_its_own_fault_convicts_and_a_kill_does_not() -> anyhow::Result<()> {
    for signal in DEADLY.into_iter().chain(["SIGKILL"]) {
        let ground = Ground::new(Atlas::on_sqlite()?, &format!("version=1 ends=page:1:{signal}")).await?;
        let bad = ground.create(CLIENT, "outra").await?;
        assert_eq!(ground.work().await?.code, -1, "{signal}");
        if signal == "SIGKILL" {
            // A kill says nothing of the connector: the scrap is taken over, as that of any dead
            // host.
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            assert_eq!(ground.work().await?.code, -1);
            assert_eq!(ground.number("SELECT COUNT(*) FROM atlas_quarentena").await?, 0);
        } else {
            ground.work().await?.expect(0)?;
            assert_eq!(ground.number("SELECT COUNT(*) FROM atlas_quarentena").await?, 1, "{signal}");
            assert_eq!(ground.state(&bad).await?, "interrompido");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_process_that_is_ended_from_outside_while_calls_are_under_way_convicts_none_of_them() -> anyhow::Result<()> {
    let ground = Ground::new(Atlas::on_sqlite()?, "version=1").await?;
    let ids = [ground.create(CLIENT, "outra").await?, ground.create(NEIGHBOUR, "pedido").await?];
    for signal in ["ABRT", "SEGV", "KILL"] {
        let mut worker = ground.atlas.start(&["worker", "--lang", "en"])?;
        worker.until_it_says("📄").await?;
        worker.signal(signal).await?;
        assert_eq!(worker.finish().await?.code, -1, "{signal}");
    }
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    ground.work().await?.expect(0)?;
    assert_eq!(ground.number("SELECT COUNT(*) FROM atlas_quarentena").await?, 0);
    for id in ids {
        assert_eq!(ground.state(&id).await?, "concluido");
    }
    ground.expect_exactly(CLIENT, "outra").await?;
    ground.expect_exactly(NEIGHBOUR, "pedido").await
}

#[tokio::test]
async fn the_version_before_goes_on_when_the_new_one_ended_the_process() -> anyhow::Result<()> {
    let ground = Ground::new(Atlas::on_sqlite()?, "version=1").await?;
    let first = ground.create(CLIENT, "outra").await?;
    ground.work().await?.expect(0)?;
    assert_eq!(ground.state(&first).await?, "concluido");
    rename_over(&ground.file, &outra_version("version=2 ends=page:4:SIGABRT")?)?;
    let second = ground.create(NEIGHBOUR, "outra").await?;
    assert_eq!(ground.work().await?.code, -1);
    // The host that is started next finds out, and ends the scrap with the version before.
    ground.work().await?.expect(0)?;
    assert_eq!(ground.state(&second).await?, "concluido");
    ground.expect_exactly(NEIGHBOUR, "outra").await?;
    let listed = ground.listed("pt-BR").await?;
    assert!(listed.contains("segurado: encerrou o processo") && listed.contains("\"versao\":\"1\""), "{listed}");
    // The operator may let it serve all the same.
    ground.atlas.run(&["connector", "accept", "outra"]).await?.expect(0)?;
    assert!(ground.listed("pt-BR").await?.contains("servindo"));
    Ok(())
}

#[tokio::test]
async fn what_one_host_found_out_holds_on_all_of_them() -> anyhow::Result<()> {
    let mut ground = Ground::new(Atlas::on_postgres().await?, "version=1 ends=page:2:SIGABRT").await?;
    ground.create(CLIENT, "outra").await?;
    assert_eq!(ground.work().await?.code, -1);
    ground.work().await?.expect(0)?;
    // Another host, which remembers nothing of its own.
    let elsewhere = ground.atlas.folder().join("elsewhere");
    ground.atlas.set("ATLAS_STATE", &elsewhere.display().to_string());
    let later = ground.create(NEIGHBOUR, "outra").await?;
    let said = ground.work().await?.expect(0)?;
    assert!(said.stderr.contains("encerrou o processo"), "{}", said.stderr);
    assert_eq!(ground.state(&later).await?, "pendente");
    assert!(ground.listed("pt-BR").await?.contains("segurado: encerrou o processo"));
    Ok(())
}

#[tokio::test]
async fn a_version_that_only_goes_on_for_want_of_another_serves_no_more_once_it_is_held() -> anyhow::Result<()> {
    let broken = b"nem WebAssembly".to_vec();
    // It leaves more out of the hash, and waits for a word.
    let waiting = outra_version("version=2 unhashed=/total")?;
    for file in [broken, waiting] {
        let ground = Ground::new(Atlas::on_sqlite()?, "version=1 ends=page:3:SIGABRT").await?;
        let id = ground.create(CLIENT, "outra").await?;
        assert_eq!(ground.work().await?.code, -1);
        rename_over(&ground.file, &file)?;
        for _ in 0..2 {
            ground.work().await?.expect(0)?;
            assert_eq!(ground.state(&id).await?, "interrompido");
        }
        let run = ["run", "--client", "2152", "--route", "outra", "--from", FROM, "--to", TO, "--lang", "en"];
        let refused = ground.atlas.run(&run).await?.expect(7)?;
        // What stands in the file is what there is to act on.
        let told = if file.starts_with(b"\0asm") { "waits for your word" } else { "not a WebAssembly component" };
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
        assert!(!ground.listed("en").await?.contains("\"servindo\":{"), "{}", ground.listed("en").await?);
        rename_over(&ground.file, &outra_version("version=3")?)?;
        ground.work().await?.expect(0)?;
        assert_eq!(ground.state(&id).await?, "concluido");
        ground.expect_exactly(CLIENT, "outra").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scrap_under_way_elsewhere_stops_and_goes_on_with_another_version() -> anyhow::Result<()> {
    let mut ground = Ground::new(Atlas::on_postgres().await?, "version=1 ends=page:3:SIGSEGV").await?;
    let (state, elsewhere) = (ground.atlas.folder().join("state"), ground.atlas.folder().join("elsewhere"));
    // A host on which the fault does not show, and that takes its time.
    ground.atlas.set("ATLAS_STATE", &elsewhere.display().to_string());
    ground.atlas.unset(HOOK);
    ground.api.set_faults(Faults { latency_ms: 1_000, ..Faults::default() })?;
    let there = ground.create(NEIGHBOUR, "outra").await?;
    let mut host = ground.atlas.start(&["worker", "--scraps", "1", "--concurrency", "1", "--lang", "pt-BR"])?;
    host.until_it_says("📄").await?;
    // And the one that it ends.
    ground.atlas.set("ATLAS_STATE", &state.display().to_string());
    ground.atlas.set(HOOK, "1");
    let here = ground.create(CLIENT, "outra").await?;
    assert_eq!(ground.work().await?.code, -1);
    ground.work().await?.expect(0)?;
    host.until_it_says("encerrou o processo").await?;
    for id in [&there, &here] {
        ground.until(id, "interrompido").await?;
    }
    assert_eq!(ground.number("SELECT COUNT(*) FROM scraps WHERE falhas > 0").await?, 0);
    ground.api.set_faults(Faults::default())?;
    rename_over(&ground.file, &outra_version("version=2")?)?;
    for id in [&there, &here] {
        ground.until(id, "concluido").await?;
    }
    host.signal("TERM").await?;
    host.finish().await?.expect(0)?;
    ground.expect_exactly(CLIENT, "outra").await?;
    ground.expect_exactly(NEIGHBOUR, "outra").await
}

#[tokio::test]
async fn what_the_operator_accepted_is_not_convicted_again_and_its_deaths_count() -> anyhow::Result<()> {
    let ground = Ground::new(Atlas::on_sqlite()?, "version=1 ends=page:1:SIGABRT").await?;
    ground.create(CLIENT, "outra").await?;
    assert_eq!(ground.work().await?.code, -1);
    ground.work().await?.expect(0)?;
    ground.atlas.run(&["connector", "accept", "outra"]).await?.expect(0)?;
    for deaths in 0..2 {
        assert_eq!(ground.work().await?.code, -1);
        assert_eq!(ground.number("SELECT falhas FROM scraps").await?, deaths);
        // Until then it might live.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_ends_the_process_when_it_is_described_ends_a_child_and_no_host() -> anyhow::Result<()> {
    let ground = Ground::new(Atlas::on_sqlite()?, "version=1").await?;
    let id = ground.create(NEIGHBOUR, "pedido").await?;
    for signal in DEADLY {
        let bad = outra_version(&format!("version={} ends=describe:0:{signal}", this_run()?))?;
        rename_over(&ground.file, &bad)?;
        expect_refused(&ground.atlas, &ground.file, signal).await?;
    }
    // Nor one that runs while the file comes.
    let mut worker = ground.atlas.start(&["worker", "--lang", "en"])?;
    worker.until_it_says("📄").await?;
    rename_over(&ground.file, &outra_version(&format!("version={} ends=describe:0:SIGSEGV", this_run()?))?)?;
    worker.until_it_says("SIGSEGV").await?;
    ground.until(&id, "concluido").await?;
    worker.signal("TERM").await?;
    worker.finish().await?.expect(0)?;
    ground.expect_exactly(NEIGHBOUR, "pedido").await
}

/// `inspect` and `list` end by themselves, and name the file and the signal.
async fn expect_refused(atlas: &Atlas, file: &Path, signal: &str) -> anyhow::Result<()> {
    let inspected =
        atlas.run(&["connector", "inspect", &file.display().to_string(), "--lang", "en"]).await?.expect(7)?;
    assert!(inspected.stderr.contains(&format!("({signal})")), "{}", inspected.stderr);
    let listed = atlas.run(&["connector", "list", "--lang", "en"]).await?.expect(0)?;
    assert!(listed.stdout.contains(&format!("({signal})")), "{}", listed.stdout);
    Ok(())
}

/// A word that no other run has: what was described once is in the tests' cache, and would not be
/// asked again.
fn this_run() -> anyhow::Result<String> {
    Ok(format!("{:x}", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos()))
}
