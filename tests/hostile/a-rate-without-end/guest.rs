//! It declares that four thousand million of its pages may be fetched at once.

use hostile::sdk::{Descriptor, RateBudget};

hostile::describe!(|| {
    let rate = RateBudget { per_second: None, burst: None, per_day: None, concurrency: Some(u32::MAX) };
    Ok(Descriptor { rate: Some(rate), ..hostile::tame() })
});
