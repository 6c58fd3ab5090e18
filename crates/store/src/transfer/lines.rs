//! Lines with checksums, and the end that says how many there were.

use std::fmt::Write as _;
use std::io::{BufRead, Read as _, Write};

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{Record, TransferError};
use crate::limits::EXPORT_LINE_MAX_BYTES;

/// Digits of a checksum.
fn hex(digest: &Sha256) -> String {
    digest.clone().finalize().iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn checksum(text: &str) -> String {
    hex(&Sha256::new_with_prefix(text))
}

/// Writes lines.
pub(crate) struct Lines<W> {
    out: W,
    number: u64,
    digest: Sha256,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, number: 0, digest: Sha256::new() }
    }

    pub(crate) fn write(&mut self, record: &Record) -> Result<(), TransferError> {
        let record = serde_json::to_string(record).map_err(std::io::Error::from)?;
        let line = format!("{{\"sha256\":\"{}\",\"record\":{record}}}\n", checksum(&record));
        self.out.write_all(line.as_bytes())?;
        self.digest.update(&line);
        self.number += 1;
        Ok(())
    }

    /// Writes the last line.
    pub(crate) fn end(mut self) -> Result<(), TransferError> {
        let end = Record::End { lines: self.number, sha256: hex(&self.digest) };
        self.write(&end)?;
        Ok(self.out.flush()?)
    }
}

/// Reads lines and proves them.
pub(crate) struct Reading<R> {
    input: R,
    /// The line that was read last, from 1.
    pub(crate) number: u64,
    digest: Sha256,
    line: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    sha256: &'a str,
    #[serde(borrow)]
    record: &'a RawValue,
}

impl<R: BufRead> Reading<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, number: 0, digest: Sha256::new(), line: String::new() }
    }

    /// A fault of the line that was read last.
    pub(crate) fn fault(&self, what: impl Into<String>) -> TransferError {
        TransferError::Line { line: self.number, what: what.into() }
    }

    /// The next record; `None` behind the last one, which was the end and is not answered.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, TransferError> {
        if !self.read_line()? {
            return Err(TransferError::CutOff { line: self.number });
        }
        let record = {
            let line: Line<'_> = serde_json::from_str(&self.line)
                .map_err(|_| self.fault("this is no line of an export, or a part of one"))?;
            let raw = line.record.get();
            if line.sha256 != checksum(raw) {
                return Err(self.fault("its checksum is not that of its record: it was changed"));
            }
            serde_json::from_str(raw).map_err(|error| self.fault(format!("not understood: {error}")))?
        };
        if let Record::End { lines, sha256 } = record {
            if lines != self.number - 1 || sha256 != hex(&self.digest) {
                return Err(
                    self.fault(format!("lines are missing or out of order: it counts {lines} before it"))
                );
            }
            if self.read_line()? {
                return Err(self.fault("it stands behind the end"));
            }
            return Ok(None);
        }
        self.digest.update(&self.line);
        Ok(Some(record))
    }

    /// Reads a line with its end; answers whether there was any of it.
    fn read_line(&mut self) -> Result<bool, TransferError> {
        self.line.clear();
        let mut bytes = std::mem::take(&mut self.line).into_bytes();
        let most = EXPORT_LINE_MAX_BYTES as u64;
        let read = self.input.by_ref().take(most).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if !bytes.ends_with(b"\n") {
            let is_long = read as u64 == most;
            return Err(if is_long {
                self.fault(format!("it is longer than {most} bytes"))
            } else {
                TransferError::CutOff { line: self.number }
            });
        }
        self.line = String::from_utf8(bytes).map_err(|_| self.fault("it is not UTF-8"))?;
        Ok(true)
    }
}
