//! `wit/0.1.0`: the newest version, whose types the house speaks.

use std::sync::Arc;

use async_trait::async_trait;
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker};

use super::super::bindings;
use super::{Contract, ContractPre, Version, wit};
use crate::guest::Guest;

pub(super) const VERSION: Version = Version { name: "0.1.0", link };

struct Linked(bindings::ConnectorPre<Guest>);

fn link(mut linker: Linker<Guest>, component: &Component) -> wasmtime::Result<ContractPre> {
    bindings::Connector::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    Ok(Arc::new(Linked(bindings::ConnectorPre::new(linker.instantiate_pre(component)?)?)))
}

#[async_trait]
impl Contract for Linked {
    async fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<wit::Descriptor, String>> {
        let connector = self.0.instantiate_async(&mut *store).await?;
        connector.call_describe(store, None).await
    }

    async fn fetch_page(
        &self,
        store: &mut Store<Guest>,
        scrap: &wit::Scrap,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<wit::Page, wit::FetchError>> {
        let connector = self.0.instantiate_async(&mut *store).await?;
        connector.call_fetch_page(store, scrap, cursor.as_ref()).await
    }
}
