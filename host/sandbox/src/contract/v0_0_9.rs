//! `tests-fixtures/wit/0.0.9`: a version that never was, adapted to the newest. Its resources
//! are the newest's own, its calls become the newest's calls, and what it cannot say is filled in
//! with what it always meant.

use std::sync::Arc;

use async_trait::async_trait;
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker, Resource};

use super::super::bindings::atlas::connector as newest;
use super::super::held::{HeldResponse, HeldSelection};
use super::{Contract, ContractPre, Version, wit};
use crate::guest::Guest;

mod bindings {
    #![allow(missing_docs, unreachable_pub)]

    wasmtime::component::bindgen!({
        path: "tests-fixtures/wit/0.0.9",
        world: "connector",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "atlas:connector/http.response": crate::held::HeldResponse,
            "atlas:connector/http.selection": crate::held::HeldSelection,
        },
    });
}
use bindings::atlas::connector::{http, log, types};

pub(super) const VERSION: Version = Version { name: "0.0.9", link };

struct Linked(bindings::ConnectorPre<Guest>);

fn link(mut linker: Linker<Guest>, component: &Component) -> wasmtime::Result<ContractPre> {
    bindings::Connector::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    Ok(Arc::new(Linked(bindings::ConnectorPre::new(linker.instantiate_pre(component)?)?)))
}

#[async_trait]
impl Contract for Linked {
    async fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<wit::Descriptor, String>> {
        let connector = self.0.instantiate_async(&mut *store).await?;
        Ok(Ok(descriptor(connector.call_describe(store).await?)))
    }

    async fn fetch_page(
        &self,
        store: &mut Store<Guest>,
        scrap: &wit::Scrap,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<wit::Page, wit::FetchError>> {
        let connector = self.0.instantiate_async(&mut *store).await?;
        let scrap = types::Scrap { client_id: scrap.client_id, route: scrap.route.clone(), now: scrap.now.clone() };
        let fetched = connector.call_fetch_page(store, &scrap, cursor.as_deref()).await?;
        Ok(fetched.map(page).map_err(wit::FetchError::Fatal))
    }
}

fn descriptor(said: types::Descriptor) -> wit::Descriptor {
    wit::Descriptor {
        route: said.route,
        api: said.api,
        version: said.version,
        cursor_format: 0,
        takes_period: false,
        page_size: said.page_size,
        lag_seconds: 0,
        auth: wit::AuthScheme::Bearer,
        requests: Vec::new(),
        rate: None,
        settings_schema: "{}".to_owned(),
        key: Vec::new(),
        changed_at: None,
        unhashed: Vec::new(),
    }
}

fn page(page: types::Page) -> wit::Page {
    let records = match page.records {
        types::Records::Json(texts) => wit::Records::Json(texts),
        types::Records::Selected(selection) => wit::Records::Selected(vec![selection]),
    };
    wit::Page { records, next: page.next.into_iter().collect(), after_commit: Vec::new(), total_records: None }
}

impl types::Host for Guest {}

impl log::Host for Guest {
    async fn log(&mut self, message: String) -> wasmtime::Result<()> {
        newest::log::Host::log(self, newest::log::Level::Info, message).await
    }
}

impl http::Host for Guest {
    async fn get(&mut self, target: String) -> wasmtime::Result<Result<Resource<HeldResponse>, String>> {
        let request = newest::http::Request {
            method: newest::http::Method::Get,
            target,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        };
        let sent = newest::http::Host::send(self, request).await?;
        Ok(sent.map_err(|error| format!("{error:?}")))
    }
}

impl http::HostResponse for Guest {
    async fn status(&mut self, this: Resource<HeldResponse>) -> wasmtime::Result<u16> {
        newest::http::HostResponse::status(self, this).await
    }

    async fn select(
        &mut self,
        this: Resource<HeldResponse>,
        pointer: String,
    ) -> wasmtime::Result<Result<Resource<HeldSelection>, String>> {
        let selected = newest::http::HostResponse::select(self, this, pointer, None).await?;
        Ok(selected.map_err(|error| format!("{error:?}")))
    }

    async fn drop(&mut self, this: Resource<HeldResponse>) -> wasmtime::Result<()> {
        newest::http::HostResponse::drop(self, this).await
    }
}

impl http::HostSelection for Guest {
    async fn len(&mut self, this: Resource<HeldSelection>) -> wasmtime::Result<u32> {
        newest::http::HostSelection::len(self, this).await
    }

    async fn drop(&mut self, this: Resource<HeldSelection>) -> wasmtime::Result<()> {
        newest::http::HostSelection::drop(self, this).await
    }
}
