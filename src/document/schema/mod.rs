//! JSON Schema of documents, made of their types: keys and their documentation, words, ranges.

mod reference;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value};

pub use reference::reference;

/// Letters, digits, `-` and `_`, the first a letter or digit: what `catalog::check_name` takes.
pub const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";

/// The schema of a type, in draft 7, which editors of TOML know. Without references: each key's own schema stands where
/// the key is.
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).for_deserialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(|schema: &mut schemars::Schema| {
        if let Some(object) = schema.as_object_mut() {
            tidy(object);
        }
    })
    .transform(&mut schema);
    schema.into()
}

/// What Rust's types say and TOML does not have: null, widths of integers, defaults that are made of nulls.
fn tidy(schema: &mut Map<String, Value>) {
    schema
        .remove("format")
        .filter(|format| !["int64", "uint64"].contains(&format.as_str().unwrap_or_default()))
        .map(|format| schema.insert("format".into(), format));
    schema.retain(|key, value| key != "default" || !(value.is_null() || value.is_object()));
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(one)] = choices.as_mut_slice() {
            let one = std::mem::take(one);
            schema.remove("anyOf");
            for (key, value) in one {
                // What the key says of itself stands above what its type says.
                schema.entry(key).or_insert(value);
            }
        }
    }
}
