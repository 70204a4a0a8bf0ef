//! A connector's settings schema (JSON Schema, 2020-12 or draft 7): it refers to nothing outside
//! itself, comes to an end, and its keywords have the values that keywords of a schema have.
//! Settings are flat things; a schema that needs recursion is refused with those that loop.
//!
//! It is compiled once, when its version is loaded: what that takes is bounded by how many values,
//! patterns and bytes of patterns it has, and by what all of its patterns may compile to. Patterns
//! are matched in time that is linear in the value, so there are no look-arounds and no
//! back-references.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::secret_settings::SecretSettings;

/// A schema's text.
const BYTES_MAX: usize = 64 * 1024;
/// Values of a schema with every reference written out: what checking settings against it can cost.
const EXPANDED_MAX: usize = 10_000;
/// Values within each other, references written out.
const DEPTH_MAX: usize = 64;
/// Patterns of a schema, and the bytes of one: a class such as `\w` is thousands of times as long
/// once it is parsed.
const PATTERNS_MAX: usize = 100;
const PATTERN_BYTES_MAX: usize = 512;
/// What all patterns of a schema may compile to together, in bytes; each has an equal part of it.
const COMPILED_MAX: usize = 4 * 1024 * 1024;
/// What matching one pattern may keep beside that, in each thread that does.
const MATCHING_MAX: usize = 64 * 1024;
/// What stands for a value in a message that must not quote it.
const UNSAID: &str = "***";
/// The dialects that a schema may name.
const DIALECTS: [&str; 2] = ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema"];
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];
/// Keywords that refer in other ways than `$ref`, or change what it refers to.
const REFERRING: [&str; 5] = ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef"];

/// A settings schema that was checked and compiled. Two are equal if they say the same.
#[derive(Clone)]
pub struct SettingsSchema {
    value: Arc<Value>,
    /// None: it asks for nothing.
    validator: Option<Arc<Validator>>,
}

impl SettingsSchema {
    /// The schema as its connector wrote it: a JSON object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Which of the settings are secrets.
    pub fn secrets(&self) -> SecretSettings {
        SecretSettings::of(&self.value)
    }

    /// Says what is wrong with settings, a JSON object, if anything is; where some are secrets,
    /// without any values. Takes a while if the settings are long.
    pub(super) fn hold(&self, settings: &str) -> Result<(), String> {
        let settings: Value = serde_json::from_str(settings).map_err(|error| error.to_string())?;
        let mut errors = self.validator.iter().flat_map(|validator| validator.iter_errors(&settings));
        let Some(error) = errors.next() else { return Ok(()) };
        let path = error.instance_path();
        Err(if self.secrets().is_empty() {
            format!("{path}: {error}")
        } else {
            format!("{path}: {}", error.masked_with(UNSAID))
        })
    }
}

impl Default for SettingsSchema {
    /// One that asks for nothing.
    fn default() -> Self {
        Self { value: Arc::new(Value::Object(Map::new())), validator: None }
    }
}

impl fmt::Debug for SettingsSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl PartialEq for SettingsSchema {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Checks and compiles a schema, or says what is wrong with it. Takes up to a second: not for an
/// async thread.
pub(super) fn check(text: &str) -> Result<SettingsSchema, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it has {} bytes, more than {BYTES_MAX}", text.len()));
    }
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    if !schema.is_object() {
        return Err("it is not a JSON object".to_owned());
    }
    Expansion { root: &schema, known: HashMap::new(), open: HashSet::new() }.size(&schema, 0)?;
    is_schema(&schema)?;
    let mut patterns = HashSet::new();
    collect_patterns(&schema, &mut patterns)?;
    let asks_for_something = schema.as_object().is_some_and(|keywords| !keywords.is_empty());
    let validator = asks_for_something.then(|| compile(&schema, patterns.len())).transpose()?;
    Ok(SettingsSchema { value: Arc::new(schema), validator: validator.map(Arc::new) })
}

fn compile(schema: &Value, patterns: usize) -> Result<Validator, String> {
    let each = COMPILED_MAX / patterns.max(1);
    let linear = PatternOptions::regex().size_limit(each).dfa_size_limit(MATCHING_MAX);
    jsonschema::options().with_pattern_options(linear).build(schema).map_err(|error| match patterns {
        0 => error.to_string(),
        _ => format!(
            "{error} (a pattern is matched in linear time, without look-around or back-reference, and compiles to at \
             most {each} bytes)"
        ),
    })
}

