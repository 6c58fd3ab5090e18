//! Takes the model out of the package that carries it, checks it, and writes it small.
//!
//! The package is a dependency of `weights/Cargo.toml`, outside of the workspace: Cargo downloads it and tells where its
//! sources are; none of it is compiled. `AQE_MODEL_DIR` names a folder with the two files instead, for builds that may
//! not ask a registry.
//!
//! What is written to `OUT_DIR`:
//! - `rows.bin`: for each token a scale (f32, little endian) and its 64 coordinates as i8, so that coordinate = scale × i8;
//! - `vocabulary.txt`: the tokens, one a line, in the order of the rows;
//! - `key.txt`: SHA-256 of both and of the way texts are read, in hexadecimal: the model's name wherever vectors are kept.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The package that carries the files, and where.
const PACKAGE: &str = "yantrikdb";
const FOLDER: &str = "assets/potion-base-2M";
/// Files and the SHA-256 of what we know them to hold: a package that was changed is not taken.
const WEIGHTS: (&str, &str) =
    ("model.safetensors", "f95ffde02ad06f63ae38eb9d400038cd5ccaf8411ec3cb650c6025113f96cbb8");
const TOKENIZER: (&str, &str) =
    ("tokenizer.json", "e67e803f624fb4d67dea1c730d06e1067e1b14d830e2c2202569e3ef0f70bb50");
/// Coordinates of a row.
const DIMS: usize = 64;
/// To be raised when `src/` reads texts in another way: then vectors that are kept must be made again.
const READING: &str = "wordpiece 1, first 512 tokens, mean, i8";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=weights/Cargo.lock");
    println!("cargo::rerun-if-env-changed=AQE_MODEL_DIR");
    let folder = match env::var_os("AQE_MODEL_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => package_folder()?.join(FOLDER),
    };
    let rows = rows(&read(&folder, WEIGHTS)?)?;
    let vocabulary = vocabulary(&read(&folder, TOKENIZER)?)?;
    if vocabulary.lines().count() != rows.len() / (DIMS + 4) {
        return Err("the vocabulary has not as many tokens as the weights have rows".into());
    }
    let digest = Sha256::new().chain_update(&rows).chain_update(&vocabulary).chain_update(READING).finalize();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("rows.bin"), rows)?;
    fs::write(out.join("vocabulary.txt"), vocabulary)?;
    fs::write(out.join("key.txt"), hexadecimal(&digest))?;
    Ok(())
}

/// Where Cargo keeps the package's sources. Asks the registry only if they are not here yet.
fn package_folder() -> Result<PathBuf, Box<dyn Error>> {
    let manifest = Path::new(&env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?)
        .join("weights/Cargo.toml");
    let cargo = env::var_os("CARGO").ok_or("CARGO is not set")?;
    let metadata = |offline: bool| {
        let mut command = Command::new(&cargo);
        command.args(["metadata", "--locked", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        if offline {
            command.arg("--offline");
        }
        command.output()
    };
    let mut output = metadata(true)?;
    if !output.status.success() {
        output = metadata(false)?;
    }
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!(
            "the package with the embedding model cannot be had: `cargo fetch --manifest-path {}` once with a network, or set \
             AQE_MODEL_DIR to a folder with {} and {}\n{reason}",
            manifest.display(),
            WEIGHTS.0,
            TOKENIZER.0
        )
        .into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("`cargo metadata` names no packages")?;
    let package = packages.iter().find(|package| package["name"] == PACKAGE);
    let manifest =
        package.and_then(|package| package["manifest_path"].as_str()).ok_or("the package is not named")?;
    Ok(Path::new(manifest).parent().ok_or("the package has no folder")?.to_owned())
}

fn read(folder: &Path, (name, sha256): (&str, &str)) -> Result<Vec<u8>, Box<dyn Error>> {
    let path = folder.join(name);
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if hexadecimal(&Sha256::digest(&bytes)) != sha256 {
        return Err(format!("{} is not the file that is expected (SHA-256 {sha256})", path.display()).into());
    }
    Ok(bytes)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The one tensor of a safetensors file, each row quantised to its own scale.
fn rows(file: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let (length, rest) = file.split_first_chunk::<8>().ok_or("the weights are cut off")?;
    let length = usize::try_from(u64::from_le_bytes(*length))?;
    let header: Value = serde_json::from_slice(rest.get(..length).ok_or("the weights are cut off")?)?;
    let tensor = &header["embeddings"];
    if tensor["dtype"] != "F32" || tensor["shape"][1] != DIMS {
        return Err(format!("the weights have another form: {tensor}").into());
    }
    let mut rows = Vec::new();
    let (values, _) = rest[length..].as_chunks::<4>();
    for row in values.chunks_exact(DIMS) {
        let row: Vec<f32> = row.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let scale = row.iter().fold(0_f32, |most, value| most.max(value.abs())) / 127.0;
        rows.extend(scale.to_le_bytes());
        rows.extend(
            row.iter()
                .map(|value| if scale > 0.0 { (value / scale).round() as i8 } else { 0 }.cast_unsigned()),
        );
    }
    Ok(rows)
}

/// The tokens in the order of their numbers.
fn vocabulary(file: &[u8]) -> Result<String, Box<dyn Error>> {
    let tokenizer: Value = serde_json::from_slice(file)?;
    let model = &tokenizer["model"];
    let normalizer = &tokenizer["normalizer"];
    if model["type"] != "WordPiece"
        || normalizer["type"] != "BertNormalizer"
        || normalizer["lowercase"] != true
        || tokenizer["pre_tokenizer"]["type"] != "BertPreTokenizer"
    {
        return Err("the tokenizer is not the one that src/wordpiece.rs does".into());
    }
    let tokens = model["vocab"].as_object().ok_or("the tokenizer has no vocabulary")?;
    let mut numbered: Vec<(u64, &String)> =
        tokens.iter().filter_map(|(token, number)| Some((number.as_u64()?, token))).collect();
    numbered.sort_unstable();
    let in_order =
        numbered.iter().zip(0..).all(|(&(number, token), at)| number == at && !token.contains('\n'));
    if !in_order || numbered.len() != tokens.len() {
        return Err("the vocabulary's numbers are not 0, 1, 2, …".into());
    }
    Ok(numbered.iter().map(|(_, token)| token.as_str()).collect::<Vec<_>>().join("\n"))
}
