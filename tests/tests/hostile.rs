//! Connectors that attack, `tests/hostile/`: a folder for each, with the connector and with what
//! must come of it (`expected.toml`). Each runs in one process with a well-behaved scrap of another
//! connector, in both languages: the host lives, the attacker's scrap ends in the state that is
//! documented, what is said of it can be read by a person, and the neighbour notices nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use atlas_tests::versions::{another, rename_over};
use atlas_tests::{Atlas, FROM, Faults, LANGUAGES, Redirect, Rota, SampleApi, Settings, TO, api};
use serde::Deserialize;

const CLIENT: u32 = 2151;
const HOLDER: u32 = 2152;
/// The attacker's scrap, and its neighbour's.
const SCRAPS: [&str; 2] = ["1", "2"];
/// What the process may ever hold: a guest's 256 MiB, what the host itself needs in a build for
/// debugging, and copies of what passes between the two.
const PEAK_MIB: u64 = 1024;
/// What a run may say, `-v` included, in all: a guest's 64 KiB of log for each of a few attempts,
/// and the neighbour's records.
const SAID_BYTES: usize = 768 * 1024;

/// How long the neighbour may take for its ten pages, which alone take it half a second in a build
/// for debugging: far less than the attackers that go on until their time is over, and enough for a
/// machine that runs other tests at the same time.
const NEIGHBOUR_MS: i64 = 15_000;

/// What may be stored of how a scrap ended, as it is shown: a reason of 4 KiB, escaped, and what is
/// said of it.
const SHOWN_BYTES: usize = 64 * 1024;

/// What must come of a case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// The command's exit code.
    exit: i32,
    /// The state in which the attacker's scrap is left.
    state: String,
    /// What is said of it, whatever the language.
    #[serde(default)]
    words: Vec<String>,
    /// Requests to the source that may come of it.
    requests_at_most: Option<u64>,
    /// How the file comes to be there.
    #[serde(default)]
    put: Put,
    /// Whether the source writes what it was sent into its answers, as long as the attacker runs:
    /// alone, for the neighbour's records would be others.
    #[serde(default)]
    echoes: bool,
    /// Whether the source sends the attacker to another origin, as long as it runs: alone, as with
    /// `echoes`.
    redirects: Option<Redirects>,
    /// Limits to set for the attacker, as in `atlas.toml`, so that the test does not take as long
    /// as it would like.
    #[serde(default)]
    limits: BTreeMap<String, u64>,
    /// Limits of the house to set.
    #[serde(default)]
    house: BTreeMap<String, u64>,
}

/// Another origin, where the credential is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Redirects {
    /// The operator never heard of it.
    ToAStranger,
    /// The operator granted it.
    ToAGrantedOrigin,
}

/// How an attacker's file is put into the folder of connectors. All but the first need no connector
/// of their own, only the tame one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Put {
    /// The case's connector is copied there.
    #[default]
    Whole,
    /// The first half of a connector is.
    Half,
    /// A symbolic link to a connector elsewhere is.
    Link,
    /// A directory of its name is.
    Directory,
    /// Another version of it is put in its place every millisecond, for as long as the run lasts.
    Replaced,
    /// Two files, as large as a component may be, are put in each other's place every few
    /// milliseconds: a new one comes long before the one before it is read.
    Swapped,
}

impl Put {
    /// Puts the file there. What is given goes on until it is told to stop.
    fn put(self, case: &str, file: &Path) -> anyhow::Result<Option<Replacing>> {
        let connector = |name: &str| anyhow::Ok(atlas_tests::hostile_connectors()?.join(format!("{name}.wasm")));
        let tame = connector("tame")?;
        std::fs::remove_file(file)?;
        match self {
            Self::Whole => {
                std::fs::copy(connector(case)?, file)?;
            }
            Self::Half => {
                let whole = std::fs::read(tame)?;
                std::fs::write(file, &whole[..whole.len() / 2])?;
            }
            Self::Link => std::os::unix::fs::symlink(tame, file)?,
            Self::Directory => std::fs::create_dir(file)?,
            Self::Replaced => {
                std::fs::copy(&tame, file)?;
                let (component, file) = (std::fs::read(tame)?, file.to_owned());
                let put = move |number| rename_over(&file, &another(&component, number));
                return Ok(Some(Replacing::start(Duration::from_millis(1), put)));
            }
            Self::Swapped => {
                let huge = ["a", "b"].map(|name| file.with_extension(name));
                for file in &huge {
                    std::fs::File::create(file)?.set_len(COMPONENT_BYTES)?;
                }
                std::fs::hard_link(&huge[0], file)?;
                let (aside, file) = (file.with_extension("new"), file.to_owned());
                let put = move |number: u64| {
                    std::fs::hard_link(&huge[usize::from(number.is_multiple_of(2))], &aside)?;
                    Ok(std::fs::rename(&aside, &file)?)
                };
                return Ok(Some(Replacing::start(Duration::from_millis(3), put)));
            }
        }
        Ok(None)
    }
}

