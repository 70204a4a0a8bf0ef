//! Its route would be a file elsewhere.

use hostile::sdk::Descriptor;

hostile::describe!(|| Ok(Descriptor { route: "../../etc/passwd".to_owned(), ..hostile::tame() }));
