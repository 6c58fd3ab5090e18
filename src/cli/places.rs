//! Where we are: the flags that say which configuration, and what they are relative to.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::config::{self, Config, Environment, Flags, Request};

/// Which configuration.
#[derive(Debug, Clone, Args)]
pub(super) struct Files {
    /// Our configuration file, instead of those that are found (./aqe.toml, the user's configuration folder).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An agent's file with mcpServers; may be given several times. Without one, ./.mcp.json.
    #[arg(long, value_name = "FILE")]
    mcp_config: Vec<PathBuf>,
}

impl Files {
    /// The configuration to load.
    pub(super) fn request(self, flags: Flags) -> Result<Request, Failure> {
        let Self { config, mcp_config } = self;
        Ok(Request { folder: folder()?, config, mcp_config, flags, env: Environment::of_process() })
    }
}

/// Whose store, and how it is shown.
#[derive(Debug, Clone, Args)]
pub(super) struct Stored {
    #[command(flatten)]
    files: Files,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Stored {
    /// The configuration that names the store.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let request = self.files.clone().request(Flags::default())?;
        let loaded = config::load(&request).map_err(|faults| Failure::Failed(faults.to_string()))?;
        Ok(loaded.config)
    }
}

/// The current folder.
pub(super) fn folder() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::Failed(format!("the current folder: {error}")))
}
