//! Writes a photo to stdout as PPM, with the pixels Vedette sees. JPEG decoders differ by a few steps of brightness,
//! so whoever compares Vedette's networks with another program's must give both the same pixels.

use std::io::Write as _;
use std::process::ExitCode;

use vedette_models::Photo;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: decode PHOTO > PHOTO.ppm");
        return ExitCode::FAILURE;
    };
    match write_ppm(path.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decode: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn write_ppm(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let photo = Photo::decode(&std::fs::read(path)?)?;
    let mut out = std::io::stdout().lock();
    write!(out, "P6\n{} {}\n255\n", photo.width(), photo.height())?;
    out.write_all(photo.image().as_bytes())?;
    Ok(out.flush()?)
}
