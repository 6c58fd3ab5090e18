//! What belongs together: an entry with its versions, a principal's learning with its patterns and observations. A unit is
//! there whole or not at all.

use std::io::BufRead;

use serde_json::value::RawValue;

use super::{
    Counts, EntryRecord, LearnerRecord, ObservationRecord, PatternRecord, Reading, Record, TransferError,
    VersionRecord,
};
use crate::StoreError;
use crate::learning::{BINS, Observation, Subject, Texts, Trials};
use crate::limits::{CONTEXTS_PER_PATTERN, HISTORY_MAX, OBSERVATIONS_PER_PRINCIPAL, PATTERNS_PER_PRINCIPAL};
use crate::memory::{Attributes, OnConflict, Put};

/// The format of this release.
pub(crate) const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EntryUnit {
    pub(crate) head: EntryRecord,
    /// The oldest first; at least one.
    pub(crate) versions: Vec<VersionRecord>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LearnerUnit {
    pub(crate) head: LearnerRecord,
    pub(crate) patterns: Vec<PatternRecord>,
    pub(crate) observations: Vec<ObservationRecord>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Unit {
    Entry(EntryUnit),
    Learner(LearnerUnit),
}

impl Unit {
    /// For people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Entry(EntryUnit { head, .. }) => {
                format!("{} / {} / {}", head.principal, head.namespace, head.key)
            }
            Self::Learner(LearnerUnit { head, .. }) => format!("what {} has learnt", head.principal),
        }
    }
}

/// Units of a file, in order, proven and checked.
pub(crate) struct Units<R> {
    reading: Reading<R>,
    /// What the first line promises.
    pub(crate) promised: Counts,
    seen: Counts,
}

impl<R: BufRead> Units<R> {
    pub(crate) fn begin(input: R) -> Result<Self, TransferError> {
        let mut reading = Reading::new(input);
        match reading.next()? {
            Some(Record::Export { format: FORMAT, counts }) => {
                Ok(Self { reading, promised: counts, seen: Counts::default() })
            }
            Some(Record::Export { format, .. }) => Err(reading.fault(format!(
                "the export is of format {format}, this release reads {FORMAT}: use the release that wrote it, or a newer one"
            ))),
            _ => Err(reading.fault("an export begins with a line that says what it is")),
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Unit>, TransferError> {
        let unit = match self.reading.next()? {
            None if self.seen == self.promised => return Ok(None),
            None => return Err(self.reading.fault("the file does not hold what its first line counts")),
            Some(Record::Entry(head)) => Unit::Entry(self.entry(head)?),
            Some(Record::Learner(head)) => Unit::Learner(self.learner(head)?),
            Some(_) => return Err(self.reading.fault("it does not belong to what stands before it")),
        };
        Ok(Some(unit))
    }

    fn entry(&mut self, head: EntryRecord) -> Result<EntryUnit, TransferError> {
        self.at_most("versions", head.versions, HISTORY_MAX)?;
        let mut versions: Vec<VersionRecord> = Vec::new();
        for _ in 0..head.versions {
            let Some(Record::Version(version)) = self.reading.next()? else {
                return Err(self.reading.fault("a version was expected"));
            };
            let follows = versions.last().map_or(1, |last| last.version + 1);
            if version.version < follows || i64::try_from(version.version).is_err() {
                return Err(self.reading.fault("versions must be numbered upwards, from 1"));
            }
            self.checked(check_version(&head, &version))?;
            versions.push(version);
        }
        if versions.is_empty() {
            return Err(self.reading.fault("an entry must have a version"));
        }
        self.seen.entries += 1;
        self.seen.versions += head.versions;
        Ok(EntryUnit { head, versions })
    }

    fn learner(&mut self, head: LearnerRecord) -> Result<LearnerUnit, TransferError> {
        self.at_most("patterns", head.patterns, PATTERNS_PER_PRINCIPAL)?;
        self.at_most("observations", head.observations, OBSERVATIONS_PER_PRINCIPAL)?;
        if head.forecasts.iter().any(|forecast| forecast.bin >= BINS as u64) || head.forecasts.len() > BINS {
            return Err(self.reading.fault("forecasts are of ten ranges"));
        }
        if head.uplift.len() > 4 {
            return Err(self.reading.fault("uplift is of four kinds"));
        }
        let (mut patterns, mut observations) = (Vec::new(), Vec::new());
        for _ in 0..head.patterns {
            let Some(Record::Pattern(pattern)) = self.reading.next()? else {
                return Err(self.reading.fault("a pattern was expected"));
            };
            self.at_most("contexts", pattern.contexts.len() as u64, CONTEXTS_PER_PATTERN)?;
            if pattern.merged_into.is_some_and(|whole| whole >= head.patterns) {
                return Err(self.reading.fault("it became part of a pattern that is not there"));
            }
            self.checked(check_pattern(&pattern))?;
            patterns.push(pattern);
        }
        for _ in 0..head.observations {
            let Some(Record::Observation(observation)) = self.reading.next()? else {
                return Err(self.reading.fault("an observation was expected"));
            };
            if observation.pattern >= head.patterns {
                return Err(self.reading.fault("it is of a pattern that is not there"));
            }
            observations.push(observation);
        }
        self.seen.learners += 1;
        self.seen.patterns += head.patterns;
        self.seen.observations += head.observations;
        Ok(LearnerUnit { head, patterns, observations })
    }

    fn at_most(&self, what: &str, actual: u64, limit: u64) -> Result<(), TransferError> {
        if actual <= limit {
            return Ok(());
        }
        Err(self.reading.fault(format!("it has {actual} {what}, the limit is {limit}")))
    }

    fn checked(&self, check: Result<(), StoreError>) -> Result<(), TransferError> {
        check.map_err(|error| self.reading.fault(error.to_string()))
    }
}

impl VersionRecord {
    /// As it would be written.
    pub(crate) fn as_put(&self, head: &EntryRecord) -> Put {
        Put {
            principal: head.principal.clone(),
            namespace: head.namespace.clone(),
            key: head.key.clone(),
            value: self.value.clone(),
            attributes: Attributes {
                tags: self.tags.clone(),
                kind: self.kind.clone(),
                source: self.source.clone(),
                importance: self.importance,
                expires: self.expires,
            },
            valid_from: Some(self.valid_from),
            if_version: None,
            on_conflict: OnConflict::Version,
            now: self.created,
        }
    }
}

fn check_version(head: &EntryRecord, version: &VersionRecord) -> Result<(), StoreError> {
    version.as_put(head).validate()?;
    for json in [Some(&version.value), version.source.as_ref()].into_iter().flatten() {
        if serde_json::from_str::<&RawValue>(json).is_err() {
            return Err(StoreError::BadName { what: "value, which must be JSON," });
        }
    }
    Ok(())
}

fn check_pattern(pattern: &PatternRecord) -> Result<(), StoreError> {
    let texts = Texts {
        description: pattern.description.clone(),
        content: pattern.content.clone(),
        tags: pattern.tags.clone(),
    };
    let told = Observation {
        pattern: Subject::Titled { polarity: pattern.polarity, title: pattern.title.clone(), texts },
        levels: pattern.contexts.iter().map(|context| context.name.clone()).collect(),
        trials: Trials { at: pattern.created, ..Trials::default() },
        used: None,
    };
    told.validate()
}
