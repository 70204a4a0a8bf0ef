//! Events: all of them, in order, without gaps, whichever process runs the scraps.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use atlas_tests::{Atlas, FROM, Faults, TO, api};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Caller, PATIENCE, Server};

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    process: String,
    number: u64,
    name: String,
    data: Value,
}

struct Listener {
    answer: Response,
    text: String,
}

impl Listener {
    async fn open(caller: &Caller, query: &str, last: Option<&str>) -> anyhow::Result<Self> {
        let mut request = caller.ask(reqwest::Method::GET, &format!("/api/v1/events{query}")).timeout(PATIENCE);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await?;
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        ensure!(answer.headers()["content-type"] == "text/event-stream");
        Ok(Self { answer, text: String::new() })
    }

    /// The next event; none: the stream has ended.
    async fn next(&mut self) -> anyhow::Result<Option<Told>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                let of = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
                // A comment, so that no proxy takes the connection for dead.
                let Some(id) = of("id:") else { continue };
                let (process, number) = id.split_once('-').with_context(|| event.clone())?;
                return Ok(Some(Told {
                    process: process.to_owned(),
                    number: number.parse()?,
                    name: of("event:").unwrap_or_default().to_owned(),
                    data: serde_json::from_str(of("data:").unwrap_or("null"))?,
                }));
            }
            match tokio::time::timeout(PATIENCE, self.answer.chunk()).await.context("nothing is told")?? {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk)?),
                None => return Ok(None),
            }
        }
    }

    /// Everything until each of these scraps has been told of in this state.
    async fn until(&mut self, wanted: &BTreeMap<i64, &str>) -> anyhow::Result<Vec<Told>> {
        let (mut told, mut left) = (Vec::new(), wanted.clone());
        while !left.is_empty() {
            let Some(event) = self.next().await? else { bail!("the stream ended, and {left:?} are missing") };
            if let (Some(id), Some(state)) = (event.data["id"].as_i64(), event.data["estado"].as_str())
                && left.get(&id) == Some(&state)
            {
                left.remove(&id);
            }
            told.push(event);
        }
        Ok(told)
    }
}

fn id(told: &Told) -> String {
    format!("{}-{}", told.process, told.number)
}