/// The patterns that stand anywhere in a schema, each once: values of `pattern`, and names in
/// `patternProperties`.
fn collect_patterns<'a>(value: &'a Value, patterns: &mut HashSet<&'a str>) -> Result<(), String> {
    match value {
        Value::Array(elements) => elements.iter().try_for_each(|element| collect_patterns(element, patterns))?,
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(pattern) if name == "pattern" => drop(patterns.insert(pattern)),
                    Value::Object(of_names) if name == "patternProperties" => {
                        patterns.extend(of_names.keys().map(String::as_str));
                    }
                    _ => {}
                }
                collect_patterns(member, patterns)?;
            }
        }
        _ => {}
    }
    if patterns.len() > PATTERNS_MAX {
        return Err(format!("it has more than {PATTERNS_MAX} patterns"));
    }
    if let Some(long) = patterns.iter().find(|pattern| pattern.len() > PATTERN_BYTES_MAX) {
        return Err(format!("it has a pattern of {} bytes, more than {PATTERN_BYTES_MAX}", long.len()));
    }
    Ok(())
}

/// Holds the keywords of a schema, and of those within it, to the kinds of value that they may
/// have. Other names are no keywords, and mean nothing.
fn is_schema(schema: &Value) -> Result<(), String> {
    let keywords = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(keywords) => keywords,
        _ => return Err("it has something that is no schema where one belongs".to_owned()),
    };
    for (name, value) in keywords {
        let sound = match name.as_str() {
            "$schema" => value.as_str().is_some_and(|named| DIALECTS.contains(&named.trim_end_matches('#'))),
            "type" => is_type(value),
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                within(value.as_object().map(Map::values))?
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                within(value.as_array().filter(|all| !all.is_empty()).map(|all| all.iter()))?
            }
            // Draft 7 has a list here as well.
            "items" if value.is_array() => within(value.as_array().map(|all| all.iter()))?,
            "items"
            | "contains"
            | "not"
            | "if"
            | "then"
            | "else"
            | "additionalProperties"
            | "additionalItems"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => is_schema(value).map(|()| true)?,
            "required" => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
            "enum" | "examples" => value.is_array(),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
            | "maxContains" => value.is_u64(),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
            "multipleOf" => value.as_f64().is_some_and(|step| step > 0.0),
            "uniqueItems" | "readOnly" | "writeOnly" | "deprecated" => value.is_boolean(),
            "title" | "description" | "format" | "pattern" | "$comment" => value.is_string(),
            _ => true,
        };
        if !sound {
            return Err(format!("its {name:?} is not what this keyword may be"));
        }
    }
    Ok(())
}

/// Whether there are schemas here, and all of them are.
fn within<'a>(schemas: Option<impl Iterator<Item = &'a Value>>) -> Result<bool, String> {
    let Some(mut schemas) = schemas else {
        return Ok(false);
    };
    schemas.try_for_each(is_schema).map(|()| true)
}

fn is_type(value: &Value) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    known(value) || value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(known))
}

/// A schema with its references written out, as far as its size goes.
struct Expansion<'a> {
    root: &'a Value,
    /// Sizes of what was referred to.
    known: HashMap<&'a str, usize>,
    /// References that are being written out.
    open: HashSet<&'a str>,
}

