//! Between the generated entry points and a [`Connector`].

use std::marker::PhantomData;
use std::panic;

use crate::bindings::Guest;
use crate::{Connector, Descriptor, FetchError, Level, Page, Scrap, log};

/// What [`export!`](crate::export) exports for a connector.
pub struct Component<C>(PhantomData<C>);

impl<C: Connector> Guest for Component<C> {
    fn describe(definition: Option<String>) -> Result<Descriptor, String> {
        report_panics();
        C::describe(definition.as_deref())
    }

    fn fetch_page(scrap: Scrap, cursor: Option<String>) -> Result<Page, FetchError> {
        report_panics();
        C::fetch_page(&scrap, cursor.as_deref())
    }
}

/// On `wasm32-unknown-unknown` a panic is a trap without a word, unless somebody says it before.
fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        log(Level::Error, format_args!("{panic}"));
    }));
}
