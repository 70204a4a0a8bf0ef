//! How answers, pages and the source itself go wrong when they are asked to.

mod common;

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use common::{get, orders, read_all, start_with};
use sample_api::{FaultKind, Faults, Moving, Redirect, Rota};

const FROM: &str = "2025-10-20";
const TO: &str = "2025-10-24";

#[tokio::test]
async fn a_reset_really_resets_before_any_answer() -> anyhow::Result<()> {
    let faults = Faults { fail_first: 1, fail_with: FaultKind::Reset, ..Faults::default() };
    let api = start_with(faults).await?;
    let url = orders(&api, FROM, TO, 150);
    let error = get(&url).await.err().map(|e| e.kind());
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    assert_eq!(get(&url).await?.status, 200);
    let served = api.served();
    assert_eq!((served.faults[&FaultKind::Reset], served.statuses[&200]), (1, 1));
    assert_eq!(served.statuses.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_truncated_body_ends_before_its_declared_length_and_was_not_served() -> anyhow::Result<()> {
    let faults = Faults { fail_page: Some(1), fail_with: FaultKind::Truncated, ..Faults::default() };
    let api = start_with(faults).await?;
    let error = get(&orders(&api, FROM, TO, 150)).await.err().map(|e| e.kind());
    assert_eq!(error, Some(ErrorKind::UnexpectedEof));
    let served = api.served();
    assert_eq!((served.whole_pages, served.statuses[&200]), (0, 1));
    assert_eq!(served.route(2151, Rota::Pedido).map(|it| it.records.len()), Some(0));
    Ok(())
}

#[tokio::test]
async fn the_first_attempts_at_every_page_fail_and_then_it_comes() -> anyhow::Result<()> {
    let faults = Faults {
        fail_first: 2,
        fail_with: FaultKind::Status429,
        retry_after: Some("0.05".into()),
        ..Faults::default()
    };
    let api = start_with(faults).await?;
    for page in 1..=2 {
        let url = orders(&api, FROM, TO, 150).replace("&page=1", &format!("&page={page}"));
        for status in [429, 429, 200] {
            let answer = get(&url).await?;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("retry-after").is_some(), status == 429);
        }
    }
    assert_eq!(api.served().attempts_at(2151, Rota::Pedido, 2), 3);
    Ok(())
}

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be_come_with_a_200() -> anyhow::Result<()> {
    for kind in [FaultKind::TruncatedJson, FaultKind::Html] {
        let api = start_with(Faults { fail_first: 1, fail_with: kind, ..Faults::default() }).await?;
        let answer = get(&orders(&api, FROM, TO, 150)).await?;
        assert_eq!(answer.status, 200);
        assert!(answer.json().is_err(), "{kind:?}");
        assert_eq!(api.served().whole_pages, 0);
    }
    let faults = Faults {
        fail_first: 1,
        fail_with: FaultKind::SlowBody,
        slow_chunk: 4000,
        slow_pause_ms: 10,
        ..Faults::default()
    };
    let api = start_with(faults).await?;
    let began = Instant::now();
    let answer = get(&orders(&api, FROM, TO, 20)).await?;
    assert_eq!(common::elements(answer.text()?), api.records(2151, Rota::Pedido, FROM, TO)?[..20]);
    assert!(began.elapsed() > Duration::from_millis(30));
    Ok(())
}

#[tokio::test]
async fn random_faults_are_the_same_in_every_run() -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let kinds = vec![FaultKind::Status429, FaultKind::Status500, FaultKind::Unauthorized];
        let api = start_with(Faults { random_rate: 0.5, random_kinds: kinds, ..Faults::default() }).await?;
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(get(&orders(&api, FROM, TO, 1)).await?.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    let good = runs[0].iter().filter(|it| **it == 200).count();
    assert!((8..32).contains(&good), "{good} of 40");
    Ok(())
}

#[tokio::test]
async fn a_source_moves_while_it_is_read_and_then_stands_still() -> anyhow::Result<()> {
    let moving = Moving { every: 2, at_end: 3, at_front: 1, delete_front: 2, max_moves: Some(2) };
    let api = start_with(Faults { moving: Some(moving), ..Faults::default() }).await?;
    let before = api.records(2151, Rota::Pedido, FROM, TO)?;
    let read = read_all(orders(&api, FROM, TO, 150), 100).await?;
    let now = api.records_now(2151, Rota::Pedido, FROM, TO)?;
    assert_eq!(now.len(), before.len() + 2 * (3 + 1 - 2));
    assert_eq!(read.last(), now.last());
    assert!(now.contains(&before[3]) && !now.contains(&before[0]) && !now.contains(&before[1]));
    // A second sweep sees what stands there now, and nothing moves any more.
    assert_eq!(read_all(orders(&api, FROM, TO, 150), 100).await?, now);
    assert_eq!(api.records_now(2151, Rota::Pedido, FROM, TO)?, now);
    Ok(())
}

#[tokio::test]
async fn pages_can_repeat_for_ever_or_ignore_their_number() -> anyhow::Result<()> {
    let api = start_with(Faults { repeat_from: Some(2), ..Faults::default() }).await?;
    let held = api.records(2151, Rota::Pedido, FROM, TO)?;
    let read = read_all(orders(&api, FROM, TO, 150), 9).await?;
    assert_eq!((read.len(), &read[8 * 150..]), (9 * 150, &held[150..300]));

    api.set_faults(Faults { ignore_page: true, total_lies: Some(-7), ..Faults::default() })?;
    let read = read_all(orders(&api, FROM, TO, 150), 9).await?;
    assert_eq!((read.len(), &read[450..]), (600, &held[..150]));
    let page = get(&orders(&api, FROM, TO, 150)).await?.json()?;
    assert_eq!((&page["total"], &page["last_page"]), (&593.into(), &4.into()));

    api.set_faults(Faults { empty: true, no_total: true, ..Faults::default() })?;
    let answer = get(&orders(&api, FROM, TO, 150)).await?;
    assert_eq!(answer.text()?, r#"{"data":[],"current_page":1,"last_page":1,"next_page_url":null}"#);
    Ok(())
}

#[tokio::test]
async fn redirects_lead_to_the_page_or_to_another_origin() -> anyhow::Result<()> {
    let api = start_with(Faults { redirect: Some(Redirect::SameOrigin), ..Faults::default() }).await?;
    let answer = get(&orders(&api, FROM, TO, 150)).await?;
    assert_eq!(answer.status, 302);
    let there = get(answer.header("location").unwrap_or_default()).await?;
    assert_eq!(there.status, 200);
    let next = there.json()?["next_page_url"].as_str().map(str::to_owned).unwrap_or_default();
    assert_eq!(get(&next).await?.status, 302);

    let other = "http://127.0.0.1:9/elsewhere";
    api.set_faults(Faults { redirect: Some(Redirect::Other(other.into())), ..Faults::default() })?;
    let answer = get(&orders(&api, FROM, TO, 150)).await?;
    assert_eq!(answer.header("location"), Some(other));
    Ok(())
}

#[tokio::test]
async fn faults_that_make_no_sense_are_refused_and_the_old_ones_stay() -> anyhow::Result<()> {
    let api = start_with(Faults::default()).await?;
    assert!(api.set_faults(Faults { random_rate: 1.5, ..Faults::default() }).is_err());
    assert!(api.set_faults(Faults { slow_chunk: 0, ..Faults::default() }).is_err());
    assert_eq!(api.faults(), Faults::default());
    Ok(())
}
