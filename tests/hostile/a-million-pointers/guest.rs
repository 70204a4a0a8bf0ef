//! It names a million keys.

use hostile::sdk::Descriptor;

hostile::describe!(|| Ok(Descriptor { key: vec!["/id".to_owned(); 1_000_000], ..hostile::tame() }));
