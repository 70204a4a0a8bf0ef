//! It gives the same selection back twice.
#![allow(unsafe_code, reason = "a handle that is given back twice cannot be had otherwise")]

use hostile::sdk::{Page, Records, Selection};

hostile::fetch!(|scrap, _| {
    let one = hostile::customers(scrap)?.select("/data")?;
    // SAFETY: the handle exists; that it is owned twice is what is tried here.
    let two = unsafe { Selection::from_handle(one.handle()) };
    Ok(Page { records: Records::Selected(vec![one, two]), ..hostile::empty_page() })
});
