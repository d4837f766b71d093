//! The Python side of the benchmarks: an environment with its packages, and the models in a form it can read.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Result, bail, ensure};
use vedette_models::{
    files::ModelStore,
    pack::{DEFAULT_PACK, Packs, Role},
};

use crate::checkout;

/// What the benchmarks' Python programs import, and where it comes from.
const MODULES: [(&str, &str); 9] = [
    ("insightface", "insightface"),
    ("onnxruntime", "onnxruntime"),
    ("cv2", "opencv-python-headless"),
    ("onnx", "onnx"),
    ("fastapi", "fastapi"),
    ("multipart", "python-multipart"),
    ("sqlalchemy", "sqlalchemy"),
    ("jwt", "pyjwt"),
    ("nacl", "pynacl"),
];
/// With it come uvloop and httptools, without which nobody ships it.
const SERVER: (&str, &str) = ("uvicorn, uvloop, httptools", "uvicorn[standard]");

/// Older builds of OpenBLAS need these on some processors; they slow the one that comes with NumPy now.
const OPENBLAS_VARIABLES: [&str; 2] = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"];

/// A run of the interpreter of an environment with what the benchmarks need, made on the first run.
///
/// # Errors
/// When it cannot be made.
pub fn command() -> Result<Command> {
    let mut command = Command::new(environment()?);
    OPENBLAS_VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    // Python's build of ONNX Runtime tells its maker of every start.
    command.env("ORT_DISABLE_TELEMETRY", "1");
    Ok(command)
}

/// Writes a model of the default pack with plain numbers for weights: Python's ONNX Runtime runs that as it is.
///
/// # Errors
/// When the pack is not fetched or the file cannot be written.
pub fn write_plain_model(role: Role, file: &Path) -> Result<()> {
    let pack = Packs::get(DEFAULT_PACK)?;
    let quantised = ModelStore::locate().require(&pack, pack.require(role)?)?;
    let mut command = command()?;
    command.arg(checkout::peers_dir().join("plain_weights.py")).arg(quantised).arg(file);
    if role == Role::Detector {
        command.arg("--any-size");
    }
    let run = command.output()?;
    ensure!(run.status.success(), "{role} cannot be had: {}", String::from_utf8_lossy(&run.stderr).trim());
    Ok(())
}

fn environment() -> Result<PathBuf> {
    let environment = checkout::root().join("data/bench/python");
    let python = environment.join("bin/python");
    let modules: Vec<&str> = MODULES.iter().chain([&SERVER]).map(|(module, _)| *module).collect();
    let imports = format!("import {}", modules.join(", "));
    let is_complete = |python: &Path| {
        let check = Command::new(python).args(["-c", &imports]).stderr(Stdio::null()).status();
        check.is_ok_and(|status| status.success())
    };
    if is_complete(&python) {
        return Ok(python);
    }
    let packages: Vec<&str> = MODULES.iter().chain([&SERVER]).map(|(_, package)| *package).collect();
    println!("python   installing {} into {} …", packages.join(", "), environment.display());
    let make = Command::new("python3").args(["-m", "venv"]).arg(&environment).output()?;
    if !make.status.success() {
        bail!("`python3 -m venv` fails; on Debian it needs the package python3-venv");
    }
    let install = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages)
        .output()?;
    ensure!(
        install.status.success() && is_complete(&python),
        "pip cannot install them: {}",
        String::from_utf8_lossy(&install.stderr).trim()
    );
    Ok(python)
}
