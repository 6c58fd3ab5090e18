//! Export and import of the file: see [`crate::transfer`].

mod entry;
mod learner;

use std::io::{BufRead, Seek, SeekFrom, Write};

use rusqlite::{Connection, TransactionBehavior};

use super::{Fault, StoreFile};
use crate::limits::{EXPIRED_KEPT_MS, IMPORT_BATCH_BYTES, IMPORT_BATCH_ENTRIES, NAMED_MAX};
use crate::transfer::{Conflicts, Counts, FORMAT, Imported, Lines, Record, TransferError, Unit, Units};
use crate::{Quotas, StoreError, UnixMillis};

impl StoreFile {
    /// Writes memory entries and what was learnt, of one principal or of all, as they are at one moment.
    ///
    /// # Errors
    /// [`TransferError::Store`], or [`TransferError::Io`] of `out`.
    pub fn export(&self, principal: Option<&str>, out: impl Write) -> Result<Counts, TransferError> {
        let connection = self.reader()?;
        let fault = |fault: Fault| TransferError::from(self.fault(fault));
        let snapshot = connection.unchecked_transaction().map_err(|error| fault(error.into()))?;
        let counts = counts(&snapshot, principal).map_err(fault)?;
        let mut lines = Lines::new(out);
        lines.write(&Record::Export { format: FORMAT, counts })?;
        entry::each(&snapshot, principal, |unit| {
            lines.write(&Record::Entry(unit.head))?;
            unit.versions.into_iter().try_for_each(|version| lines.write(&Record::Version(version)))
        })
        .map_err(|error| self.exported(error))?;
        learner::each(&snapshot, principal, |unit| {
            lines.write(&Record::Learner(unit.head))?;
            unit.patterns.into_iter().try_for_each(|pattern| lines.write(&Record::Pattern(pattern)))?;
            unit.observations.into_iter().try_for_each(|one| lines.write(&Record::Observation(one)))
        })
        .map_err(|error| self.exported(error))?;
        lines.end()?;
        Ok(counts)
    }

    /// Writes what an export holds: first the whole of it is proven and compared with what is there, then written in
    /// transactions of some hundred entries. A unit is written whole or not at all, and one that is there and equal is left
    /// alone, so an import that was interrupted is finished by doing it again.
    ///
    /// # Errors
    /// [`TransferError::Line`], [`TransferError::CutOff`] and [`TransferError::Conflicts`] before anything is written;
    /// [`TransferError::Store`] for quotas and what the medium does.
    pub fn import(
        &self,
        mut file: impl BufRead + Seek,
        conflicts: Conflicts,
        is_dry_run: bool,
        now: UnixMillis,
    ) -> Result<Imported, TransferError> {
        let mut connection = self.writer()?;
        let start = file.stream_position()?;
        let mut import = Import { conflicts, now, quotas: self.options.quotas, done: Imported::default() };
        let mut units = Units::begin(&mut file)?;
        import.done.file = units.promised;
        while let Some(unit) = units.next()? {
            import.look(&connection, &unit).map_err(|fault| self.fault(fault))?;
        }
        let differ = import.done.replaced + import.done.skipped;
        if let (Conflicts::Fail, Some(first)) = (conflicts, import.done.conflicts.first()) {
            return Err(TransferError::Conflicts { count: differ, first: first.clone() });
        }
        if is_dry_run {
            return Ok(import.done);
        }
        file.seek(SeekFrom::Start(start))?;
        let mut units = Units::begin(&mut file)?;
        import.done = Imported { file: units.promised, ..Imported::default() };
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(unit) = units.next()? {
            bytes += weight(&unit);
            batch.push(unit);
            if batch.len() >= IMPORT_BATCH_ENTRIES || bytes >= IMPORT_BATCH_BYTES {
                import
                    .write(&mut connection, &std::mem::take(&mut batch))
                    .map_err(|fault| self.fault(fault))?;
                bytes = 0;
            }
        }
        import.write(&mut connection, &batch).map_err(|fault| self.fault(fault))?;
        Ok(import.done)
    }

