//! What is handed out until it is acknowledged.

mod common;

use std::io::ErrorKind;

use common::{Answer, TOKEN, get, request, start_with};
use sample_api::{FaultKind, Faults, Rota, SampleApi, Settings};

const CLIENT: u32 = 2151;

/// The next events' texts, and their lot.
async fn poll(api: &SampleApi, most: u64) -> anyhow::Result<(Vec<String>, Option<String>)> {
    let answer = get(&format!("{}/{CLIENT}/evento?limite={most}", api.base_url())).await?;
    anyhow::ensure!(answer.status == 200, "{}", answer.head);
    let text = answer.text()?;
    let data = text.strip_prefix("{\"data\":[").and_then(|rest| rest.rsplit_once("],\"lote\""));
    let data = data.map(|(data, _)| data).filter(|data| !data.is_empty());
    let texts = data.map(|data| data.replace(",{\"id\"", "\n{\"id\"").lines().map(str::to_owned).collect());
    Ok((texts.unwrap_or_default(), answer.json()?["lote"].as_str().map(str::to_owned)))
}

async fn acknowledge(api: &SampleApi, method: &str, lot: &str) -> std::io::Result<Answer> {
    let url = format!("{}/{CLIENT}/evento/ack", api.base_url());
    request(method, &url, &[("authorization", TOKEN)], &format!("{{\"lote\":\"{lot}\"}}")).await
}

#[tokio::test]
async fn events_are_handed_out_again_until_they_are_acknowledged() -> anyhow::Result<()> {
    let api = SampleApi::start(Settings { catalogue: 25, ..Settings::default() }).await?;
    let held = api.records(CLIENT, Rota::Evento, "", "")?;
    let first = poll(&api, 10).await?;
    assert_eq!(first.0, held[..10]);
    assert_eq!(poll(&api, 10).await?, first);
    let lot = first.1.unwrap_or_default();
    // Once or several times, it comes to the same.
    for _ in 0..2 {
        let answer = acknowledge(&api, "POST", &lot).await?;
        assert_eq!((answer.status, answer.text()?), (200, "{\"confirmados\":10}"));
        assert_eq!(api.acknowledged(CLIENT), held[..10]);
    }
    assert_eq!(api.records_now(CLIENT, Rota::Evento, "", "")?, held[10..]);
    let (rest, lot) = poll(&api, 100).await?;
    assert_eq!(rest, held[10..]);
    acknowledge(&api, "POST", &lot.unwrap_or_default()).await?;
    assert_eq!(poll(&api, 10).await?, (Vec::new(), None));
    assert_eq!(api.served().route(CLIENT, Rota::Evento).map(|it| it.acknowledgments), Some(3));
    // Another client's are its own.
    assert_eq!(api.acknowledged(CLIENT + 1).len(), 0);
    Ok(())
}

#[tokio::test]
async fn only_what_was_handed_out_is_acknowledged_and_only_by_a_post() -> anyhow::Result<()> {
    let api = SampleApi::start(Settings::default()).await?;
    let (_, lot) = poll(&api, 10).await?;
    let lot = lot.unwrap_or_default();
    assert_eq!(acknowledge(&api, "GET", &lot).await?.status, 405);
    assert_eq!(acknowledge(&api, "POST", "0123456789abcdef").await?.status, 404);
    assert_eq!(acknowledge(&api, "POST", "todos").await?.status, 422);
    assert_eq!(api.acknowledged(CLIENT).len(), 0);
    Ok(())
}

#[tokio::test]
async fn an_acknowledgment_whose_answer_is_lost_has_been_taken() -> anyhow::Result<()> {
    for kind in [FaultKind::Reset, FaultKind::Truncated] {
        let api = start_with(Faults::default()).await?;
        let (_, lot) = poll(&api, 10).await?;
        api.set_faults(Faults { fail_first: 1, fail_with: kind, ..Faults::default() })?;
        let lost = acknowledge(&api, "POST", &lot.unwrap_or_default()).await.err().map(|e| e.kind());
        assert!(matches!(lost, Some(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)), "{lost:?}");
        assert_eq!(api.acknowledged(CLIENT).len(), 10);
    }
    let api = start_with(Faults { fail_first: 0, ..Faults::default() }).await?;
    let (_, lot) = poll(&api, 10).await?;
    api.set_faults(Faults { fail_first: 1, fail_with: FaultKind::Status503, ..Faults::default() })?;
    assert_eq!(acknowledge(&api, "POST", &lot.unwrap_or_default()).await?.status, 503);
    assert_eq!(api.acknowledged(CLIENT).len(), 0);
    Ok(())
}
