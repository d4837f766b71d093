//! The commands of the README, run as they stand there.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use vedette_events::FaceEvent;
use vedette_tests::{
    checkout,
    clip::{Clip, KNOWN},
    server::Plan,
    terminal::lay_out_people,
};

use crate::scene::turn;

/// The README's `sh` blocks, in order.
fn shell_blocks() -> Result<Vec<String>> {
    let readme = fs::read_to_string(checkout::root().join("README.md"))?;
    let after_fences = readme.split("```sh\n").skip(1);
    let blocks =
        after_fences.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    ensure!(!blocks.is_empty(), "the README shows no command");
    Ok(blocks)
}

fn block_with(words: &str) -> Result<String> {
    let found = shell_blocks()?.into_iter().find(|block| block.contains(words));
    found.with_context(|| format!("no command of the README has `{words}`"))
}

/// Runs a script in `folder`, stopping at the first command that fails; returns what it printed.
fn run(script: &str, folder: &Path) -> Result<String> {
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("GST_REGISTRY", folder.join("registry"))
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{script}\nfails: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn every_block_is_valid_shell() -> Result<()> {
    for block in shell_blocks()? {
        let output = Command::new("sh").args(["-n", "-c", &block]).output()?;
        ensure!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[test]
fn make_knows_every_target_the_documents_name() -> Result<()> {
    let makefile = fs::read_to_string(checkout::root().join("Makefile"))?;
    for document in ["README.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(checkout::root().join(document))?;
        let quoted = text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("make "));
        for target in quoted.filter_map(|words| words.split_whitespace().next()) {
            ensure!(makefile.contains(&format!("\n{target}:")), "{document} names `make {target}`");
        }
    }
    Ok(())
}

#[test]
fn the_commands_for_the_terminal_recognise_someone() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let (_, truth) = Clip::demo().make(&folder.path().join("clip"))?;
    lay_out_people(&truth, &[checkout::media_dir()], &folder.path().join("people"))?;
    fs::create_dir(folder.path().join("target"))?;
    symlink(checkout::build_dir()?, folder.path().join("target/release"))?;

    let build_gallery = block_with("gallery build")?;
    let recognise = block_with("uri=stdout:")?;
    let printed = run(&format!("{build_gallery}\n{recognise}"), folder.path())?;
    let events = printed.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str::<FaceEvent>);
    let events = events.collect::<Result<Vec<_>, _>>()?;
    let is_named = |event: &FaceEvent| event.person.as_ref().is_some_and(|person| person.name == KNOWN);
    ensure!(events.iter().any(is_named), "nobody was recognised:\n{printed}");

    // No screen here: the drawn picture goes nowhere.
    let draw = block_with("vedettefaceoverlay !")?.replace("autovideosink", "fakesink sync=false");
    let plugins = "export GST_PLUGIN_PATH=$PWD/target/release";
    run(&format!("{plugins}\n{draw}"), folder.path()).map(|_| ())
}

#[test]
fn the_commands_for_the_api_work_on_a_new_server() -> Result<()> {
    let _turn = turn();
    let folder = tempfile::tempdir()?;
    let server = Plan::for_test(folder.path())?.start()?;
    for (number, photo) in (1..).zip(["obama.jpg", "obama2.jpg", "obama3.jpg"]) {
        fs::copy(checkout::media_dir().join(photo), folder.path().join(format!("{number}.jpg")))?;
    }
    let commands = block_with("/persons/register")?
        .replace("http://127.0.0.1:8000", &server.api().url(""))
        // Failing requests must fail the script, which they need not for someone reading along.
        .replace("curl -s", "curl -sS --fail-with-body");
    let printed = run(&commands, folder.path()).with_context(|| server.log_tail())?;
    ensure!(printed.contains("\"Ada\"") && printed.contains("\"items\":"), "{printed}");
    ensure!(!printed.contains("secret"), "a camera's password is shown:\n{printed}");
    Ok(())
}
