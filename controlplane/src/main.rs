//! The `vedette` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    vedette::cli::main()
}
