//! It claims the route that another file has served before.

use hostile::sdk::Descriptor;

hostile::describe!(|| Ok(Descriptor { route: "pedido".to_owned(), ..hostile::tame() }));
