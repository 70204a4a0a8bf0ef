//! The schema of its settings is to be fetched from elsewhere, by whoever reads it.

use hostile::sdk::Descriptor;

hostile::describe!(|| {
    let settings_schema = r#"{"$ref": "http://169.254.169.254/latest/meta-data/"}"#.to_owned();
    Ok(Descriptor { settings_schema, ..hostile::tame() })
});
