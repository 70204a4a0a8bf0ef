//! It leaves the key out of the hash.

use hostile::sdk::Descriptor;

hostile::describe!(|| Ok(Descriptor { unhashed: vec!["/id".to_owned()], ..hostile::tame() }));
