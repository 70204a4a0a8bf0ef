//! Its log moves the cursor, turns colours on and sets the terminal's title.

use hostile::sdk::{error, warn};

hostile::fetch!(|scrap, _| {
    error!("\u{1b}[2J\u{1b}[31mred\r\nforged line\u{9b}31m\u{7}");
    warn!("\u{1b}]0;title\u{7}\0");
    hostile::good_page(scrap)
});
