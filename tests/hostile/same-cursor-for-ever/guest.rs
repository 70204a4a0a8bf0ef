//! Each page names itself.

hostile::fetch!(|_, cursor| Ok(hostile::empty_page().then([cursor.unwrap_or("again")])));