/// The most that a component may have, and so the most that is read.
const COMPONENT_BYTES: u64 = 64 << 20;

/// A thread that puts one version after another in a file's place.
struct Replacing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Replacing {
    /// Puts a file there after each pause, by its number.
    fn start(pause: Duration, put: impl Fn(u64) -> anyhow::Result<()> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                put(number)?;
                number += 1;
                std::thread::sleep(pause);
            }
            Ok(number)
        });
        Self { stop, thread }
    }

    fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let replaced = self.thread.join().map_err(|_| anyhow::anyhow!("the thread that replaces panicked"))??;
        anyhow::ensure!(replaced > 10, "replaced {replaced} times only");
        Ok(())
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile")
}

/// An installation with a good connector and a harmless one, each with a scrap to run.
async fn ready(api: &SampleApi, settings: &str) -> anyhow::Result<(Atlas, PathBuf)> {
    let mut atlas = Atlas::on_sqlite()?;
    let connectors = atlas.folder().join("connectors");
    std::fs::create_dir(&connectors)?;
    std::fs::copy(atlas_tests::connectors()?.join("pedido.wasm"), connectors.join("pedido.wasm"))?;
    let attacker = connectors.join("hostil.wasm");
    std::fs::copy(atlas_tests::hostile_connectors()?.join("tame.wasm"), &attacker)?;
    atlas.set("ATLAS_CONNECTORS", &connectors.display().to_string());
    std::fs::write(atlas.folder().join("atlas.toml"), settings)?;
    atlas.register(CLIENT, api).await?;
    let create = ["scrap", "create", "--client", "2151", "--route"];
    let scraps = [&["hostil"][..], &["pedido", "--from", FROM, "--to", TO, "--page-size", "20"]];
    for (scrap, id) in scraps.into_iter().zip(SCRAPS) {
        let created = atlas.run(&[&create[..], scrap].concat()).await?.expect(0)?;
        assert_eq!(created.stdout.trim(), id);
    }
    Ok((atlas, attacker))
}

/// Takes away what the installation remembers of the attacker's route.
fn forget_hostil(atlas: &Atlas) -> anyhow::Result<()> {
    // A folder for each folder of connectors.
    for folder in std::fs::read_dir(atlas.folder().join("state"))? {
        std::fs::remove_file(folder?.path().join("routes/hostil.json"))?;
    }
    Ok(())
}

/// The most memory that a process has held so far, in MiB.
fn peak_mib(process: u32) -> Option<u64> {
    status_mib(process, "VmHWM:")
}

/// What the system says of a process's memory, in MiB.
fn status_mib(process: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

/// Fails unless a person's terminal can take it.
fn expect_readable(said: &str) -> anyhow::Result<()> {
    anyhow::ensure!(said.len() <= SAID_BYTES, "{} bytes were said", said.len());
    let harmful = |c: &char| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c);
    anyhow::ensure!(!said.chars().any(|c| harmful(&c)), "it could move a terminal's cursor: {said:?}");
    Ok(())
}