    fn exported(&self, error: Stopped) -> TransferError {
        match error {
            Stopped::Read(fault) => self.fault(fault).into(),
            Stopped::Write(error) => error,
        }
    }
}

/// Why an export stopped.
enum Stopped {
    Read(Fault),
    Write(TransferError),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.into())
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Read(fault)
    }
}

impl From<TransferError> for Stopped {
    fn from(error: TransferError) -> Self {
        Self::Write(error)
    }
}

fn counts(connection: &Connection, principal: Option<&str>) -> Result<Counts, Fault> {
    let (entries, versions) = entry::counts(connection, principal)?;
    let (learners, patterns, observations) = learner::counts(connection, principal)?;
    Ok(Counts { entries, versions, learners, patterns, observations })
}

/// Bytes of a unit, near enough.
fn weight(unit: &Unit) -> usize {
    match unit {
        Unit::Entry(unit) => unit.versions.iter().map(|version| version.value.len() + 256).sum(),
        // One to a transaction.
        Unit::Learner(_) => IMPORT_BATCH_BYTES,
    }
}

struct Import {
    conflicts: Conflicts,
    now: UnixMillis,
    quotas: Quotas,
    done: Imported,
}

/// What is to be done with a unit.
enum Step {
    Add,
    /// In the place of the one with this number.
    Replace(i64),
    Nothing,
}

impl Import {
    /// Decides and counts.
    fn look(&mut self, connection: &Connection, unit: &Unit) -> Result<Step, Fault> {
        let (there, is_equal) = match unit {
            Unit::Entry(unit) => {
                let forgotten = self.now.saturating_sub(EXPIRED_KEPT_MS);
                let last = unit.versions.last().and_then(|version| version.expires);
                if last.is_some_and(|expires| expires <= forgotten) {
                    self.done.expired += 1;
                    return Ok(Step::Nothing);
                }
                let there = entry::find(connection, &unit.head)?;
                let is_equal = there.as_ref().is_some_and(|(_, there)| there == unit);
                (there.map(|(id, _)| id), is_equal)
            }
            Unit::Learner(unit) => {
                let there = learner::find(connection, &unit.head.principal)?;
                let is_equal = there.as_ref().is_some_and(|(_, there)| there == unit);
                (there.map(|(id, _)| id), is_equal)
            }
        };
        let Some(id) = there else {
            self.done.added += 1;
            return Ok(Step::Add);
        };
        if is_equal {
            self.done.unchanged += 1;
            return Ok(Step::Nothing);
        }
        if self.done.conflicts.len() < NAMED_MAX {
            self.done.conflicts.push(unit.name());
        }
        if self.conflicts == Conflicts::Replace {
            self.done.replaced += 1;
            return Ok(Step::Replace(id));
        }
        self.done.skipped += 1;
        Ok(Step::Nothing)
    }

    /// Writes some units, all or none.
    fn write(&mut self, connection: &mut Connection, units: &[Unit]) -> Result<(), Fault> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for unit in units {
            let replaced = match self.look(&transaction, unit)? {
                Step::Nothing => continue,
                Step::Add => None,
                Step::Replace(id) => Some(id),
            };
            let written = match unit {
                Unit::Entry(unit) => entry::write(&transaction, unit, replaced, self.now, &self.quotas),
                Unit::Learner(unit) => learner::write(&transaction, unit, replaced),
            };
            written.map_err(|fault| in_unit(fault, unit))?;
        }
        Ok(transaction.commit()?)
    }
}

/// Says of which unit a quota speaks.
fn in_unit(fault: Fault, unit: &Unit) -> Fault {
    match fault {
        Fault::Store(error @ StoreError::Limit { .. }) => {
            StoreError::Import { unit: unit.name(), reason: error.to_string() }.into()
        }
        other => other,
    }
}
