//! `vedette keys`.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::ConfigArguments;
use crate::crypto::{self, Keys, Resealed, Rotation};
use crate::{database, startup};

#[derive(Debug, Args)]
pub(super) struct KeysArguments {
    #[command(flatten)]
    config: ConfigArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which key is in use, by its id
    Status,
    /// Make a new key and encrypt everything anew with it; servers that run take part
    Rotate {
        /// Make none, use the one at hand: VEDETTE_KEY was changed, and VEDETTE_KEY_PREVIOUS holds the one before
        #[arg(long)]
        no_new_key: bool,
    },
}

pub(super) async fn run(arguments: KeysArguments) -> Result<()> {
    let environment = arguments.config.load()?.environment;
    startup::prepare_data_dir(&environment.data_dir)?;
    let keys = Keys::of(environment.key.as_ref(), &environment.previous_keys, &environment.data_dir)?;
    match arguments.action {
        Action::Status => show(&keys.told()),
        Action::Rotate { no_new_key } => {
            let db = database::connect(&environment).await?;
            let reseal =
                async || crypto::reseal(&db, &keys).await.context("not everything could be encrypted anew");
            // An earlier key goes when a new one comes: nothing may need it by then.
            let mut resealed = reseal().await?;
            if !no_new_key {
                keys.rotate()?;
                resealed = reseal().await?;
            }
            let Resealed { templates, strangers, cameras, webhooks } = resealed;
            println!(
                "encrypted anew: {templates} templates, {strangers} embeddings of strangers, {cameras} cameras, \
                 {webhooks} webhooks"
            );
            show(&keys.told());
            db.close().await.context("the database did not close")?;
        }
    }
    Ok(())
}

fn show(Rotation { key, earlier }: &Rotation) {
    println!("key {key}");
    for key in earlier {
        println!("key {key} (earlier: nothing is encrypted with it any more once a rotation ended)");
    }
}