async fn attack(case: &str) -> anyhow::Result<()> {
    let case = case.replace('_', "-");
    let expected = std::fs::read_to_string(folder().join(&case).join("expected.toml"))?;
    let expected: Expected = toml::from_str(&expected)?;
    for lang in LANGUAGES {
        let faults = Faults { latency_ms: 5, ..Faults::default() };
        let api = api(40, faults.clone()).await?;
        let thief = SampleApi::start(Settings::default()).await?;
        let set = |limits: &BTreeMap<String, u64>| -> String {
            limits.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
        };
        let (house, limits) = (set(&expected.house), set(&expected.limits));
        let grant = match expected.redirects {
            Some(Redirects::ToAGrantedOrigin) => {
                format!("[[grant]]\napi = \"jueri\"\norigins = [\"{}\"]\nprivate = true\n", thief.origin())
            }
            _ => String::new(),
        };
        let (atlas, attacker) =
            ready(&api, &format!("[limits]\n{house}\n[connector.hostil.limits]\n{limits}\n{grant}")).await?;
        let mut replacing = expected.put.put(&case, &attacker)?;
        // Else the tame version would go on in its place.
        forget_hostil(&atlas)?;

        let alone = expected.echoes || expected.redirects.is_some();
        let together = if alone { &SCRAPS[..1] } else { &SCRAPS[..] };
        let redirect = expected.redirects.map(|_| Redirect::Other(format!("{}/{CLIENT}/cliente", thief.base_url())));
        api.set_faults(Faults { echo: expected.echoes, redirect, ..faults })?;
        // Once is enough to see what is held afterwards.
        let holder = if lang == LANGUAGES[0] { None } else { Some(Holder::new(&atlas).await?) };
        let holders = holder.as_ref().map(|holder| holder.scrap.as_str());
        let scraps: Vec<&str> = together.iter().copied().chain(holders).collect();
        let running = atlas.start(&[&["scrap", "run", "-v", "--lang", lang], &scraps[..]].concat())?;
        let process = running.child.id().context("it runs")?;
        let watching = tokio::spawn(async move {
            let mut peak = 0;
            while let Some(now) = peak_mib(process) {
                peak = now;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            peak
        });
        let mut held = None;
        // All are read meanwhile, or what is said would wait for a reader.
        let afterwards = async {
            if let Some(holder) = &holder {
                until("the attacker's end", || async { Ok(state(&atlas, SCRAPS[0]).await? == expected.state) }).await?;
                if !alone {
                    until("the neighbour's end", || async { Ok(state(&atlas, SCRAPS[1]).await? == "concluido") })
                        .await?;
                }
                if let Some(replacing) = replacing.take() {
                    replacing.stop()?;
                    // The last of the files is still being read.
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                held = Some(least_memory(process).await?);
                holder.release()?;
            }
            anyhow::Ok(())
        };
        let (ran, afterwards) = tokio::join!(running.finish(), afterwards);
        let ran = ran?.expect(expected.exit)?;
        afterwards.with_context(|| ran.stderr.clone())?;
        replacing.map_or(Ok(()), Replacing::stop)?;
        let peak = watching.await?;
        assert!(peak <= PEAK_MIB, "{peak} MiB");
        expect_readable(&ran.stderr)?;
        expect_readable(&std::fs::read_to_string(atlas.log()).unwrap_or_default())?;
        if expected.exit != 0 {
            ran.said(lang)?;
        }
        for word in &expected.words {
            assert!(ran.stderr.contains(word), "{word:?} was not said: {}", ran.stderr);
        }
        let shown = atlas.run(&["scrap", "show", SCRAPS[0], "--output", "json"]).await?.expect(0)?;
        assert_eq!(shown.text("status")?, expected.state, "{}", ran.stderr);
        assert!(shown.stdout.len() <= SHOWN_BYTES, "{} bytes are stored of it", shown.stdout.len());

        api.set_faults(Faults::default())?;
        for left in SCRAPS.iter().skip(together.len()) {
            atlas.run(&["scrap", "run", left]).await?.expect(0)?;
        }
        let shown = atlas.run(&["scrap", "show", SCRAPS[1], "--output", "json"]).await?.expect(0)?;
        assert_eq!(shown.text("status")?, "concluido", "{}", ran.stderr);
        let orders = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &orders).await?;
        let again = "SELECT COUNT(*) FROM scrap_cursores WHERE scrap_id = 2 AND tentativas <> 1";
        assert_eq!(atlas.database.number(again).await?, 0, "pages of the neighbour were asked for again");
        let took = shown.number("duracao_ms")?;
        assert!(took <= NEIGHBOUR_MS, "the neighbour took {took} ms");
        let served = api.served();
        let requests = served.requests - served.route(CLIENT, Rota::Pedido).map_or(0, |route| route.requests);
        assert!(requests <= expected.requests_at_most.unwrap_or(u64::MAX), "{requests} requests");
        assert_eq!((served.authorization_wrong, served.authorization_missing), (0, 0));
        let elsewhere = thief.served();
        assert_eq!((elsewhere.authorization_right, elsewhere.authorization_wrong), (0, 0), "the credential went along");
        assert_eq!(elsewhere.requests > 0, expected.redirects == Some(Redirects::ToAGrantedOrigin));
        if let (Some(held), Some(holder)) = (held, holder) {
            let quiet = memory_of_a_quiet_process(&atlas, holder).await?;
            assert!(
                held <= quiet + KEPT_MIB,
                "{held} MiB are held afterwards, and {quiet} by a process that met nobody"
            );
        }
    }
    Ok(())
}

/// A scrap of another client, at a source that does not answer until the test lets it: so the
/// process goes on once the others are done.
struct Holder {
    api: SampleApi,
    scrap: String,
}

impl Holder {
    async fn new(atlas: &Atlas) -> anyhow::Result<Self> {
        let api = api(1, Faults::default()).await?;
        atlas.register(HOLDER, &api).await?;
        Self::at(api, atlas).await
    }

    async fn at(api: SampleApi, atlas: &Atlas) -> anyhow::Result<Self> {
        let client = HOLDER.to_string();
        let create = ["scrap", "create", "--client", &client, "--route", "pedido", "--from", FROM, "--to", FROM];
        let scrap = atlas.run(&create).await?.expect(0)?.stdout.trim().to_owned();
        api.set_faults(Faults { hold: true, ..Faults::default() })?;
        Ok(Self { api, scrap })
    }

    fn release(&self) -> anyhow::Result<()> {
        self.api.set_faults(Faults::default())
    }
}

/// What a process holds that has nothing but such a scrap to run, in MiB.
async fn memory_of_a_quiet_process(atlas: &Atlas, before: Holder) -> anyhow::Result<u64> {
    let requests = before.api.served().requests;
    let holder = Holder::at(before.api, atlas).await?;
    let running = atlas.start(&["scrap", "run", &holder.scrap])?;
    let process = running.child.id().context("it runs")?;
    until("the holder's request", || async { Ok(holder.api.served().requests > requests) }).await?;
    let held = least_memory(process).await?;
    holder.release()?;
    running.finish().await?.expect(0)?;
    Ok(held)
}

/// The least that a process holds within some seconds, in MiB: what is given back is given back
/// aside. No caller waits for more than is asked for in any case.
async fn least_memory(process: u32) -> anyhow::Result<u64> {
    let mut least = u64::MAX;
    for _ in 0..150 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        least = least.min(status_mib(process, "VmRSS:").context("it still runs")?);
        if least < KEPT_MIB {
            break;
        }
    }
    Ok(least)
}

