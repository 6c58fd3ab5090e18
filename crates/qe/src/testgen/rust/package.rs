//! The package that a file is of, and under which paths its tests reach what is in the file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::reply::Refusal;

/// Bytes of a manifest or a module that are read.
const BYTES_MAX: u64 = 2 << 20;

/// A package in the copy, and the module of it that a target is.
#[derive(Debug)]
pub(super) struct Package {
    /// The folder of the manifest, relative to the copy; empty: its own.
    pub(super) folder: String,
    /// As `use` writes it.
    pub(super) name: String,
    /// The root of the library.
    pub(super) root: PathBuf,
    /// The modules on the way from the root to the target, as names, and the text of each: the root's first.
    modules: Vec<(String, String)>,
    /// Of the language.
    pub(super) edition: String,
    /// Whether Cargo finds tests in `tests/` by itself.
    pub(super) finds_tests: bool,
}

impl Package {
    /// Of `file` in the copy at `project`.
    pub(super) fn of(project: &Path, file: &str) -> Result<Self, Refusal> {
        let path = project.join(file);
        let folder = path
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(project))
            .find(|folder| folder.join("Cargo.toml").is_file())
            .ok_or_else(|| {
                Refusal(format!("{file}: plan only: there is no Cargo.toml above it within the root"))
            })?;
        let manifest: toml::Value = read(&folder.join("Cargo.toml"))
            .and_then(|text| toml::from_str(&text).ok())
            .ok_or_else(|| Refusal(format!("{file}: the Cargo.toml above it cannot be read")))?;
        let package = manifest.get("package").ok_or_else(|| {
            Refusal(format!(
                "{file}: plan only: the Cargo.toml above it is of a workspace and has no package"
            ))
        })?;
        let library = manifest.get("lib");
        let said = |table: Option<&toml::Value>, key: &str| {
            table.and_then(|table| table.get(key)).and_then(toml::Value::as_str).map(str::to_owned)
        };
        let name = said(library, "name")
            .or_else(|| said(Some(package), "name"))
            .unwrap_or_default()
            .replace('-', "_");
        let root = folder.join(said(library, "path").unwrap_or_else(|| "src/lib.rs".into()));
        let is_macro = library.and_then(|table| table.get("proc-macro")).is_some();
        if !root.is_file() || is_macro {
            return Err(Refusal(format!(
                "{file}: plan only: tests in `tests/` reach public functions of a library, and its package has none"
            )));
        }
        let finds_tests = package.get("autotests").and_then(toml::Value::as_bool) != Some(false);
        let folder = folder.strip_prefix(project).unwrap_or(Path::new("")).display().to_string();
        let modules = modules(&root, &path)
            .ok_or_else(|| Refusal(format!("{file}: plan only: it is no module of the library {name}")))?;
        // One that the workspace says is a new one.
        let edition = match package.get("edition") {
            Some(edition) => edition.as_str().unwrap_or("2021"),
            None => "2015",
        };
        Ok(Self { folder, name, root, modules, edition: edition.to_owned(), finds_tests })
    }

    /// What a file of tests begins with, so that the library has a name in it: since edition 2018 it has one.
    pub(super) fn head(&self) -> String {
        if self.edition == "2015" { format!("extern crate {};\n", self.name) } else { String::new() }
    }

    /// The path of an item of the target, if tests can reach it: as a public module has it, or as one re-exports it.
    pub(super) fn path(&self, item: &str) -> Option<String> {
        let last = self.modules.len() - 1;
        for depth in (0..=last).rev() {
            let is_public =
                (1..=depth).all(|at| declares_public(&self.modules[at - 1].1, &self.modules[at].0));
            if !is_public {
                continue;
            }
            let names = |range: &[(String, String)]| -> Vec<String> {
                range.iter().map(|(name, _)| name.clone()).collect()
            };
            let mut path = vec![self.name.clone()];
            path.extend(names(&self.modules[1..=depth]));
            if depth == last {
                path.push(item.to_owned());
                return Some(path.join("::"));
            }
            let inner = names(&self.modules[depth + 1..]).join("::");
            let whole = names(&self.modules[1..]).join("::");
            let exports = exports(&self.modules[depth].1);
            for from in [format!("{inner}::"), format!("self::{inner}::"), format!("crate::{whole}::")] {
                let alias = exports.get(&format!("{from}{item}")).cloned();
                if let Some(alias) =
                    alias.or_else(|| exports.get(&format!("{from}*")).map(|_| item.to_owned()))
                {
                    path.push(alias);
                    return Some(path.join("::"));
                }
            }
        }
        None
    }
}

