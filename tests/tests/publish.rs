//! Connectors that are published: every host has them, whatever its folder had.

use std::path::{Path, PathBuf};

use anyhow::Context;
use atlas_tests::versions::{another, rename_over, version};
use atlas_tests::{Atlas, FROM, Faults, Rota, Running, SampleApi, TO, api};

const CLIENT: u32 = 2151;

/// One installation whose hosts have folders of their own.
struct Fleet {
    atlas: Atlas,
    api: SampleApi,
    /// A file to publish.
    file: PathBuf,
}

impl Fleet {
    async fn new(mut atlas: Atlas, faults: Faults) -> anyhow::Result<Self> {
        let api = api(20, faults).await?;
        atlas.own_connectors()?;
        atlas.set("ATLAS_LEASE", "2");
        atlas.register(CLIENT, &api).await?;
        let file = atlas.folder().join("publicar.wasm");
        Ok(Self { atlas, api, file })
    }

    async fn publish(&self, component: &[u8], more: &[&str]) -> anyhow::Result<String> {
        rename_over(&self.file, component)?;
        let file = self.file.display().to_string();
        let published = [&["connector", "publish", &file, "--output", "json"], more].concat();
        self.atlas.run(&published).await?.expect(0)?.text("sha256")
    }

    /// The commands of a machine of its own: an empty folder of connectors, and nothing remembered.
    fn host(&mut self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.atlas.folder().join(name);
        std::fs::create_dir(&folder)?;
        self.atlas.set("ATLAS_CONNECTORS", &folder.display().to_string());
        self.atlas.set("ATLAS_STATE", &folder.join("estado").display().to_string());
        Ok(folder)
    }

    async fn worker(&self) -> anyhow::Result<Running> {
        let worker = ["worker", "--lang", "en", "--batch", "20", "--concurrency", "1"];
        let mut worker = self.atlas.start(&worker)?;
        worker.until_it_says("Worker ready").await?;
        Ok(worker)
    }

    async fn create(&self, connectors: &Path) -> anyhow::Result<()> {
        let connectors = connectors.display().to_string();
        let client = CLIENT.to_string();
        let create = ["scrap", "create", "--client", &client, "--route", "pedido", "--from", FROM, "--to", TO];
        let create = [&create[..], &["--page-size", "10", "--connectors", &connectors]].concat();
        self.atlas.run(&create).await?.expect(0).map(drop)
    }

