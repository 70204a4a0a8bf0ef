//! It leaves the whole record out of the hash, so that the second one looks known.

use hostile::sdk::Descriptor;

hostile::describe!(|| Ok(Descriptor { unhashed: vec![String::new()], ..hostile::tame() }));
