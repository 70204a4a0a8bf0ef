//! The database's file, under processes that use it: commands that end beside them, a file that is
//! deleted, replaced or moved, a disk that is full, and no file descriptor left.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, Database, FROM, Faults, Rota, SampleApi, TO, api};
use tokio::process::Command;

const CLIENT: u32 = 2151;
/// Long enough for any of these tests, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const RUN: [&str; 13] =
    ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "--page-size", "10", "--lang", "en"];
const ROWS: &str = "SELECT COUNT(*) FROM dados_raw";

/// Waits until a query gives this much.
async fn until(atlas: &Atlas, query: &str, wanted: i64) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let number = atlas.database.number(query).await?;
        if number >= wanted {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{query} stays at {number}, and does not get to {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn expect_whole(atlas: &Atlas, api: &SampleApi) -> anyhow::Result<()> {
    let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    atlas.database.expect_exactly(CLIENT, "pedido", &served).await
}

/// A source that takes its time, and a client of it.
async fn slow(atlas: &Atlas) -> anyhow::Result<SampleApi> {
    let api = api(200, Faults { latency_ms: 60, ..Faults::default() }).await?;
    atlas.set_registered(&api).await?;
    Ok(api)
}

async fn queue(atlas: &Atlas) -> anyhow::Result<()> {
    let create = ["scrap", "create", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];
    atlas.run(&[&create[..], &["--page-size", "10"]].concat()).await?.expect(0).map(drop)
}

#[tokio::test]
async fn commands_that_end_beside_a_run_leave_it_the_log_that_it_writes_to() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let api = slow(&atlas).await?;
    let mut running = atlas.start(&[&RUN[..], &["--concurrency", "1"]].concat())?;
    running.until_it_says("📄").await?;
    // Each is the last to close the file but for the run, which looks at it twice a second.
    for _ in 0..6 {
        atlas.run(&["scrap", "list"]).await?.expect(0)?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // What the run writes is visible to every reader, at once.
    let rows = atlas.database.number(ROWS).await?;
    until(&atlas, ROWS, rows + 50).await?;
    ensure!(running.child.try_wait()?.is_none(), "it has ended: nothing is shown by this");
    let pages = atlas.database.number("SELECT paginas FROM scraps").await?;
    running.signal("KILL").await?;
    running.finish().await?;
    ensure!(atlas.database.number("SELECT paginas FROM scraps").await? >= pages, "what was committed is gone");
    atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
    expect_whole(&atlas, &api).await
}

/// What may happen to the file under a process that has it open.
const WAYS: [&str; 4] = ["deleted", "replaced", "moved", "moved with its folder"];

/// A database in a folder of its own, so that the folder can be moved.
fn installation() -> anyhow::Result<(Atlas, tempfile::TempDir)> {
    let outer = tempfile::tempdir()?;
    let folder = outer.path().join("dados");
    std::fs::create_dir(&folder)?;
    Ok((Atlas::on(Database::sqlite(&folder.join("atlas.db")))?, outer))
}

fn happens(way: &str, outer: &Path) -> anyhow::Result<()> {
    let (folder, aside) = (outer.join("dados"), outer.join("longe"));
    let file = folder.join("atlas.db");
    match way {
        "deleted" => {
            // What a person deletes, they may want back: a link keeps it for the end of the test.
            std::fs::create_dir(&aside)?;
            std::fs::hard_link(&file, aside.join("atlas.db"))?;
            std::fs::remove_file(&file)?;
        }
        "replaced" => {
            std::fs::create_dir(&aside)?;
            std::fs::rename(&file, aside.join("atlas.db"))?;
            std::fs::copy(aside.join("atlas.db"), &file)?;
        }
        "moved" => {
            std::fs::create_dir(&aside)?;
            std::fs::rename(&file, aside.join("atlas.db"))?;
        }
        _ => std::fs::rename(&folder, &aside)?,
    }
    Ok(())
}

/// Puts the very file back to where it was.
fn is_put_back(way: &str, outer: &Path) -> anyhow::Result<()> {
    let (folder, aside) = (outer.join("dados"), outer.join("longe"));
    match way {
        "moved with its folder" => std::fs::rename(&aside, &folder)?,
        _ => std::fs::rename(aside.join("atlas.db"), folder.join("atlas.db"))?,
    }
    Ok(())
}

#[tokio::test]
async fn a_run_whose_file_is_not_there_any_more_ends_and_says_so() -> anyhow::Result<()> {
    for way in WAYS {
        let (atlas, outer) = installation()?;
        let api = slow(&atlas).await?;
        let mut running = atlas.start(&RUN)?;
        running.until_it_says("📄").await?;
        happens(way, outer.path())?;
        let ended = running.finish().await?.expect(3).with_context(|| way)?;
        ensure!(ended.stderr.contains("was deleted or replaced while Atlas had it open"), "{way}: {}", ended.stderr);
        is_put_back(way, outer.path())?;
        let done = atlas.run(&["scrap", "resume", "1", "--output", "json"]).await?.expect(0).with_context(|| way)?;
        assert_eq!(done.text("status")?, "concluido", "{way}");
        expect_whole(&atlas, &api).await.with_context(|| way)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_run_whose_log_is_deleted_ends_and_what_it_had_written_is_in_the_file() -> anyhow::Result<()> {
    for end in ["-wal", "-shm"] {
        let (atlas, outer) = installation()?;
        let api = slow(&atlas).await?;
        let mut running = atlas.start(&RUN)?;
        running.until_it_says("📄").await?;
        std::fs::remove_file(outer.path().join(format!("dados/atlas.db{end}")))?;
        let ended = running.finish().await?.expect(3).with_context(|| end)?;
        ensure!(ended.stderr.contains("was deleted or replaced while Atlas had it open"), "{end}: {}", ended.stderr);
        ensure!(atlas.database.number(ROWS).await? > 0, "{end}: what was in the log is gone");
        let done = atlas.run(&["scrap", "resume", "1", "--output", "json"]).await?.expect(0).with_context(|| end)?;
        assert_eq!(done.text("status")?, "concluido", "{end}");
        expect_whole(&atlas, &api).await.with_context(|| end)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_file_is_not_there_says_so_and_goes_on_when_it_is_back() -> anyhow::Result<()> {
    for way in WAYS {
        let (atlas, outer) = installation()?;
        let api = slow(&atlas).await?;
        queue(&atlas).await?;
        let mut worker = atlas.start(&["worker", "--lang", "en"])?;
        worker.until_it_says("📄").await?;
        happens(way, outer.path())?;
        worker.until_it_says("was deleted or replaced while Atlas had it open").await.with_context(|| way)?;
        is_put_back(way, outer.path())?;
        until(&atlas, "SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'", 1).await.with_context(|| way)?;
        worker.signal("TERM").await?;
        worker.finish().await?.expect(0)?;
        expect_whole(&atlas, &api).await.with_context(|| way)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_only_empties_the_queue_does_not_wait_for_a_file_that_is_gone() -> anyhow::Result<()> {
    let (atlas, outer) = installation()?;
    let _api = slow(&atlas).await?;
    queue(&atlas).await?;
    let mut worker = atlas.start(&["worker", "--until-empty", "--lang", "en"])?;
    worker.until_it_says("📄").await?;
    happens("deleted", outer.path())?;
    let ended = worker.finish().await?.expect(3)?;
    ensure!(ended.stderr.contains("was deleted or replaced while Atlas had it open"), "{}", ended.stderr);
    Ok(())
}

/// A file system of its own with so much room, as long as this lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None, and a reason printed, where nothing may be mounted.
    async fn of(size: &str) -> anyhow::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", size, "none"]).arg(folder.path()).output().await;
        match mount {
            Ok(mount) if mount.status.success() => Ok(Some(Self(folder))),
            refused => {
                #[allow(clippy::disallowed_macros)] // why nothing was tested
                {
                    eprintln!("skipped: no file system may be mounted here: {refused:?}");
                }
                Ok(None)
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> anyhow::Result<()> {
        use std::io::Write;
        let mut ballast = std::fs::File::options().create(true).append(true).open(self.path().join("lastro"))?;
        for size in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
        Ok(())
    }

    fn make_room(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.path().join("lastro"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// The status of an answer, or what came in its place.
async fn status(address: &str, path: &str) -> String {
    let asked = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or("closed").to_owned())
    };
    match tokio::time::timeout(Duration::from_secs(30), asked).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => error.to_string(),
        Err(late) => late.to_string(),
    }
}

async fn until_status(address: &str, path: &str, wanted: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let is = status(address, path).await;
        if is == wanted {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{path} says {is}, and not {wanted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// `atlas serve`, and where it listens.
async fn serve(atlas: &Atlas) -> anyhow::Result<(atlas_tests::Running, String)> {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--output", "json", "--lang", "en"];
    let mut serving = atlas.start(&serve)?;
    let first: serde_json::Value = serde_json::from_str(&serving.first_line().await?)?;
    let url = first["endereco"].as_str().context("an address")?;
    let address = url.split_once("://").context("a URL")?.1.to_owned();
    Ok((serving, address))
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_costs_time_and_nothing_else() -> anyhow::Result<()> {
    let queued: &[&[&str]] = &[&["worker", "--lang", "en"], &RUN];
    for arguments in queued {
        let Some(disk) = SmallDisk::of("size=12m").await? else { return Ok(()) };
        let atlas = Atlas::on(Database::sqlite(&disk.path().join("atlas.db")))?;
        let api = slow(&atlas).await?;
        if arguments[0] == "worker" {
            queue(&atlas).await?;
        }
        let mut running = atlas.start(arguments)?;
        running.until_it_says("📄").await?;
        disk.fill()?;
        running.until_it_says("The database did not answer").await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        ensure!(running.child.try_wait()?.is_none(), "{arguments:?}: it has ended");
        disk.make_room()?;
        until(&atlas, "SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'", 1).await?;
        if arguments[0] == "worker" {
            running.signal("TERM").await?;
        }
        running.finish().await?.expect(0)?;
        expect_whole(&atlas, &api).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_on_a_full_disk_is_not_ready_until_there_is_room_again() -> anyhow::Result<()> {
    let Some(disk) = SmallDisk::of("size=12m").await? else { return Ok(()) };
    let mut atlas = Atlas::on(Database::sqlite(&disk.path().join("atlas.db")))?;
    atlas.set("ATLAS_LEASE", "5");
    let api = slow(&atlas).await?;
    queue(&atlas).await?;
    let (serving, address) = serve(&atlas).await?;
    until(&atlas, ROWS, 20).await?;
    until_status(&address, "/readyz", "200").await?;
    disk.fill()?;
    until_status(&address, "/readyz", "503").await?;
    assert_eq!(status(&address, "/healthz").await, "200");
    disk.make_room()?;
    until_status(&address, "/readyz", "200").await?;
    until(&atlas, "SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'", 1).await?;
    serving.signal("TERM").await?;
    serving.finish().await?.expect(0)?;
    expect_whole(&atlas, &api).await
}

#[tokio::test]
async fn a_server_whose_file_is_not_there_is_not_ready_until_it_is_back() -> anyhow::Result<()> {
    for way in WAYS {
        let (atlas, outer) = installation()?;
        let api = slow(&atlas).await?;
        queue(&atlas).await?;
        let (serving, address) = serve(&atlas).await?;
        until(&atlas, ROWS, 20).await?;
        until_status(&address, "/readyz", "200").await?;
        happens(way, outer.path())?;
        until_status(&address, "/readyz", "503").await.with_context(|| way)?;
        is_put_back(way, outer.path())?;
        until_status(&address, "/readyz", "200").await.with_context(|| way)?;
        until(&atlas, "SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'", 1).await.with_context(|| way)?;
        serving.signal("TERM").await?;
        serving.finish().await?.expect(0)?;
        expect_whole(&atlas, &api).await.with_context(|| way)?;
    }
    Ok(())
}

/// Lets a process open so many files more than it has open, or as many as it likes.
async fn limit_files(process: u32, more: Option<usize>) -> anyhow::Result<()> {
    let open = std::fs::read_dir(format!("/proc/{process}/fd"))?.count();
    let most = more.map_or_else(|| "1024".to_owned(), |more| (open + more).to_string());
    let limit = format!("--nofile={most}:");
    let set =
        Command::new("prlimit").args(["--pid", &process.to_string(), &limit]).stdout(Stdio::null()).status().await?;
    ensure!(set.success(), "prlimit {limit}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_without_file_descriptors_goes_on_when_there_are_some_again() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        for kind in ["run", "worker", "serve"] {
            let api = slow(&atlas).await?;
            let (running, address) = match kind {
                "run" => (atlas.start(&RUN)?, None),
                "worker" => {
                    queue(&atlas).await?;
                    (atlas.start(&["worker", "--lang", "en"])?, None)
                }
                _ => {
                    queue(&atlas).await?;
                    let (serving, address) = serve(&atlas).await?;
                    (serving, Some(address))
                }
            };
            until(&atlas, ROWS, 20).await?;
            let process = running.child.id().context("it has ended")?;
            let mut held = Vec::new();
            limit_files(process, Some(0)).await?;
            if let Some(address) = &address {
                for _ in 0..50 {
                    held.push(tokio::net::TcpStream::connect(address).await?);
                }
            }
            tokio::time::sleep(Duration::from_secs(3)).await;
            limit_files(process, None).await?;
            drop(held);
            if let Some(address) = &address {
                until_status(address, "/readyz", "200").await.with_context(|| kind)?;
            }
            until(&atlas, "SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'", 1).await.with_context(|| kind)?;
            if kind != "run" {
                running.signal("TERM").await?;
            }
            running.finish().await?.expect(0).with_context(|| kind)?;
            expect_whole(&atlas, &api).await.with_context(|| kind)?;
            atlas.database.execute("DELETE FROM scrap_cursores; DELETE FROM dados_raw; DELETE FROM scraps").await?;
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_that_begins_with_too_few_file_descriptors_says_that_it_lacks_them() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let _api = slow(&atlas).await?;
    for files in (6..40).step_by(3) {
        let command = atlas.command(&["doctor", "--lang", "en"])?;
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nofile={files}")).arg(command.as_std().get_program()).args(command.as_std().get_args());
        limited.current_dir(atlas.folder()).stdin(Stdio::null()).kill_on_drop(true);
        for (name, value) in command.as_std().get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let ended = tokio::time::timeout(PATIENCE, limited.output()).await.context("it hangs")??;
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        let code = ended.status.code().unwrap_or(-1);
        let says_so = ["file descriptor", "Too many open files", "too many open files", "too many files are open"]
            .iter()
            .any(|t| said.contains(t));
        ensure!(matches!(code, 0 | 3 | 7 | 127) && (code == 0 || says_so), "{files} files: exit {code}\n{said}");
    }
    Ok(())
}
