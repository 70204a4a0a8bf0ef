//! Between Atlas and its database: PgBouncer, which is killed, and HAProxy, behind which one server
//! is lost and another one takes its place. Whatever stands there and whatever happens to it, the
//! table holds every record once.

use atlas_tests::servers::{Balancer, Bouncer, Cluster, until};
use atlas_tests::{Atlas, FROM, Faults, Rota, SampleApi, TO, api};

const CLIENT: u32 = 2151;
const OTHER: u32 = 2152;
/// The route and the period of all runs, in pages so small that there is a middle of a run.
const PEDIDO: [&str; 8] = ["--route", "pedido", "--from", FROM, "--to", TO, "--page-size", "10"];

/// Records of a client that come slowly enough for something to happen meanwhile.
async fn slow_api() -> anyhow::Result<SampleApi> {
    api(300, Faults { latency_ms: 40, ..Faults::default() }).await
}

/// Waits until so many pages of all scraps together are done.
async fn until_pages(database: &atlas_tests::Database, pages: i64) -> anyhow::Result<()> {
    let done = "SELECT CAST(COALESCE(SUM(paginas), 0) AS BIGINT) FROM scraps";
    until(&format!("{pages} pages are done"), async || Ok(database.number(done).await? >= pages)).await
}

#[tokio::test]
async fn a_run_and_a_worker_go_through_a_pgbouncer_in_session_mode_that_is_killed() -> anyhow::Result<()> {
    let api = slow_api().await?;
    let mut atlas = Atlas::on_postgres().await?;
    let direct = atlas.database.url().to_owned();
    // Session mode is PgBouncer's default, as all the rest is. Only of connections it has 20, fewer
    // than a process may keep.
    let mut bouncer = Bouncer::start(&direct, "default_pool_size = 60").await?;
    atlas.set("DATABASE_URL", &bouncer.url(&direct)?);
    atlas.run(&["db", "init"]).await?.expect(0)?;
    for client in [CLIENT, OTHER] {
        atlas.register(client, &api).await?;
    }

    let run = [&["run", "--client", "2151", "--output", "json"], &PEDIDO[..]].concat();
    let running = atlas.start(&run)?;
    for pages in [20, 70] {
        until_pages(&atlas.database, pages).await?;
        bouncer.kill_and_start().await?;
    }
    let done = running.finish().await?.expect(0)?;
    assert_eq!((done.text("status")?.as_str(), done.number("lidos")?), ("concluido", 1_500));
    atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;

    atlas.run(&[&["scrap", "create", "--client", "2152"], &PEDIDO[..]].concat()).await?.expect(0)?;
    let worker = atlas.start(&["worker", "--until-empty", "--batch", "20"])?;
    until_pages(&atlas.database, 180).await?;
    bouncer.kill_and_start().await?;
    worker.finish().await?.expect(0)?;
    atlas.database.expect_exactly(OTHER, "pedido", &api.records(OTHER, Rota::Pedido, FROM, TO)?).await?;
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps WHERE estado <> 'concluido'").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_process_keeps_within_the_connections_that_it_may_have() -> anyhow::Result<()> {
    let api = api(300, Faults::default()).await?;
    let mut atlas = Atlas::on_postgres().await?;
    let direct = atlas.database.url().to_owned();
    // As PgBouncer comes: it makes surplus connections wait, and a run that has to wait for itself
    // stands still for half a minute.
    let bouncer = Bouncer::start(&direct, "query_wait_timeout = 20").await?;
    atlas.set("DATABASE_URL", &bouncer.url(&direct)?);
    atlas.set("ATLAS_DB_CONNECTIONS", "18");
    atlas.register(CLIENT, &api).await?;
    let run = [&["run", "--client", "2151", "--batch", "1", "--output", "json"], &PEDIDO[..]].concat();
    let began = std::time::Instant::now();
    let done = atlas.run(&run).await?.expect(0)?;
    assert_eq!((done.text("status")?.as_str(), done.number("inseridos")?), ("concluido", 1_500));
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_primary_that_is_killed_in_the_middle_of_a_run_takes_nothing_along() -> anyhow::Result<()> {
    let api = slow_api().await?;
    let mut cluster = Cluster::start().await?;
    let balancer = Balancer::start(cluster.primary.port, cluster.standby.port).await?;
    let atlas = Atlas::on(balancer.database())?;
    atlas.register(CLIENT, &api).await?;

    let run = [&["run", "--client", "2151", "--output", "json", "--lang", "en"], &PEDIDO[..]].concat();
    let mut running = atlas.start(&run)?;
    until_pages(&cluster.primary.database(), 40).await?;
    cluster.primary.kill().await?;
    // HAProxy leads to the standby now, which takes no writes.
    running.until_it_says("the server is read-only").await?;
    cluster.standby.promote().await?;
    let done = running.finish().await?.expect(0)?;

    assert_eq!((done.text("status")?.as_str(), done.number("lidos")?), ("concluido", 1_500));
    let sum = done.number("inseridos")? + done.number("reencontrados")?;
    assert_eq!((sum, done.number("duplicados")?), (1_500, 0));
    let promoted = cluster.standby.database();
    promoted.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await
}

#[tokio::test]
async fn a_primary_that_stops_taking_writes_is_left_for_the_one_that_follows_it() -> anyhow::Result<()> {
    let api = slow_api().await?;
    let mut cluster = Cluster::start().await?;
    let balancer = Balancer::start(cluster.primary.port, cluster.standby.port).await?;
    let mut atlas = Atlas::on(balancer.database())?;
    atlas.set("ATLAS_LEASE", "3");
    atlas.set("ATLAS_RERUN_AFTER", "1");
    for client in [CLIENT, OTHER] {
        atlas.register(client, &api).await?;
        let client = client.to_string();
        atlas.run(&[&["scrap", "create", "--client", &client], &PEDIDO[..]].concat()).await?.expect(0)?;
    }
    let mut worker = atlas.start(&["worker", "--until-empty", "--lang", "en"])?;
    let primary = cluster.primary.database();
    until_pages(&primary, 40).await?;

    // As administrators do before a switchover. Connections that are open stay, and learn of it at
    // their next write, or when they go back to the pool: which one is first decides what is said.
    primary.execute("ALTER SYSTEM SET default_transaction_read_only = on").await?;
    primary.execute("SELECT pg_reload_conf()").await?;
    worker.until_it_says("read-only").await?;
    // A proxy may lead elsewhere by now, but only new connections: none of the old ones is used on
    // and on.
    let old = format!(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'atlas' AND backend_start < '{}'",
        primary.text("SELECT CAST(NOW() AS TEXT)").await?
    );
    until("the old connections are gone", async || Ok(primary.number(&old).await? == 0)).await?;
    cluster.primary.kill().await?;
    cluster.standby.promote().await?;
    worker.finish().await?.expect(0)?;

    let promoted = cluster.standby.database();
    for client in [CLIENT, OTHER] {
        promoted.expect_exactly(client, "pedido", &api.records(client, Rota::Pedido, FROM, TO)?).await?;
    }
    let off = "SELECT COUNT(*) FROM scraps WHERE estado <> 'concluido' \
               OR lidos <> inseridos + duplicados + reencontrados + rejeitados OR duplicados > 0";
    assert_eq!(promoted.number(off).await?, 0);
    Ok(())
}
