//! What a manifest asks for that its library can be built without: it need not have been fetched.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// Dependencies of the library; only its own tests have others.
const TABLES: [&str; 2] = ["dependencies", "build-dependencies"];

/// The manifest without what only tests, benchmarks and examples need, and without optional dependencies that no default
/// feature switches on. `None`: it asks for nothing of the kind, or cannot be read.
pub(super) fn lean(text: &str) -> Option<String> {
    let mut manifest: Table = toml::from_str(text).ok()?;
    let needed = needed(&manifest);
    let mut gone = BTreeSet::new();
    let mut is_less = drop_from(&mut manifest, &needed, &mut gone);
    if let Some(targets) = manifest.get_mut("target").and_then(Value::as_table_mut) {
        for (_, target) in targets.iter_mut() {
            is_less |= target.as_table_mut().is_some_and(|target| drop_from(target, &needed, &mut gone));
        }
    }
    if !is_less {
        return None;
    }
    // Programs that need them.
    for key in ["bench", "example", "test"] {
        manifest.remove(key);
    }
    if let Some(features) = manifest.get_mut("features").and_then(Value::as_table_mut) {
        let own: BTreeSet<String> = features.keys().cloned().collect();
        for (_, entries) in features.iter_mut() {
            if let Some(entries) = entries.as_array_mut() {
                entries.retain(|entry| {
                    let text = entry.as_str().unwrap_or_default();
                    let is_feature = own.contains(text);
                    is_feature || !gone.contains(dependency(text))
                });
            }
        }
    }
    toml::to_string(&manifest).ok()
}

/// Takes out of a table with dependencies what is not needed; whether there was anything.
fn drop_from(table: &mut Table, needed: &BTreeSet<String>, gone: &mut BTreeSet<String>) -> bool {
    let mut is_less = table.remove("dev-dependencies").is_some();
    for key in TABLES {
        let Some(all) = table.get_mut(key).and_then(Value::as_table_mut) else { continue };
        all.retain(|name, dependency| {
            let is_optional = dependency.get("optional").and_then(Value::as_bool) == Some(true);
            let is_out = is_optional && !needed.contains(name);
            if is_out {
                gone.insert(name.to_owned());
            }
            is_less |= is_out;
            !is_out
        });
    }
    is_less
}

/// Features and dependencies that are on if nothing is said.
fn needed(manifest: &Table) -> BTreeSet<String> {
    let features = manifest.get("features").and_then(Value::as_table);
    let mut found = BTreeSet::new();
    let mut left = vec!["default".to_owned()];
    while let Some(name) = left.pop() {
        let entries = features.and_then(|all| all.get(&name)).and_then(Value::as_array);
        for entry in entries.into_iter().flatten().filter_map(Value::as_str) {
            // `name?/feature` switches nothing on that is off.
            let name = dependency(entry).to_owned();
            if !entry.contains("?/") && found.insert(name.clone()) && !entry.starts_with("dep:") {
                left.push(name);
            }
        }
    }
    found
}

/// The dependency that an entry of a feature is about, or the feature.
fn dependency(entry: &str) -> &str {
    let name = entry.strip_prefix("dep:").unwrap_or(entry);
    name.split(['/', '?']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_defaults_switch_on_is_left() {
        let text = "[dependencies]\na = { version = \"1\", optional = true }\nb = { version = \"1\", optional = true }\nc = \"1\"\n\
            d = { version = \"1\", optional = true }\n[features]\ndefault = [\"one\"]\none = [\"dep:a\", \"b?/x\"]\nb = [\"dep:b\"]\ntwo = [\"b\", \"d\", \"c/y\"]\n";
        let lean: Table = toml::from_str(&lean(text).unwrap()).unwrap();
        let names: Vec<&String> = lean["dependencies"].as_table().unwrap().keys().collect();
        assert_eq!(names, ["a", "c"]);
        let entries = |feature: &str| lean["features"][feature].to_string().replace('"', "'");
        assert_eq!(entries("one"), "['dep:a']");
        assert_eq!((entries("b").as_str(), entries("two").as_str()), ("[]", "['b', 'c/y']"));
    }

    #[test]
    fn a_manifest_without_any_stays_as_it_is() {
        assert_eq!(lean("[dependencies]\nc = \"1\"\n[[test]]\nname = \"t\"\n"), None);
        assert_eq!(lean("not = [toml"), None);
    }
}
