//! `vedette models`: the model files on this machine.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use vedette_models::fetch::{FetchOptions, Progress, fetch};
use vedette_models::files::ModelStore;
use vedette_models::pack::{DEFAULT_PACK, Pack, Packs};

#[derive(Debug, Args)]
pub(super) struct ModelsArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Fetch ONNX Runtime and a pack; every file is checked against its hash, and what is there already is kept
    Fetch {
        /// The pack
        #[arg(default_value = DEFAULT_PACK)]
        pack: String,
        /// Accept a licence that does not allow every use
        #[arg(long, alias = "accept-licence")]
        accept_license: bool,
        /// Take all files that are not here yet, ONNX Runtime among them, from this folder or zip archive, without any network
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
    },
    /// List the packs, their licences and whether their files are here
    List,
    /// Check the files of a pack against their hashes
    Verify {
        /// The pack
        #[arg(default_value = DEFAULT_PACK)]
        pack: String,
    },
}

pub(super) fn run(arguments: ModelsArguments) -> Result<()> {
    match arguments.action {
        Action::Fetch { pack, accept_license, from } => fetch_pack(&Packs::get(&pack)?, accept_license, from),
        Action::List => list(),
        Action::Verify { pack } => verify(&Packs::get(&pack)?),
    }
}

fn fetch_pack(pack: &Pack, accept_license: bool, from: Option<PathBuf>) -> Result<()> {
    let accept_license = accept_license || pack.commercial_use || asks_for_consent(pack)?;
    let options = FetchOptions { accept_license, folder: None, from };
    let is_terminal = std::io::stderr().is_terminal();
    // How much has arrived is told on one line of a terminal; in a build's log it would be noise.
    let mut tell = |progress: Progress| match progress {
        Progress::Received { .. } if is_terminal => eprint!("\r\x1b[K{progress}"),
        Progress::Received { .. } => {}
        _ if is_terminal => eprintln!("\r\x1b[K{progress}"),
        _ => eprintln!("{progress}"),
    };
    fetch(&pack.name, &options, &mut tell)?;
    println!("{}: complete", pack.name);
    Ok(())
}

/// Shows the licence and asks, if there is someone to ask.
fn asks_for_consent(pack: &Pack) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("{} is not free for every use: {}.\nFetch it all the same? [y/N] ", pack.name, pack.licence);
    std::io::stderr().flush().context("the terminal is gone")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("the terminal is gone")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn list() -> Result<()> {
    let store = ModelStore::locate();
    for pack in Packs::builtin()?.iter() {
        let (present, total) = pack
            .files()
            .fold((0, 0), |(present, total), file| (present + usize::from(store.has(pack, file)), total + 1));
        let state = match present {
            0 => "not here".to_owned(),
            _ if present == total => "here".to_owned(),
            _ => format!("{present} of {total} files here"),
        };
        let freedom = if pack.commercial_use { "free for every use" } else { "restricted" };
        println!("{}\t{state}\t{freedom}: {}\n\t{}", pack.name, pack.licence, pack.about);
    }
    let runtime = &Packs::builtin()?.runtime;
    let library = runtime.for_this_machine().and_then(|library| store.find_runtime(library));
    let state = library.map_or_else(|| "not here".to_owned(), |path| path.display().to_string());
    println!("ONNX Runtime {}\t{state}", runtime.version);
    Ok(())
}

fn verify(pack: &Pack) -> Result<()> {
    let store = ModelStore::locate();
    let mut failed = 0_usize;
    for file in pack.files() {
        match store.read(pack, file) {
            Ok((path, _)) if file.sha256.is_some() => println!("ok\t{}", path.display()),
            Ok((path, _)) => println!("there, without a hash to check\t{}", path.display()),
            Err(error) => {
                failed += 1;
                eprintln!("bad\t{error}");
            }
        }
    }
    if failed > 0 {
        bail!("{failed} files of `{}` are missing or wrong", pack.name);
    }
    Ok(())
}
