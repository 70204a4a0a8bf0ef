//! Which of a connector's settings are secrets: those whose schema says so, by `"writeOnly": true`
//! or `"format": "password"` (JSON Schema 2020-12, validation, sections 9.4 and 7.3; OpenAPI's
//! `password`), wherever in them it says it. A member that holds a secret is one as a whole.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

/// Keywords whose schemas are about the same object as the schema that they stand in.
const ABOUT_THE_SAME: [&str; 7] = ["allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas"];
/// Keywords whose schemas are about members that go by no name of `properties`.
const ABOUT_OTHERS: [&str; 3] = ["patternProperties", "additionalProperties", "unevaluatedProperties"];

/// The names of settings that are secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretSettings {
    named: BTreeSet<String>,
    /// Names that the schema has beside them, and calls no secrets.
    open: BTreeSet<String>,
    /// Whether every other name is a secret's.
    others: bool,
}

impl SecretSettings {
    /// Those of a schema that was checked: it is bounded, and its references end within it.
    pub(super) fn of(schema: &Value) -> Self {
        let mut found = Self::default();
        let walk = Walk { root: schema };
        found.others = says_so(schema);
        walk.members(schema, &mut HashSet::new(), &mut found);
        found
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && !self.others
    }

    /// Whether the setting of this name is one.
    pub fn contains(&self, name: &str) -> bool {
        self.named.contains(name) || self.others && !self.open.contains(name)
    }

    /// Takes the secrets out of settings.
    pub fn take_from(&self, settings: &mut Map<String, Value>) -> Map<String, Value> {
        let names: Vec<String> = settings.keys().filter(|name| self.contains(name)).cloned().collect();
        names.into_iter().filter_map(|name| settings.remove_entry(&name)).collect()
    }
}

struct Walk<'a> {
    root: &'a Value,
}

impl<'a> Walk<'a> {
    /// Notes the members that a schema of the whole object names, and those that it only gives a
    /// kind of.
    fn members(&self, schema: &'a Value, seen: &mut HashSet<&'a str>, found: &mut SecretSettings) {
        let Some(keywords) = schema.as_object() else { return };
        for (name, property) in keywords.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let place = if self.holds_one(property, &mut HashSet::new()) { &mut found.named } else { &mut found.open };
            place.insert(name.clone());
        }
        for keyword in ABOUT_OTHERS {
            found.others |= keywords.get(keyword).is_some_and(|schema| self.holds_one(schema, &mut HashSet::new()));
        }
        for keyword in ABOUT_THE_SAME {
            match keywords.get(keyword) {
                Some(Value::Array(schemas)) => schemas.iter().for_each(|one| self.members(one, seen, found)),
                Some(Value::Object(schemas)) if keyword == "dependentSchemas" => {
                    schemas.values().for_each(|one| self.members(one, seen, found));
                }
                Some(schema) => self.members(schema, seen, found),
                None => {}
            }
        }
        if let Some((reference, target)) = self.referred(keywords)
            && seen.insert(reference)
        {
            self.members(target, seen, found);
        }
    }

    /// Whether a schema, one within it, or one that these refer to says that something is a secret.
    fn holds_one(&self, value: &'a Value, seen: &mut HashSet<&'a str>) -> bool {
        match value {
            Value::Array(elements) => elements.iter().any(|element| self.holds_one(element, seen)),
            Value::Object(members) => {
                says_so(value)
                    || members.values().any(|member| self.holds_one(member, seen))
                    || self
                        .referred(members)
                        .is_some_and(|(reference, target)| seen.insert(reference) && self.holds_one(target, seen))
            }
            _ => false,
        }
    }

    fn referred(&self, keywords: &'a Map<String, Value>) -> Option<(&'a str, &'a Value)> {
        let reference = keywords.get("$ref")?.as_str()?;
        let pointer = reference.strip_prefix('#')?;
        let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
        Some((reference, self.root.pointer(&decoded)?))
    }
}

fn says_so(schema: &Value) -> bool {
    schema["writeOnly"] == Value::Bool(true) || schema["format"] == "password"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(schema: &Value) -> SecretSettings {
        SecretSettings::of(schema)
    }

    #[test]
    fn a_setting_is_a_secret_wherever_its_schema_says_so() {
        let found = secrets(&json!({
            "$defs": { "chave": { "type": "string", "writeOnly": true } },
            "properties": {
                "loja": { "type": "integer" },
                "senha": { "type": "string", "format": "password" },
                "chave": { "$ref": "#/$defs/chave" },
                "conexao": { "type": "object", "properties": { "a": { "items": { "writeOnly": true } } } },
                "aberta": { "writeOnly": false }
            },
            "if": { "properties": { "modo": { "const": 1 } } },
            "then": { "properties": { "pin": { "anyOf": [{ "type": "null" }, { "format": "password" }] } } }
        }));
        for name in ["senha", "chave", "conexao", "pin"] {
            assert!(found.contains(name), "{name}");
        }
        for name in ["loja", "aberta", "modo", "outra"] {
            assert!(!found.contains(name), "{name}");
        }
        assert!(!found.is_empty() && secrets(&json!({})).is_empty());
    }

    #[test]
    fn members_without_a_name_are_secrets_where_their_schema_says_so() {
        let found = secrets(&json!({
            "properties": { "loja": {} }, "additionalProperties": { "type": "string", "writeOnly": true }
        }));
        assert!(found.contains("qualquer") && !found.contains("loja"));
        assert!(secrets(&json!({ "writeOnly": true })).contains("qualquer"));
        assert!(secrets(&json!({ "patternProperties": { "^x": { "format": "password" } } })).contains("x1"));
    }

    #[test]
    fn secrets_are_taken_out_of_settings() {
        let found = secrets(&json!({ "properties": { "senha": { "format": "password" }, "loja": {} } }));
        let mut settings = json!({ "senha": "s", "loja": 3 }).as_object().cloned().unwrap();
        assert_eq!(Value::Object(found.take_from(&mut settings)), json!({ "senha": "s" }));
        assert_eq!(Value::Object(settings), json!({ "loja": 3 }));
    }
}
