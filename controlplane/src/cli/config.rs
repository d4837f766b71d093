//! `vedette config`: the settings, before one trusts a server to them.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::ConfigArguments;
use crate::config::{self, Environment};
use crate::vision::Vision;

#[derive(Debug, Args)]
pub(super) struct ConfigCommandArguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check the settings as a start would; the first mistake is named with its file, line and key
    Check,
    /// Show the settings in effect and where each comes from; secrets are left out
    Print,
}

pub(super) fn run(arguments: ConfigCommandArguments) -> Result<()> {
    match arguments.action {
        Action::Check => {
            let config = arguments.config.load()?;
            Vision::from_config(&config.file)?;
            let folder =
                config.folder.as_deref().map_or("built-in".into(), |folder| folder.display().to_string());
            println!("the settings hold ({folder}, {})", config.stage.as_str());
        }
        Action::Print => {
            let working_dir = std::env::current_dir().context("there is no working directory")?;
            let environment = Environment::of_process(&working_dir)?;
            let is_of_process = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
            let folder = arguments.config.config.as_deref();
            print!("{}", config::describe(folder, &environment, is_of_process)?);
        }
    }
    Ok(())
}