    /// Waits for the scrap's end; gives the digest that fetched it.
    async fn fetched_by(&self, id: i64) -> anyhow::Result<String> {
        let began = std::time::Instant::now();
        loop {
            let row = format!("SELECT estado || ' ' || COALESCE(conector_sha256, '') FROM scraps WHERE id = {id}");
            let row = self.atlas.database.text(&row).await?;
            let (state, sha256) = row.split_once(' ').context("two words")?;
            if state == "concluido" {
                return Ok(sha256.to_owned());
            }
            anyhow::ensure!(began.elapsed().as_secs() < 60, "scrap {id} is {state}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    async fn expect_whole(&self) -> anyhow::Result<()> {
        let served = self.api.records(CLIENT, Rota::Pedido, FROM, TO)?;
        self.atlas.database.expect_exactly(CLIENT, "pedido", &served).await
    }
}

async fn stop(worker: Running) -> anyhow::Result<String> {
    worker.signal("TERM").await?;
    Ok(worker.finish().await?.expect(0)?.stderr)
}

#[tokio::test]
async fn what_is_published_serves_on_every_host_whether_it_runs_already_or_starts_later() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let mut fleet = Fleet::new(atlas, Faults::default()).await?;
        let shipped = fleet.atlas.folder().join("connectors");
        let first = fleet.publish(&version("version=one")?, &[]).await?;
        // A host with an empty folder has it before it takes anything.
        fleet.create(&shipped).await?;
        let folder = fleet.host("a")?;
        fleet.atlas.run(&["worker", "--until-empty"]).await?.expect(0)?;
        assert_eq!(fleet.fetched_by(1).await?, first);
        assert!(folder.join("pedido.wasm").is_file());
        // One that runs takes the next within seconds.
        let mut worker = fleet.worker().await?;
        let second = fleet.publish(&version("version=two")?, &[]).await?;
        worker.until_it_says("Route pedido: version two").await?;
        fleet.create(&shipped).await?;
        assert_eq!(fleet.fetched_by(2).await?, second);
        // What an operator does to the folder afterwards stands, until something is published
        // again.
        rename_over(&folder.join("pedido.wasm"), &version("version=here")?)?;
        worker.until_it_says("Route pedido: version here").await?;
        stop(worker).await?;
        let mut worker = fleet.worker().await?;
        fleet.publish(&version("version=one")?, &[]).await?;
        worker.until_it_says("Route pedido: version one").await?;
        stop(worker).await?;
        fleet.expect_whole().await?;
        let published = fleet.atlas.run(&["connector", "published", "--output", "json"]).await?.expect(0)?;
        let states: Vec<serde_json::Value> =
            published.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let versions: Vec<_> = states.iter().map(|line| (&line["versao"], &line["atual"])).collect();
        assert_eq!(versions.len(), 3);
        assert_eq!((versions[0].0, versions[0].1), (&"one".into(), &true.into()));
        assert_eq!((versions[1].0, versions[1].1), (&"two".into(), &false.into()));
    }
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_new_goes_on_with_the_version_that_a_scrap_began_with() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let mut fleet = Fleet::new(atlas, Faults { latency_ms: 200, ..Faults::default() }).await?;
        let shipped = fleet.atlas.folder().join("connectors");
        let first = fleet.publish(&version("version=one")?, &[]).await?;
        fleet.create(&shipped).await?;
        fleet.host("a")?;
        let worker = fleet.worker().await?;
        while fleet.atlas.database.number("SELECT paginas FROM scraps WHERE id = 1").await? == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        worker.signal("KILL").await?;
        worker.finish().await?;
        // Its cursors mean nothing to the newest version, and no host that is left has another.
        let second = fleet.publish(&version("version=two cursor-format=2")?, &[]).await?;
        fleet.host("b")?;
        let worker = fleet.worker().await?;
        assert_eq!(fleet.fetched_by(1).await?, first);
        fleet.create(&shipped).await?;
        assert_eq!(fleet.fetched_by(2).await?, second);
        stop(worker).await?;
        fleet.expect_whole().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_wider_version_waits_on_every_host_unless_it_was_accepted_with_its_publication() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(Atlas::on_postgres().await?, Faults::default()).await?;
    fleet.publish(&version("version=one unhashed=/a")?, &[]).await?;
    fleet.host("a")?;
    let mut worker = fleet.worker().await?;
    let wider = version("version=two unhashed=/a,/status")?;
    fleet.publish(&wider, &[]).await?;
    worker.until_it_says("waits for your word").await?;
    fleet.publish(&wider, &["--accept"]).await?;
    worker.until_it_says("Route pedido: version two").await?;
    stop(worker).await?;
    Ok(())
}

#[tokio::test]
async fn a_publication_that_was_tampered_with_serves_nowhere_and_hinders_nothing() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(Atlas::on_postgres().await?, Faults::default()).await?;
    let shipped = fleet.atlas.folder().join("connectors");
    let first = fleet.publish(&version("version=one")?, &[]).await?;
    let folder = fleet.host("a")?;
    let mut worker = fleet.worker().await?;
    let tampered = another(&version("version=two")?, 1).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let insert = format!(
        "INSERT INTO atlas_conectores (rota, versao, sha256, componente) VALUES \
         ('pedido', 'two', '{}', decode('{tampered}', 'hex')), ('../fora', 'x', '{first}', 'x')",
        "ab".repeat(32)
    );
    fleet.atlas.database.execute(&insert).await?;
    worker.until_it_says("could not be put into").await?;
    fleet.create(&shipped).await?;
    assert_eq!(fleet.fetched_by(1).await?, first);
    let said = stop(worker).await?;
    assert!(said.contains("as is said of it"), "{said}");
    assert!(!folder.with_file_name("fora.wasm").exists());
    fleet.expect_whole().await
}
