//! The route `pedido` in Rust, JavaScript and Python: what a connector is written in must be seen
//! neither in the rows nor in how a scrap ends. The records stay in the host, so every language
//! gives the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use atlas_tests::{Atlas, FROM, FaultKind, Faults, Finished, Rota, Row, SampleApi, TO, api};
use tokio::process::Command;

const CLIENT: u32 = 2151;

/// The three files, with the languages they are written in. Rust, the reference, comes first.
fn guests() -> anyhow::Result<[(&'static str, PathBuf); 3]> {
    let examples = atlas_tests::example_connectors()?;
    Ok([
        ("Rust", atlas_tests::connectors()?.join("pedido.wasm")),
        ("JavaScript", examples.join("pedido-js.wasm")),
        ("Python", examples.join("pedido-py.wasm")),
    ])
}

/// Has an installation serve `pedido` by this file alone, and its compiled copy made: seconds, for
/// a large one, once.
async fn ready(atlas: &mut Atlas, guest: &PathBuf, api: &SampleApi) -> anyhow::Result<()> {
    let folder = atlas.folder().join("connectors");
    std::fs::create_dir(&folder)?;
    std::fs::copy(guest, folder.join("pedido.wasm"))?;
    atlas.set("ATLAS_CONNECTORS", &folder.display().to_string());
    atlas.register(CLIENT, api).await?;
    let listed = atlas.run(&["connector", "list", "--output", "json"]).await?.expect(0)?;
    assert_eq!(listed.text("rota")?, "pedido");
    Ok(())
}

#[tokio::test]
async fn a_route_writes_the_same_rows_with_the_same_hashes_in_every_language() -> anyhow::Result<()> {
    let api = api(200, Faults::default()).await?;
    let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    let mut reference: [Option<Vec<Row>>; 2] = [None, None];
    for (language, guest) in guests()? {
        for (mut atlas, reference) in Atlas::on_both().await?.into_iter().zip(&mut reference) {
            ready(&mut atlas, &guest, &api).await?;
            let run = atlas.run_pedido(CLIENT, &["--page-size", "20", "--batch", "500"]).await?.expect(0)?;
            assert_eq!(run.text("status")?, "concluido", "{language}");
            assert_eq!((run.number("lidos")?, run.number("total_declarado")?), (1_000, 1_000), "{language}");
            #[allow(clippy::disallowed_macros)] // told, not judged: it depends on the machine
            {
                let (ms, pages) = (run.number("duracao_ms")?, run.number("paginas")?);
                eprintln!("{language}: {pages} pages in {ms} ms");
            }
            atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
            let rows = atlas.database.rows().await?;
            assert_eq!(rows, *reference.get_or_insert_with(|| rows.clone()), "{language}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_killed_is_resumed_in_every_language() -> anyhow::Result<()> {
    let api = api(200, Faults { latency_ms: 100, ..Faults::default() }).await?;
    let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    for (language, guest) in guests()? {
        let mut atlas = Atlas::on_sqlite()?;
        ready(&mut atlas, &guest, &api).await?;
        let create = ["scrap", "create", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];
        atlas.run(&[&create[..], &["--page-size", "20"]].concat()).await?.expect(0)?;
        let resume = ["scrap", "resume", "1", "--output", "json"];
        for _ in 0..2 {
            let rows = || atlas.database.number("SELECT COUNT(*) FROM dados_raw");
            let before = rows().await?;
            let mut running = atlas.start(&resume)?;
            while rows().await? <= before {
                assert!(running.child.try_wait()?.is_none(), "{language}: it ended without a row more than {before}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            running.signal("KILL").await?;
            running.finish().await?;
            assert!(rows().await? < 1_000, "{language}: it was killed too late");
        }
        let done = atlas.run(&resume).await?.expect(0)?;
        assert_eq!((done.text("status")?.as_str(), done.number("lidos")?), ("concluido", 1_000), "{language}");
        atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
    }
    Ok(())
}

/// Sources that misbehave in ways that the connector, not the host, makes something of.
fn faults() -> Vec<(&'static str, Faults)> {
    let always = |page, fail_with| Faults { fail_page: Some(page), fail_with, ..Faults::default() };
    vec![
        ("token refused", always(1, FaultKind::Unauthorized)),
        (
            "429 with its wait",
            Faults {
                fail_first: 1,
                fail_with: FaultKind::Status429,
                retry_after: Some("0.02".to_owned()),
                ..Faults::default()
            },
        ),
        ("500 for ever", always(2, FaultKind::Status500)),
        ("HTML under 200", always(2, FaultKind::Html)),
        ("half a JSON text", Faults { fail_first: 1, fail_with: FaultKind::TruncatedJson, ..Faults::default() }),
        ("half an answer", Faults { fail_first: 1, fail_with: FaultKind::Truncated, ..Faults::default() }),
        ("no total", Faults { no_total: true, ..Faults::default() }),
        ("nothing", Faults { empty: true, ..Faults::default() }),
        ("no end", Faults { repeat_from: Some(2), ..Faults::default() }),
    ]
}

/// What an operator sees of how a run ended: exit code, state, counts and reason, but not how long
/// it took.
fn outcome(run: &Finished) -> anyhow::Result<serde_json::Value> {
    let mut summary = run.json()?;
    for differs in ["duracao_ms", "conector"] {
        summary[differs].take();
    }
    summary["exit"] = run.code.into();
    Ok(summary)
}

#[tokio::test]
async fn a_source_that_misbehaves_ends_a_scrap_in_the_same_way_in_every_language() -> anyhow::Result<()> {
    let api = api(10, Faults::default()).await?;
    let mut reference = Vec::new();
    for (language, guest) in guests()? {
        let mut outcomes = Vec::new();
        for (fault, faults) in faults() {
            api.set_faults(Faults::default())?;
            let mut atlas = Atlas::on_sqlite()?;
            ready(&mut atlas, &guest, &api).await?;
            api.set_faults(faults)?;
            // One page after the other, so that the counts at the end do not depend on which page
            // came first.
            let one_by_one = ["--page-size", "20", "--retries", "2", "--concurrency", "1", "--batch", "50"];
            outcomes.push((fault, outcome(&atlas.run_pedido(CLIENT, &one_by_one).await?)?));
        }
        if reference.is_empty() {
            assert_eq!(outcomes[0].1["status"], "token_recusado");
            assert_eq!(outcomes[1].1["status"], "concluido");
            reference = outcomes;
        } else {
            for (found, expected) in outcomes.iter().zip(&reference) {
                assert_eq!(found, expected, "{language}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_period_that_the_operator_left_out_and_a_cursor_of_another_meaning_are_refused_alike() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let mut said = Vec::new();
    for (_, guest) in guests()? {
        let mut atlas = Atlas::on_sqlite()?;
        ready(&mut atlas, &guest, &api).await?;
        let bare = atlas.run(&["run", "--client", "2151", "--route", "pedido"]).await?;
        let create = ["scrap", "create", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];
        atlas.run(&create).await?.expect(0)?;
        // A cursor that this connector never made: it must say so, and not ask for some page.
        atlas.database.execute("UPDATE scrap_cursores SET cursor = 'dois'").await?;
        let strange = atlas.run(&["scrap", "run", "1", "--output", "json"]).await?;
        said.push((bare.code, bare.stderr, outcome(&strange)?));
    }
    assert_eq!(api.served().requests, 0);
    assert_eq!((&said[0], &said[0]), (&said[1], &said[2]));
    assert_eq!(said[0].2["status"], "falhou");
    assert!(said[0].2["motivo"].as_str().is_some_and(|why| why.contains("not a page number: dois")), "{:?}", said[0]);
    Ok(())
}

/// What an author's guest shows of what its language reaches: what a library finds that looks for a
/// file or a socket, output, and the time.
const CURIOUS: [(&str, &str); 2] = [
    (
        "pedido.py",
        r#"
import atlas
import wit_world
from datetime import datetime


class WitWorld(wit_world.WitWorld):
    @atlas.reported
    def describe(self, definition):
        return atlas.descriptor(route="pedido", api="jueri", takes_period=True, key=["/id"])

    @atlas.reported
    def fetch_page(self, scrap, cursor):
        import csv

        print("late:", next(csv.reader(["a;b"], delimiter=";")), datetime.strptime("30/11/2026", "%d/%m/%Y").date())
        print("codec:", b"a\xe7\xe3o".decode("cp1252"))
        try:
            open("/etc/passwd")
        except OSError as error:
            print("file:", type(error).__name__)
        import tomllib
"#,
    ),
    (
        "pedido.js",
        r#"
import { descriptor, fatal, reported } from "./atlas.js";

export const describe = reported(() => descriptor({ route: "pedido", api: "jueri", takesPeriod: true, key: ["/id"] }));

export const fetchPage = reported((scrap, cursor) => {
  console.log("time:", new Date().toISOString().slice(0, 2));
  undefined.nothing();
});
"#,
    ),
];

/// Builds a guest of this source as its author does, with the tools that the examples were built
/// with.
async fn built(source: &str, file: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository")?;
    let (language, helper) = if file.ends_with(".py") { ("pedido-py", "atlas.py") } else { ("pedido-js", "atlas.js") };
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(file), source)?;
    std::fs::copy(repository.join("examples/connectors").join(language).join(helper), folder.join(helper))?;
    let tools = atlas_tests::example_connectors()?.join("tools").join(language);
    let (wit, component) = (repository.join("wit/0.1.0"), folder.join("pedido.wasm"));
    let mut build = if language == "pedido-py" {
        let mut build = Command::new(tools.join("venv/bin/componentize-py"));
        build.arg("--wit-path").arg(wit).args(["--world", "connector", "componentize", "--output"]);
        build.arg(&component).arg("pedido").env("VIRTUAL_ENV", tools.join("venv"));
        build
    } else {
        let mut build = Command::new(tools.join("node_modules/.bin/componentize-qjs"));
        build.args(["--sync", "--world", "connector", "--wit"]).arg(wit);
        build.args(["--js", file, "--output"]).arg(&component);
        build
    };
    let ended = build.current_dir(folder).output().await?;
    anyhow::ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(component)
}

/// The code that a cache keeps of core modules, with the time at which each was written.
fn shared_code(cache: &Path) -> anyhow::Result<BTreeMap<String, SystemTime>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(cache)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".module") {
            found.insert(name, entry.metadata()?.modified()?);
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_guest_in_python_has_its_librarys_files_early_its_own_errors_and_a_log() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let mut atlas = Atlas::on_sqlite()?;
    let cache = atlas.folder().join("cache");
    atlas.set("ATLAS_CACHE", &cache.display().to_string());
    let (file, source) = CURIOUS[0];
    let guest = built(source, file, &atlas.folder().join("guest")).await?;
    ready(&mut atlas, &guest, &api).await?;
    let shared = shared_code(&cache)?;
    assert_eq!(shared.len(), 3, "{shared:?}");

    let ran = atlas.run_pedido(CLIENT, &["--verbose"]).await?.expect(7)?;
    for said in [
        "late: ['a', 'b'] 2026-11-30",
        "codec: ação",
        "file: FileNotFoundError",
        "Traceback (most recent call last):",
        "line 22, in fetch_page",
        "ModuleNotFoundError: No module named 'tomllib'",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    // Once, and the last line of it again as the reason.
    assert_eq!(ran.stderr.matches("Traceback (most recent call last):").count(), 1, "{}", ran.stderr);

    // An edit compiles what is its own, and leaves Python's own code as it is.
    let edited = source.replace("import tomllib", "raise RuntimeError('edited')");
    let guest = built(&edited, file, &atlas.folder().join("guest")).await?;
    std::fs::copy(guest, atlas.folder().join("connectors/pedido.wasm"))?;
    let ran = atlas.run_pedido(CLIENT, &["--verbose"]).await?.expect(7)?;
    assert!(ran.stderr.contains("RuntimeError: edited"), "{}", ran.stderr);
    assert_eq!(shared_code(&cache)?, shared);
    Ok(())
}

#[tokio::test]
async fn a_guest_in_javascript_has_the_scraps_time_and_a_log() -> anyhow::Result<()> {
    let api = api(2, Faults::default()).await?;
    let mut atlas = Atlas::on_sqlite()?;
    let (file, source) = CURIOUS[1];
    let guest = built(source, file, &atlas.folder().join("guest")).await?;
    ready(&mut atlas, &guest, &api).await?;
    let ran = atlas.run_pedido(CLIENT, &["--verbose"]).await?.expect(7)?;
    for said in ["time: 20", "TypeError", "pedido.js"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    Ok(())
}
