//! Two versions of the contract, side by side.

use atlas_testing::guests::{earlier_guest, wasi_guest};

use super::*;
use crate::error::ComponentError;
use crate::testing::{load, loader, scrap};
use crate::wasi::Wasi;

#[tokio::test]
async fn connectors_of_two_versions_are_served_beside_each_other() {
    let loader = loader();
    let earlier = load(&loader, &earlier_guest()).await.unwrap();
    let newest = load(&loader, &wasi_guest()).await.unwrap();
    assert_eq!(earlier.descriptor.version, "0.0.9");
    assert_eq!(earlier.descriptor.page_size, 50);
    assert_eq!(newest.descriptor.version, "0.1.0");

    let scrap = scrap();
    let fetch = async |connector: &ContractPre, cursor: Option<&str>| {
        let wasi = Wasi::of_page(&scrap, cursor);
        let mut store =
            Guest::store(&loader.engine, &loader.limits, &loader.engine.share(None, "teste"), "teste", None, wasi);
        connector.fetch_page(&mut store, &scrap, cursor.map(str::to_owned)).await.unwrap()
    };
    let page = fetch(&earlier.linked.contract, None).await.unwrap();
    assert!(matches!(page.records, wit::Records::Json(texts) if texts == [r#"{"id":1}"#]));
    assert_eq!(page.next, ["2"]);
    // Its calls reach the host by the newest version's: outside of a page there is no HTTP, and
    // that is what it is told.
    let refused = fetch(&earlier.linked.contract, Some("2")).await.err().unwrap();
    let wit::FetchError::Fatal(reason) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("send"), "{reason}");
    assert!(fetch(&newest.linked.contract, None).await.is_ok());
}

#[tokio::test]
async fn a_version_that_the_host_lacks_is_refused_with_those_that_it_has() {
    let loader = loader();
    let unknown = wat::parse_str(r#"(component (import "atlas:connector/http@0.2.0" (instance)))"#).unwrap();
    let refused = load(&loader, &unknown).await.err();
    assert_eq!(
        refused,
        Some(ComponentError::OtherVersion { found: "0.2.0".to_owned(), have: "0.0.9, 0.1.0".to_owned() })
    );
}
