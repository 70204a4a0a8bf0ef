//! What a page's body is made of, and how it is coded.

mod common;

use std::io::Read;

use common::{TOKEN, get, orders, request, start_with};
use sample_api::{Charset, Encoding, Faults, Malformed, Rota};

const FROM: &str = "2025-10-20";
const TO: &str = "2025-10-24";

#[tokio::test]
async fn raw_elements_stand_where_they_were_put_byte_for_byte() -> anyhow::Result<()> {
    let faults = Faults {
        malformed: vec![Malformed::new(0, r#"{"id":"\u0000"}"#), Malformed::new(151, &b"{\"id\":\"\xff\"}"[..])],
        ..Faults::default()
    };
    let api = start_with(Faults::default()).await?;
    // By the way that a person has: JSON to the running server.
    let json = serde_json::to_string(&faults)?;
    let headers = [("content-type", "application/json")];
    let answer = request("POST", &format!("{}/_faults", api.origin()), &headers, &json).await?;
    assert_eq!((answer.status, api.faults()), (200, faults));

    let url = orders(&api, FROM, TO, 150);
    let first = get(&url).await?;
    assert_eq!(common::elements(first.text()?)[1], r#"{"id":"\u0000"}"#);
    assert_eq!(common::elements(first.text()?).len(), 151);
    let second = get(&url.replace("&page=1", "&page=2")).await?;
    assert!(second.text().is_err() && second.body.windows(3).any(|it| it == b"\"\xff\""));
    assert_eq!(api.served().routes[0].malformed.len(), 2);
    Ok(())
}

#[tokio::test]
async fn bodies_come_encoded_only_where_that_is_accepted() -> anyhow::Result<()> {
    let api = start_with(Faults::default()).await?;
    let url = orders(&api, FROM, TO, 150);
    let plain = get(&url).await?.body;
    for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Br, Encoding::Zstd] {
        api.set_faults(Faults { encoding: Some(encoding), ..Faults::default() })?;
        assert_eq!(get(&url).await?.body, plain);
        let headers = [("authorization", TOKEN), ("accept-encoding", "gzip, deflate, br, zstd")];
        let answer = request("GET", &url, &headers, "").await?;
        assert_eq!(answer.header("content-encoding"), Some(encoding.name()));
        let (body, mut decoded) = (&answer.body[..], Vec::new());
        match encoding {
            Encoding::Gzip => flate2::read::GzDecoder::new(body).read_to_end(&mut decoded)?,
            Encoding::Deflate => flate2::read::ZlibDecoder::new(body).read_to_end(&mut decoded)?,
            Encoding::Br => brotli::Decompressor::new(body, 4096).read_to_end(&mut decoded)?,
            Encoding::Zstd => zstd::Decoder::new(body)?.read_to_end(&mut decoded)?,
        };
        assert_eq!(decoded, plain, "{encoding:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_in_latin_1_says_so_and_loses_no_accent() -> anyhow::Result<()> {
    let api = start_with(Faults { charset: Some(Charset::Latin1), ..Faults::default() }).await?;
    let answer = get(&orders(&api, FROM, TO, 150)).await?;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=iso-8859-1"));
    assert!(answer.text().is_err());
    let text: String = answer.body.iter().copied().map(char::from).collect();
    assert_eq!(common::elements(&text), api.records(2151, Rota::Pedido, FROM, TO)?[..150]);
    Ok(())
}
