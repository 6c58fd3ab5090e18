//! Makes `AQE_MEASURED_BY`: a digest of all that the figures of a source depend on besides the source: what measures it and
//! how it is written down, and the parsers. Figures that another release has kept are found under another key.

use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

/// Files and folders of files in this crate.
const MEASURING: [&str; 5] =
    ["src/syntax.rs", "src/syntax", "src/metrics/measure.rs", "src/metrics/kept.rs", "src/project/git.rs"];
const LOCK: &str = "../../Cargo.lock";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let mut hasher = DefaultHasher::new();
    for path in MEASURING {
        say(&format!("cargo::rerun-if-changed={path}"));
        let mut files = Vec::new();
        find(&root.join(path), &mut files)?;
        files.sort_unstable();
        for file in files {
            hasher.write(file.strip_prefix(&root)?.as_os_str().as_encoded_bytes());
            hasher.write(&fs::read(&file)?);
        }
    }
    say(&format!("cargo::rerun-if-changed={LOCK}"));
    // Outside of the workspace nothing says which parsers there are but the release.
    let lock = fs::read_to_string(root.join(LOCK)).unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned());
    for package in lock.split("[[package]]").filter(|package| package.contains("name = \"tree-sitter")) {
        hasher.write(package.as_bytes());
    }
    say(&format!("cargo::rustc-env=AQE_MEASURED_BY={:016x}", hasher.finish()));
    Ok(())
}

/// To Cargo, which reads standard output.
#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}

fn find(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        find(&entry?.path(), files)?;
    }
    Ok(())
}