fn read(path: &Path) -> Option<String> {
    let is_small = fs::metadata(path).is_ok_and(|is| is.len() <= BYTES_MAX);
    is_small.then(|| fs::read_to_string(path).ok()).flatten()
}

/// The modules from the root to a file, by where the files are.
fn modules(root: &Path, file: &Path) -> Option<Vec<(String, String)>> {
    let mut found = vec![(String::new(), read(root)?)];
    if file == root {
        return Some(found);
    }
    let source = root.parent()?;
    let inside = file.strip_prefix(source).ok()?;
    let mut names: Vec<String> =
        inside.with_extension("").components().map(|one| one.as_os_str().to_string_lossy().into()).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    let mut folder = source.to_path_buf();
    for name in names {
        let flat = folder.join(format!("{name}.rs"));
        let nested = folder.join(&name).join("mod.rs");
        folder = folder.join(&name);
        found.push((name, read(if flat.is_file() { &flat } else { &nested })?));
    }
    Some(found)
}

fn declares_public(text: &str, module: &str) -> bool {
    let wanted = format!("pub mod {module};");
    text.lines().any(|line| line.trim_start().starts_with(&wanted))
}

/// What a module's text exports by `pub use`: from the path as it is written to the name.
fn exports(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let plain: String =
        text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join(" ");
    for part in plain.split("pub use ").skip(1) {
        let Some(tree) = part.split(';').next() else { continue };
        let tree: String = tree.replace(" as ", "\u{0}").split_whitespace().collect();
        expand("", &tree, 0, &mut found);
    }
    found
}

fn expand(prefix: &str, tree: &str, depth: usize, found: &mut HashMap<String, String>) {
    if depth > 8 {
        return;
    }
    if let Some((head, rest)) = tree.split_once('{') {
        let inside = rest.rfind('}').map_or(rest, |end| &rest[..end]);
        let (mut level, mut begin) = (0, 0);
        for (at, one) in inside.char_indices().chain([(inside.len(), ',')]) {
            match one {
                '{' => level += 1,
                '}' => level -= 1,
                ',' if level == 0 => {
                    expand(&format!("{prefix}{head}"), &inside[begin..at], depth + 1, found);
                    begin = (at + 1).min(inside.len());
                }
                _ => {}
            }
        }
    } else if !tree.is_empty() {
        let (path, alias) =
            tree.split_once('\u{0}').unwrap_or((tree, tree.rsplit("::").next().unwrap_or(tree)));
        found.insert(format!("{prefix}{path}"), alias.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_re_exported_is_found_however_it_is_written() {
        let found = exports("pub use a::{b::C, d as E, f::*};\npub use self::g::h; // pub use x::y;\n");
        let mut pairs: Vec<_> = found.iter().map(|(path, name)| format!("{path} {name}")).collect();
        pairs.sort();
        assert_eq!(pairs, ["a::b::C C", "a::d E", "a::f::* *", "self::g::h h"]);
    }

    #[test]
    fn a_private_module_is_reached_by_what_its_parent_exports() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let place = folder.path().join(name);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        };
        put("Cargo.toml", "[package]\nname = \"a-b\"\n");
        put("src/lib.rs", "mod inner;\npub mod open;\npub use inner::one;\n");
        put("src/inner.rs", "");
        put("src/open/mod.rs", "pub mod deep;");
        put("src/open/deep.rs", "");
        let of = |file: &str| Package::of(folder.path(), file).unwrap();
        assert_eq!(of("src/inner.rs").path("one").as_deref(), Some("a_b::one"));
        assert_eq!(of("src/inner.rs").path("two"), None);
        assert_eq!(of("src/open/deep.rs").path("x").as_deref(), Some("a_b::open::deep::x"));
        assert_eq!(of("src/lib.rs").path("x").as_deref(), Some("a_b::x"));
    }
}
