//! It names a cursor that no table can hold.

hostile::fetch!(|_, _| Ok(hostile::empty_page().then(["a\0b"])));
