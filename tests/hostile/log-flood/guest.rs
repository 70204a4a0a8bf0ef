//! It logs a million lines, and then a line of 32 MiB.

use hostile::sdk::{debug, error};

hostile::fetch!(|scrap, _| {
    for line in 0..1_000_000 {
        debug!("line {line} of a million");
    }
    error!("{}", "x".repeat(32 * 1024 * 1024));
    hostile::good_page(scrap)
});
