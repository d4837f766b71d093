//! Where things lie in the checkout and in the build's output.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// The checkout's top folder.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// The public-domain photos.
pub fn media_dir() -> PathBuf {
    root().join("tests/media")
}

/// The Python programs Vedette is measured against.
pub fn peers_dir() -> PathBuf {
    root().join("tests/peers")
}

/// The configuration the product ships with.
pub fn config_dir() -> PathBuf {
    root().join("controlplane/config")
}

/// Clips and photos for measuring that are not part of the checkout; `None` where they are absent.
pub fn shared_dir() -> Option<PathBuf> {
    let dir = env::var_os("VEDETTE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    dir.join("data").is_dir().then_some(dir)
}

/// The folder of this build's binaries and of `libgstvedette.so`.
///
/// # Errors
/// When the running program does not know where it lies.
pub fn build_dir() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot tell where this program lies")?;
    let dir = program.parent().context("this program lies in no folder")?;
    // Test binaries lie one folder deeper than the product's.
    let is_test = dir.file_name().is_some_and(|name| name == "deps");
    Ok(if is_test { dir.parent().unwrap_or(dir) } else { dir }.to_path_buf())
}

/// A file of this build, such as `vedette` or `libgstvedette.so`.
///
/// # Errors
/// When it is not built.
pub fn built(file_name: &str) -> Result<PathBuf> {
    let file = build_dir()?.join(file_name);
    if !file.is_file() {
        let flag = if cfg!(debug_assertions) { "" } else { " --release" };
        bail!("{} is not built; run `cargo build --workspace{flag}`", file.display());
    }
    Ok(file)
}
