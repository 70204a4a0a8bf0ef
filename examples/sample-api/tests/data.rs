//! What the source serves when nothing is wrong with it.

mod common;

use std::collections::BTreeSet;

use common::{TOKEN, get, orders, read_all, request};
use sample_api::{Prerender, Rota, SampleApi, Settings};

const FROM: &str = "2025-10-20";
const TO: &str = "2025-10-24";

#[tokio::test]
async fn the_pages_add_up_to_the_records() -> anyhow::Result<()> {
    let api = SampleApi::start(Settings::default()).await?;
    let held = api.records(2151, Rota::Pedido, FROM, TO)?;
    assert_eq!(held.len(), 5 * 120);
    assert_eq!(read_all(orders(&api, FROM, TO, 150), 100).await?, held);

    let served = api.stop().await;
    assert_eq!(served.whole_pages, 4);
    assert_eq!(served.statuses[&200], 4);
    assert_eq!(served.max_concurrent, 1);
    assert_eq!(served.attempts_at(2151, Rota::Pedido, 4), 1);
    let route = served.route(2151, Rota::Pedido).expect("it was asked for");
    assert_eq!(route.records, held.into_iter().collect::<BTreeSet<_>>());
    Ok(())
}

#[tokio::test]
async fn every_route_serves_whole_json_records_of_its_own() -> anyhow::Result<()> {
    let api = SampleApi::start(Settings { per_day: 40, ..Settings::default() }).await?;
    for rota in Rota::LISTED {
        let held = api.records(7, rota, FROM, TO)?;
        let url = format!("{}/7/{rota}?data_inicial={FROM}&data_final={TO}&per_page=77", api.base_url());
        assert_eq!(read_all(url, 100).await?, held, "{rota}");
        let ids: BTreeSet<u64> = held
            .iter()
            .map(|text| {
                let record: serde_json::Value = serde_json::from_str(text)?;
                record["id"].as_u64().ok_or_else(|| anyhow::anyhow!("no id in {text}"))
            })
            .collect::<anyhow::Result<_>>()?;
        assert_eq!(ids.len(), held.len());
        assert!(ids.iter().all(|id| *id > 1 << 53));
    }
    Ok(())
}

#[tokio::test]
async fn overlapping_periods_list_the_same_orders() -> anyhow::Result<()> {
    let api = SampleApi::start(Settings::default()).await?;
    let long = api.records(2151, Rota::Pedido, "2025-10-20", "2025-10-24")?;
    let short = api.records(2151, Rota::Pedido, "2025-10-22", "2025-10-30")?;
    assert_eq!(long[2 * 120..], short[..3 * 120]);
    assert!(long[0].contains("\"data\":\"2025-10-20\""));
    // Texts that a double would not give back.
    assert!(long.iter().any(|text| text.contains(".50,")));
    assert!(long.iter().any(|text| text.contains("\"taxa_cambio\":0.12345678901234567890")));
    Ok(())
}

#[tokio::test]
async fn clients_differ_unless_they_are_asked_to_be_identical() -> anyhow::Result<()> {
    let records = |api: &SampleApi, cliente| api.records(cliente, Rota::Venda, FROM, TO);
    let api = SampleApi::start(Settings::default()).await?;
    assert_ne!(records(&api, 1)?, records(&api, 2)?);
    let settings = Settings { identical_clients: true, ..Settings::default() };
    let api = SampleApi::start(settings).await?;
    assert_eq!(records(&api, 1)?, records(&api, 2)?);
    Ok(())
}

#[tokio::test]
async fn records_are_padded_to_the_size_asked_for() -> anyhow::Result<()> {
    let settings = Settings { record_bytes: Some(4096), ..Settings::default() };
    let api = SampleApi::start(settings).await?;
    let held = api.records(1, Rota::Pedido, FROM, TO)?;
    assert!(held.iter().all(|text| text.len() == 4096));
    let plain = SampleApi::start(Settings::default()).await?.records(1, Rota::Pedido, FROM, TO)?;
    let mean = plain.iter().map(String::len).sum::<usize>() / plain.len();
    assert!((800..1300).contains(&mean), "an order has {mean} bytes");
    Ok(())
}

#[tokio::test]
async fn pages_rendered_ahead_are_the_same_pages() -> anyhow::Result<()> {
    let ahead: Prerender = "1:pedido:2025-10-20:2025-10-24:150".parse()?;
    let settings = Settings { identical_clients: true, prerender: vec![ahead], ..Settings::default() };
    let api = SampleApi::start(settings).await?;
    let held = api.records(2151, Rota::Pedido, FROM, TO)?;
    assert_eq!(read_all(orders(&api, FROM, TO, 150), 100).await?, held);
    assert_eq!(api.served().routes[0].distinct_records, 600);
    Ok(())
}

#[tokio::test]
async fn requests_that_are_wrong_are_refused_with_json() -> anyhow::Result<()> {
    let mut settings = Settings::default();
    settings.client_tokens.insert(9, "nove".into());
    let api = SampleApi::start(settings).await?;
    let url = orders(&api, FROM, TO, 150);
    let cases = [
        (url.clone(), None, 401),
        (url.clone(), Some("Bearer errado"), 401),
        (url.replace("/2151/", "/9/"), Some(TOKEN), 401),
        (url.replace("/2151/", "/9/"), Some("Bearer nove"), 200),
        (url.replace("pedido", "pedidos"), Some(TOKEN), 404),
        (url.replace("&page=1", "&page=0"), Some(TOKEN), 422),
        (url.replace("2025-10-24", "24/10/2025"), Some(TOKEN), 422),
        (url.replace("2025-10-24", "2025-10-01"), Some(TOKEN), 422),
        (url.replace("data_inicial", "inicio"), Some(TOKEN), 422),
    ];
    for (url, token, status) in cases {
        let headers: Vec<_> = token.iter().map(|token| ("authorization", *token)).collect();
        let answer = request("GET", &url, &headers, "").await?;
        assert_eq!(answer.status, status, "{url} {token:?}");
        answer.json()?;
    }
    let served = api.served();
    assert_eq!((served.authorization_wrong, served.authorization_missing), (2, 1));
    Ok(())
}

#[tokio::test]
async fn the_next_url_keeps_every_other_parameter_and_the_last_page_has_none() -> anyhow::Result<()> {
    let api = SampleApi::start(Settings::default()).await?;
    let url = format!("{}&extra=%C3%A3", orders(&api, FROM, FROM, 100));
    let page = get(&url).await?.json()?;
    let next = page["next_page_url"].as_str().unwrap_or_default();
    assert!(next.starts_with(&api.base_url()) && next.contains("extra=%C3%A3") && next.ends_with("page=2"), "{next}");
    assert_eq!((&page["last_page"], &page["total"]), (&2.into(), &120.into()));
    assert!(get(next).await?.json()?["next_page_url"].is_null());
    Ok(())
}

#[tokio::test]
async fn the_port_is_free_again_after_a_stop_even_with_connections_open() -> anyhow::Result<()> {
    let first = SampleApi::start(Settings::default()).await?;
    let port = first.port();
    let idle = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    first.stop().await;
    let second = SampleApi::start(Settings { port, ..Settings::default() }).await?;
    assert_eq!(get(&orders(&second, FROM, TO, 10)).await?.status, 200);
    drop((idle, second));
    SampleApi::start(Settings { port, ..Settings::default() }).await?;
    Ok(())
}
