//! Whoever follows the schema of its settings never comes to its end.

use hostile::sdk::Descriptor;

hostile::describe!(|| {
    let settings_schema =
        r##"{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}"##;
    Ok(Descriptor { settings_schema: settings_schema.to_owned(), ..hostile::tame() })
});