fn expect_without_gaps(told: &[Told]) -> anyhow::Result<()> {
    ensure!(told.first().is_some_and(|first| first.name == "hello"), "{:?}", told.first());
    for two in told.windows(2) {
        ensure!(two[0].process == two[1].process && two[0].number + 1 == two[1].number, "{two:?}");
        ensure!(matches!(two[1].name.as_str(), "scrap" | "line" | "connector"), "{:?}", two[1]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_listeners_are_told_everything_in_order_while_twenty_scraps_run() -> anyhow::Result<()> {
    const LISTENERS: usize = 200;
    const SCRAPS: u32 = 20;
    let api = api(40, Faults { latency_ms: 40, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        for client in 1..=SCRAPS {
            atlas.register(client, &api).await?;
        }
        let server = Server::start(&atlas, &["--scraps", "8"]).await?;
        let program = server.program(&atlas, true).await?;
        // What it takes once: connectors, pools, caches.
        let first = program.create(1, json!({})).await?;
        program.until(first, "concluido").await?;
        let mut listeners = Vec::new();
        // One access may have 64.
        let mut others = Vec::new();
        for _ in 0..LISTENERS.div_ceil(50) {
            others.push(server.program(&atlas, true).await?);
        }
        for number in 0..LISTENERS {
            let mut listener = Listener::open(&others[number / 50], "", None).await?;
            let hello = listener.next().await?.context("hello")?;
            listeners.push((hello, listener));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = server.resident_kib()?;
        let mut ids = BTreeMap::new();
        for client in 1..=SCRAPS {
            // The first has been read already; its records are there.
            ids.insert(program.create(client, json!({})).await?, "concluido");
        }
        let mut listening = JoinSet::new();
        for (hello, mut listener) in listeners {
            let ids = ids.clone();
            listening.spawn(async move {
                let mut told = vec![hello];
                told.extend(listener.until(&ids).await?);
                anyhow::Ok((told, listener))
            });
        }
        let mut heard = Vec::new();
        for listener in listening.join_all().await {
            heard.push(listener?);
        }
        let after = server.resident_kib()?;
        let (first, _) = &heard[0];
        for (told, _) in &heard {
            expect_without_gaps(told)?;
            // All are told the same from where they began.
            let (from, to) = (told[1].number, told[told.len() - 1].number);
            let same = first.iter().skip(1).filter(|one| (from..=to).contains(&one.number));
            ensure!(
                same.zip(told.iter().skip_while(|one| one.name == "hello" || one.number < first[1].number))
                    .all(|(a, b)| a == b)
            );
        }
        // What was told last of each scrap is how it ended.
        for id in ids.keys() {
            let last =
                first.iter().rev().find(|told| told.name == "scrap" && told.data["id"] == *id).context("told")?;
            let scrap = program.json(&format!("/scraps/{id}")).await?;
            for member in
                ["estado", "lidos", "inseridos", "duplicados", "reencontrados", "rejeitados", "paginas", "fronteira"]
            {
                ensure!(last.data[member] == scrap[member], "{member}: {last:?} {scrap}");
            }
        }
        #[allow(clippy::disallowed_macros)] // worth knowing
        {
            eprintln!(
                "{LISTENERS} listeners, {} events each: {before} KiB resident before, {after} KiB after",
                first.len() - 1
            );
        }
        ensure!(after < before + 48 * 1024, "{before} KiB before, {after} KiB after");
        // Listeners that are there do not keep it from stopping.
        let began = Instant::now();
        server.stop().await?;
        ensure!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        for (_, mut listener) in heard {
            while let Ok(Some(_)) = listener.next().await {}
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_comes_back_is_told_what_they_missed_and_who_cannot_be_is_told_so() -> anyhow::Result<()> {
    let api = api(20, Faults { latency_ms: 20, ..Faults::default() }).await?;
    let atlas = Atlas::on_sqlite()?;
    for client in [1, 2] {
        atlas.register(client, &api).await?;
    }
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let mut whole = Listener::open(&program, "", None).await?;
    let mut broken = Listener::open(&program, "", None).await?;
    let seen = broken.next().await?.context("hello")?;
    drop(broken);
    let first = program.create(1, json!({})).await?;
    program.until(first, "concluido").await?;
    let ids = BTreeMap::from([(first, "concluido")]);
    let all = whole.until(&ids).await?;
    expect_without_gaps(&all)?;
    // By the header, as browsers do, and by the address, as pages do that were just rendered. The
    // header comes first.
    let since = format!("?since={}", id(&seen));
    let wrong = "?since=nonsense".to_owned();
    for (query, header) in [(String::new(), Some(id(&seen))), (since, None), (wrong, Some(id(&seen)))] {
        let mut again = Listener::open(&program, &query, header.as_deref()).await?;
        let replayed = again.until(&ids).await?;
        expect_without_gaps(&replayed)?;
        assert_eq!(replayed[1..], all[1..]);
    }
    // From the middle on.
    let middle = &all[all.len() / 2];
    let mut again = Listener::open(&program, "", Some(&id(middle))).await?;
    assert_eq!(again.until(&ids).await?[1..], all[all.len() / 2 + 1..]);
    // Only one scrap's.
    let second = program.create(2, json!({})).await?;
    program.until(second, "concluido").await?;
    let mut one = Listener::open(&program, &format!("?scrap_id={second}"), Some(&id(&seen))).await?;
    let told = one.until(&BTreeMap::from([(second, "concluido")])).await?;
    assert!(told[1..].iter().all(|told| told.data["id"] == second || told.data["scrap_id"] == second), "{told:?}");
    // Places that the journal does not have.
    let ahead = format!("{}-{}", seen.process, u64::MAX - 1);
    for unknown in ["00000000-1", "x", "", "-", &ahead, "ffffffffffffffff-1", "\u{e9}"] {
        let mut listener = Listener::open(&program, "", Some(unknown)).await?;
        let told = [listener.next().await?.context("hello")?, listener.next().await?.context("reset")?];
        assert_eq!((told[0].name.as_str(), told[1].name.as_str()), ("hello", "reset"), "{unknown}");
        assert_eq!(told[1].process, seen.process);
    }
    server.stop().await?;
    // Another process knows nothing of the one before.
    let server = Server::start(&atlas, &[]).await?;
    let program = Caller { url: server.url.clone(), ..program };
    let mut listener = Listener::open(&program, "", Some(&id(&seen))).await?;
    listener.next().await?;
    assert_eq!(listener.next().await?.context("reset")?.name, "reset");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_another_process_runs_is_told_too() -> anyhow::Result<()> {
    let api = api(40, Faults { latency_ms: 60, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        for client in [1, 2] {
            atlas.register(client, &api).await?;
        }
        let server = Server::start(&atlas, &[]).await?;
        let reader = server.program(&atlas, false).await?;
        let mut listener = Listener::open(&reader, "", None).await?;
        let ran = atlas.run_pedido(1, &["--page-size", "5", "--concurrency", "1"]).await?.expect(0)?;
        let of = ran.number("scrap_id").or_else(|_| ran.number("id"))?;
        let told = listener.until(&BTreeMap::from([(of, "concluido")])).await?;
        expect_without_gaps(&told)?;
        let reads: Vec<i64> =
            told.iter().filter(|told| told.data["id"] == of).filter_map(|told| told.data["lidos"].as_i64()).collect();
        ensure!(reads.windows(2).all(|two| two[0] <= two[1]) && reads.last() == Some(&200), "{reads:?}");
        ensure!(reads.len() >= 3, "it is told of while it runs: {reads:?}");
        // Divided, and over before the second look.
        api.set_faults(Faults::default())?;
        let ran = atlas.run(&[
            "run", "--client", "2", "--route", "pedido", "--from", FROM, "--to", TO, "--slice", "1d", "--output",
            "json",
        ]);
        let ran = ran.await?.expect(0)?;
        let whole = ran.number("scrap_id").or_else(|_| ran.number("id"))?;
        let told = listener.until(&BTreeMap::from([(whole, "concluido")])).await?;
        let last = told.last().context("told")?;
        assert_eq!((&last.data["fatias"], &last.data["fatias_concluidas"]), (&5.into(), &5.into()));
        api.set_faults(Faults { latency_ms: 60, ..Faults::default() })?;
        server.stop().await?;
    }
    Ok(())
}
