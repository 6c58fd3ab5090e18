//! Which format a report has, by its content.

use memchr::memmem;

use super::{Format, ReadError};

/// Bytes at the beginning that are looked at for words that only one format has. The first file of a report may have
/// many lines before them.
const HEAD: usize = 1 << 20;

pub(super) fn detect(bytes: &[u8]) -> Result<Format, ReadError> {
    let unknown = |why: &str| Err(ReadError::Unknown(why.to_owned()));
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    match text.first() {
        None => unknown("the file is empty"),
        Some(b'<') => xml(text),
        Some(b'{' | b'[') => json(text),
        _ if bytes.starts_with(b"SQLite format 3\0") => {
            unknown("this is coverage.py's data file; run `coverage json` and name what that writes")
        }
        _ if text.starts_with(b"mode: ") => Ok(Format::Go),
        _ => {
            let head = &text[..text.len().min(HEAD)];
            let mut lines = head.split(|byte| *byte == b'\n');
            let is_lcov = lines.any(|line| line.starts_with(b"SF:"));
            if is_lcov { Ok(Format::Lcov) } else { unknown("it has none of the formats' marks") }
        }
    }
}

fn xml(text: &[u8]) -> Result<Format, ReadError> {
    let head = &text[..text.len().min(HEAD)];
    let has = |word: &str| memmem::find(head, word.as_bytes()).is_some();
    let formats = [
        (has("<report") && (has("<package") || has("<sessioninfo") || has("<group")), Format::Jacoco),
        (has("<coverage") && (has("line-rate=") || has("<packages")), Format::Cobertura),
        (has("<coverage") && (has("clover=") || has("<project")), Format::Clover),
    ];
    if let Some((_, format)) = formats.into_iter().find(|(is, _)| *is) {
        return Ok(format);
    }
    Err(ReadError::Unknown(if has("<CoverageSession") {
        "this is OpenCover's XML; let the runner write lcov or Cobertura (coverlet does)".into()
    } else {
        "the XML is neither Cobertura's nor JaCoCo's nor Clover's".into()
    }))
}

fn json(text: &[u8]) -> Result<Format, ReadError> {
    let head = &text[..text.len().min(HEAD)];
    let has = |word: &str| memmem::find(head, word.as_bytes()).is_some();
    let formats = [
        (has("\"statementMap\""), Format::Istanbul),
        (has("\"executed_lines\""), Format::CoveragePy),
        (has("\"segments\"") || has("\"llvm.coverage.json.export\""), Format::Llvm),
        (has("\"coverage\"") && !has("\"pct\""), Format::Simplecov),
    ];
    if let Some((_, format)) = formats.into_iter().find(|(is, _)| *is) {
        return Ok(format);
    }
    Err(ReadError::Unknown(if has("\"pct\"") {
        "this JSON has only totals; name coverage-final.json or lcov.info instead".into()
    } else {
        "the JSON is neither Istanbul's, coverage.py's, llvm-cov's nor SimpleCov's".into()
    }))
}
