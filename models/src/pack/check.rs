//! What the types of a pack's description cannot say.

use std::path::Path;

use super::{ModelFile, Pack, Source};
use crate::bundled;

impl Pack {
    /// What the types cannot say: names stay inside the folder, hashes are hashes, thresholds are in range.
    pub(super) fn check(&self) -> Result<(), String> {
        for file in self.files() {
            file.check()?;
        }
        if let Some(detector) = &self.detector {
            in_unit_range("detector threshold", detector.threshold)?;
            in_unit_range("detector nms_threshold", detector.nms_threshold)?;
            within("detector input_size", detector.input_size as usize, 32..=4096)?;
        }
        if let Some(embedder) = &self.embedder {
            within("embedder input_size", embedder.input_size as usize, 16..=1024)?;
            within("embedder dimension", embedder.dimension, 1..=4096)?;
        }
        if let Some(attributes) = &self.attributes {
            within("attributes input_size", attributes.input_size as usize, 16..=1024)?;
        }
        if let Some(recognition) = &self.recognition {
            in_unit_range("recognition similarity_threshold", recognition.similarity_threshold)?;
            in_unit_range("recognition margin", recognition.margin)?;
        }
        Ok(())
    }
}

impl ModelFile {
    /// Its name stays inside the folder, its hash is one.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_plain = Path::new(&self.name).file_name().is_some_and(|name| name == self.name.as_str());
        if !is_plain {
            return Err(format!("`{}` is not a plain file name", self.name));
        }
        for source in &self.sources {
            if let Source::Bundled(name) = source
                && bundled::bytes(name).is_none()
            {
                return Err(format!("no file `{name}` is part of this program"));
            }
        }
        match &self.sha256 {
            Some(hash)
                if hash.len() != 64
                    || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) =>
            {
                Err(format!("the sha256 of {} is not 64 lowercase hexadecimal digits", self.name))
            }
            _ => Ok(()),
        }
    }
}

fn in_unit_range(what: &str, value: f32) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(format!("{what} is {value}, not between 0 and 1")) }
}

fn within(what: &str, value: usize, range: std::ops::RangeInclusive<usize>) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(format!("{what} is {value}, not between {} and {}", range.start(), range.end()))
}
