//! `vedette user`: accounts, when nobody can sign in to make them.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::ConfigArguments;
use crate::audit::{Action as Audited, Actor};
use crate::auth::Role;
use crate::startup;
use crate::users::{self, NewUser};

#[derive(Debug, Args)]
pub(super) struct UserArguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(subcommand)]
    action: Action,
}

/// Passwords are read from standard input: arguments are visible to every user of the machine.
#[derive(Debug, Subcommand)]
enum Action {
    /// Make a user; the password is read from standard input
    Create {
        /// Name to sign in with
        username: String,
        /// What the user may do: viewer, operator or admin
        #[arg(long, default_value = "viewer")]
        role: Role,
        /// Mail address
        #[arg(long)]
        email: Option<String>,
        /// Name to show
        #[arg(long)]
        full_name: Option<String>,
    },
    /// Set a user's password, read from standard input; everyone signed in as that user is signed out
    Passwd {
        /// Name to sign in with
        username: String,
    },
}

pub(super) async fn run(arguments: UserArguments) -> Result<()> {
    let config = arguments.config.load()?;
    let db = startup::open_database(&config.environment).await?;
    match arguments.action {
        Action::Create { username, role, email, full_name } => {
            let password = read_password()?.into();
            let must_change_password = false;
            let new = NewUser { username, email, full_name, password, role, must_change_password };
            users::create(&db, &Actor::command_line(), Audited::UserCreated, new).await?;
            println!("made");
        }
        Action::Passwd { username } => {
            let user = users::find_by_username(&db, &username).await?;
            let user = user.with_context(|| format!("there is no user `{username}`"))?;
            let actor = Actor::command_line();
            users::set_password(&db, &actor, Audited::PasswordReset, &user, read_password()?).await?;
            println!("changed");
        }
    }
    db.close().await.context("the database did not close")
}

/// One line of standard input.
fn read_password() -> Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("password (it is shown as you type): ");
        std::io::stderr().flush().context("the terminal does not answer")?;
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("no password can be read from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
