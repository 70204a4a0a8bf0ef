//! It declares more records than there are numbers.

hostile::fetch!(|scrap, _| Ok(hostile::good_page(scrap)?.of_total(Some(u64::MAX))));
