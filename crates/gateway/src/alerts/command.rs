//! Alerts to a program: it is run with the notice on its standard input.

use std::time::Duration;

use super::delivery::Failure;
use super::notice::Notice;
use super::settings::CommandSettings;
use crate::upstream::{ChildSpec, run_once};

/// One program. It runs once for each notice; whether another run would do harm only its author knows.
#[derive(Debug)]
pub(super) struct Program {
    spec: ChildSpec,
    timeout: Duration,
}

impl Program {
    pub(super) fn new(settings: &CommandSettings) -> Self {
        Self { spec: settings.spec.clone(), timeout: settings.timeout }
    }

    pub(super) async fn attempt(&self, notice: &Notice) -> Result<(), Failure> {
        let mut spec = self.spec.clone();
        let variables = [
            ("AQE_ALERT_NAME", &*notice.name),
            ("AQE_ALERT_EVENT", notice.event),
            ("AQE_ALERT_SEVERITY", notice.severity.as_str()),
            ("AQE_ALERT_ID", &notice.id),
            ("AQE_ALERT_DELIVERY", &notice.delivery),
            ("AQE_ALERT_TEXT", &notice.text),
        ];
        spec.env.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let ran = run_once(&spec, notice.document.clone(), self.timeout).await;
        ran.map_err(|error| Failure { text: error.to_string(), again: false, retry_after: None })
    }
}
