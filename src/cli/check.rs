//! `mcp config`.

use clap::Subcommand;

use super::places::Files;
use super::{Failure, output};
use crate::config::{self, Flags};

/// `mcp config`.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Say what is read and what is wrong with it, by file and line. Exit code 1 if there are faults.
    #[command(
        after_help = "Examples:\n  aqe-v3 mcp config check\n  aqe-v3 mcp config check --config aqe.toml --json"
    )]
    Check {
        #[command(flatten)]
        files: Files,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Config {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::Check { files, json } = self;
        let report = config::check(&files.request(Flags::default())?);
        if json {
            let text = serde_json::to_string(&report).map_err(std::io::Error::from)?;
            output::line(&text)?;
        } else {
            output::line(&report.to_string())?;
        }
        if report.is_sound() { Ok(()) } else { Err(Failure::Told) }
    }
}
