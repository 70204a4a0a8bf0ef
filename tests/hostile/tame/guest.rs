//! It does no harm: each scrap is created while this one serves the route.

hostile::fetch!(|scrap, _| hostile::good_page(scrap));
