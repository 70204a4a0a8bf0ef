//! It goes in circles by a cursor that moves the terminal's.

hostile::fetch!(|_, _| Ok(hostile::empty_page().then(["\u{1b}[2J\u{1b}[1;1H\r\n✅ forged"])));
