//! What the benchmarks of recognition are run on: a clip with its truth, and photos of its people.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    checkout,
    clip::Clip,
    terminal::{build_gallery, lay_out_people},
    truth::Truth,
};

/// A clip, its truth, and where the photos of its people lie.
#[derive(Debug)]
pub struct Material {
    /// The clip.
    pub video: PathBuf,
    /// Who is seen in it, when and where.
    pub truth: Truth,
    /// Folders with the photos the truth names.
    pub photo_dirs: Vec<PathBuf>,
}

impl Material {
    /// `clip` of the shared folder, whose truth lies beside it, or the usual one; without that folder a clip that is made
    /// within `folder`.
    ///
    /// # Errors
    /// When the clip is not there or cannot be made.
    pub fn find(clip: Option<&Path>, folder: &Path) -> Result<Self> {
        let Some(shared) = checkout::shared_dir() else {
            let (video, truth) = Clip::demo().make(&folder.join("clip"))?;
            return Ok(Self { video, truth, photo_dirs: vec![checkout::media_dir()] });
        };
        let clip = clip.map_or_else(|| shared.join("data/clips/crowd_dev.mp4"), Path::to_path_buf);
        Ok(Self {
            video: clip.with_extension("mp4").canonicalize()?,
            truth: Truth::read(&clip.with_extension("json"))?,
            photo_dirs: ["data/faces/people", "data/faces/groups"].map(|dir| shared.join(dir)).to_vec(),
        })
    }

    /// The gallery of everybody the clip knows, as a URI; made within `folder`.
    ///
    /// # Errors
    /// When a photo is missing or shows no usable face.
    pub fn gallery(&self, folder: &Path) -> Result<String> {
        let people = folder.join("people");
        lay_out_people(&self.truth, &self.photo_dirs, &people)?;
        build_gallery(&people, &folder.join("people.gallery"))
    }
}
