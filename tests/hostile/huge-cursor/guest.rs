//! It names a cursor of a megabyte.

hostile::fetch!(|_, _| Ok(hostile::empty_page().then(["x".repeat(1024 * 1024)])));