impl<'a> Expansion<'a> {
    fn size(&mut self, value: &'a Value, depth: usize) -> Result<usize, String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is more than {DEPTH_MAX} levels deep"));
        }
        let mut size = 1;
        match value {
            Value::Array(elements) => {
                for element in elements {
                    size += self.size(element, depth + 1)?;
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    if REFERRING.contains(&name.as_str()) {
                        return Err(format!(
                            "it uses {name}; a schema here refers by $ref alone, to places within itself"
                        ));
                    }
                    size += match name.as_str() {
                        "$ref" => self.referred(member, depth + 1)?,
                        _ => self.size(member, depth + 1)?,
                    };
                }
            }
            _ => {}
        }
        if size > EXPANDED_MAX {
            return Err(format!("with its references written out it has more than {EXPANDED_MAX} values"));
        }
        Ok(size)
    }

    fn referred(&mut self, reference: &'a Value, depth: usize) -> Result<usize, String> {
        let Some(reference) = reference.as_str() else {
            return Err("it has a $ref that is not a text".to_owned());
        };
        let shown: String = reference.chars().take(100).collect();
        // A percent-encoded pointer could be read in two ways.
        let pointer = reference.strip_prefix('#').filter(|pointer| !pointer.contains('%'));
        let Some(target) = pointer.and_then(|pointer| self.root.pointer(pointer)) else {
            return Err(format!("its $ref {shown:?} is not the JSON pointer of a place within it (#/…)"));
        };
        if let Some(size) = self.known.get(reference) {
            return Ok(*size);
        }
        if !self.open.insert(reference) {
            return Err(format!("its $ref {shown:?} leads back to itself"));
        }
        let size = self.size(target, depth)?;
        self.open.remove(reference);
        self.known.insert(reference, size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(schema: &str) -> String {
        check(schema).err().unwrap_or_else(|| "accepted".to_owned())
    }

    #[test]
    fn ordinary_schemas_are_accepted() {
        for schema in [
            "{}",
            r#"{"type":"object","properties":{"loja":{"type":"integer","minimum":1}},"required":["loja"]}"#,
            r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"n":{"type":"integer"}},
                "properties":{"a":{"$ref":"#/$defs/n"},"b":{"$ref":"#/$defs/n"}}}"##,
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"uf":{"pattern":"^[A-Z]{2}$"}}}"#,
        ] {
            assert_eq!(said(schema), "accepted", "{schema}");
        }
    }

    #[test]
    fn a_schema_that_refers_elsewhere_never_ends_or_is_none_is_refused() {
        // Each definition twice in the next: a thousand million in 31 lines.
        let defs: Vec<_> = (1..=30)
            .map(|i| format!(r##""d{i}":{{"allOf":[{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}}"##, i - 1))
            .collect();
        let bomb = format!(r##"{{"$defs":{{"d0":{{}},{}}},"$ref":"#/$defs/d30"}}"##, defs.join(","));
        let deep = format!("{}1{}", r#"{"not":"#.repeat(100), "}".repeat(100));
        let refusals = [
            said("[]"),
            said("{"),
            said(r#"{"type":"nothing"}"#),
            said(r#"{"required":"loja"}"#),
            said(r#"{"pattern":1}"#),
            said(r#"{"properties":{"loja":{"minimum":"1"}}}"#),
            said(r#"{"allOf":[1]}"#),
            said(r#"{"items":3}"#),
            said(r#"{"$schema":"https://example.com/schema"}"#),
            said(r#"{"$ref":"https://example.com/schema.json"}"#),
            said(r#"{"properties":{"a":{"$ref":"file:///etc/passwd"}}}"#),
            said(r##"{"$ref":"#"}"##),
            said(r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##),
            said(r##"{"properties":{"a":{"$ref":"#/properties"}}}"##),
            said(r##"{"$ref":"#/$defs/missing"}"##),
            said(r##"{"$defs":{"a":{}},"$ref":"#/%24defs/a"}"##),
            said(r#"{"$id":"https://example.com/","$ref":"other.json"}"#),
            said(r##"{"$dynamicRef":"#node"}"##),
            said(r#"{"pattern":"(a"}"#),
            said(r#"{"pattern":"^(?=.*a)(?!b)(c+)+\\1$"}"#),
            said(r#"{"patternProperties":{"(?<!a)b":{}}}"#),
            said(r#"{"pattern":"(\\p{L}{1000}){1000}"}"#),
            said(&format!(r#"{{"pattern":"{}"}}"#, r"\\w".repeat(300))),
            said(&format!(
                r#"{{"anyOf":[{}]}}"#,
                (0..200).map(|n| format!(r#"{{"pattern":"a{n}"}}"#)).collect::<Vec<_>>().join(",")
            )),
            said(r#"{"$ref":1}"#),
            said(&bomb),
            said(&deep),
            said(&format!("{{{}}}", " ".repeat(BYTES_MAX))),
        ];
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn a_pattern_that_others_would_backtrack_over_takes_no_time() {
        let schema = check(r#"{"properties":{"a":{"pattern":"^(([a-z])+.)+[A-Z]([a-z])+$"}}}"#).expect("it is linear");
        let began = std::time::Instant::now();
        let settings = format!(r#"{{"a":"{}"}}"#, "a".repeat(60_000));
        assert!(schema.hold(&settings).is_err());
        // A backtracking engine takes longer than the universe; the bound is for a busy machine.
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
    }

    /// As many patterns as there may be, each as large as it may be: what that takes is bounded.
    #[test]
    fn the_most_that_a_schema_may_ask_for_is_compiled_once() {
        let pattern = |n: usize| format!(r#"{{"pattern":"^[a-z]{{1,{n}}}[0-9]$"}}"#);
        let all: Vec<String> = (1..=PATTERNS_MAX).map(pattern).collect();
        let schema = check(&format!(r#"{{"properties":{{"a":{{"anyOf":[{}]}}}}}}"#, all.join(","))).expect("it fits");
        assert!(schema.hold(r#"{"a":"abc1"}"#).is_ok());
        assert!(schema.hold(r#"{"a":"abc"}"#).is_err());
    }
}
