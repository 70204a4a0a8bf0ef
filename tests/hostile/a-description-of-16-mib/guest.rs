//! It says of itself more than anybody can read.

use hostile::sdk::Descriptor;

hostile::describe!(|| {
    let long = "x".repeat(16 * 1024 * 1024);
    Ok(Descriptor { version: long.clone(), settings_schema: format!("{{\"title\":\"{long}\"}}"), ..hostile::tame() })
});