async fn until<F: Future<Output = anyhow::Result<bool>>>(what: &str, holds: impl Fn() -> F) -> anyhow::Result<()> {
    let began = Instant::now();
    while !holds().await? {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(90), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn state(atlas: &Atlas, scrap: &str) -> anyhow::Result<String> {
    atlas.database.text(&format!("SELECT estado FROM scraps WHERE id = {scrap}")).await
}

/// What the process may keep for the next time, in MiB. A million small records leave about 30,
/// whether one attacker asks for them or eight do; the 128 MiB of strings that another makes the
/// host copy have to be given back.
const KEPT_MIB: u64 = 48;

macro_rules! cases {
    ($($case:ident)*) => {
        $(#[tokio::test]
        async fn $case() -> anyhow::Result<()> {
            attack(stringify!($case)).await
        })*

        const CASES: &[&str] = &[$(stringify!($case)),*];
    };
}

cases! {
    a_call_through_a_subtype
    a_cursor_that_controls_the_terminal
    a_description_of_16_mib
    a_directory_with_its_name
    a_file_cut_in_half
    a_file_replaced_all_the_time
    a_hash_without_content
    a_hash_without_key
    a_link_to_elsewhere
    a_memory_of_4_gib
    a_million_branches
    a_million_pointers
    a_million_records
    a_quota_until_nonsense
    a_rate_without_end
    a_reason_of_32_mib
    a_reason_that_controls_the_terminal
    a_retry_for_ever
    a_retry_in_a_thousand_years
    a_route_of_somebody_else
    a_route_that_is_a_path
    a_schema_that_refers_elsewhere
    a_schema_that_refers_to_itself
    a_start_that_spins
    a_table_that_grows
    a_total_beyond_counting
    acknowledgments_without_end
    an_answer_outside_its_memory
    atomics_without_threads
    awkward_pointers
    branches_that_branch
    bytes_far_apart
    credential_fishing
    cursor_with_nul
    cursors_in_a_circle
    cursors_of_four_kilobytes
    cursors_without_end
    describe_that_refuses
    describe_that_sends
    describe_that_sleeps
    describe_that_spins
    describe_that_takes_memory
    empty_pages_without_end
    endless_loop
    endless_recursion
    handle_exhaustion
    header_smuggling
    huge_cursor
    huge_requests
    imports_another_interface
    imports_version_9
    log_controls
    log_flood
    many_memories
    memory_bomb
    method_not_granted
    opens_files
    opens_sockets
    other_origins
    panic_with_a_message
    path_traversal
    pointers_without_end
    records_that_are_none
    records_that_are_none_without_end
    redirect_to_a_granted_origin
    redirect_to_a_stranger
    refusals_without_end
    requests_after_the_deadline
    requests_without_end
    response_as_selection
    response_of_another_call
    same_cursor_for_ever
    same_records_for_ever
    selection_made_up
    selection_twice
    selections_without_end
    shared_strings_in_every_page
    strings_that_share_their_bytes
    table_bomb
    tame
    ten_thousand_requests
    text_that_is_not_utf8
    trap_in_describe
    trap_in_fetch_page
    two_huge_files_swapped_all_the_time
}

#[test]
fn every_case_has_a_test() -> anyhow::Result<()> {
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(folder())? {
        let path = entry?.path();
        if path.join("expected.toml").is_file() {
            folders.extend(path.file_name().map(|name| name.to_string_lossy().replace('-', "_")));
        }
    }
    assert_eq!(folders, CASES.iter().map(|case| (*case).to_owned()).collect());
    assert!(CASES.len() > 40);
    Ok(())
}
