//! What is sent to enrol someone or to add to what is known of them: texts and photos, each photo with a verdict.
//!
//! Photos are examined one by one as they arrive, so that a request holds one original in memory however many it
//! sends.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;
use vedette_models::ModelError;
use vedette_models::analyzer::Analyzer;
use vedette_models::embed::Embedding;
use vedette_models::image::ImageError;
use warp::filters::multipart::FormData;

use super::model::SampleVerdict;
use super::photo;
use super::sample::{self, Refusal};
use super::template;
use crate::entity::persons;
use crate::error::ApiError;
use crate::state::State;
use crate::upload::{Field, Upload, UploadLimits};
use crate::vision::VisionError;

/// Photos in one request; more only if the configuration asks for more.
pub(super) const MAX_PHOTOS: usize = 20;
/// Size of one photo as it is sent.
const MAX_PHOTO_BYTES: usize = 20 * 1024 * 1024;

/// A photo that may become a template.
pub(super) struct Sample {
    pub(super) face_id: Uuid,
    index: usize,
    pub(super) filename: String,
    pub(super) quality: f32,
    pub(super) embedding: Embedding,
    pub(super) jpeg: Vec<u8>,
}

/// What was sent: the texts, the photos that can be used and a verdict about each.
pub(super) struct Submission {
    pub(super) texts: HashMap<String, String>,
    pub(super) samples: Vec<Sample>,
    pub(super) verdicts: Vec<SampleVerdict>,
}

impl Submission {
    /// Reads the form and examines every photo in it.
    pub(super) async fn receive(state: &State, form: Option<FormData>) -> Result<Self, ApiError> {
        let max_files = MAX_PHOTOS.max(state.vision.rules().min_samples);
        let limits = UploadLimits { file_fields: &["images"], max_files, max_file_bytes: MAX_PHOTO_BYTES };
        let mut upload = Upload::new(form, limits)?;
        let mut submission = Self { texts: HashMap::new(), samples: Vec::new(), verdicts: Vec::new() };
        while let Some(field) = upload.next().await? {
            match field {
                Field::Text { name, value } => {
                    submission.texts.insert(name, value);
                }
                Field::File { filename, bytes, .. } => {
                    submission.examine(state, filename, bytes).await?;
                }
            }
        }
        Ok(submission)
    }

    async fn examine(&mut self, state: &State, filename: String, bytes: Vec<u8>) -> Result<(), ApiError> {
        let min_quality = state.vision.rules().min_quality;
        let work = move |analyzer: &Analyzer| {
            let examined = photo::examine(analyzer, &bytes, min_quality)?;
            let kept = examined.photo.filter(|_| examined.outcome.is_ok());
            let jpeg = kept.as_ref().map(photo::to_kept_jpeg).transpose();
            Ok::<_, ModelError>((examined.quality, examined.outcome, jpeg))
        };
        let (quality, outcome, jpeg) = state.vision.run(work).await?.map_err(VisionError::from)?;
        let jpeg: Option<Vec<u8>> = jpeg.map_err(|error: ImageError| ApiError::internal(error))?;

        let index = self.verdicts.len();
        let reason = outcome.as_ref().err().map(ToString::to_string);
        self.verdicts.push(SampleVerdict {
            index,
            filename: filename.clone(),
            accepted: outcome.is_ok(),
            quality,
            reason,
        });
        if let (Ok(embedding), Some(jpeg), Some(quality)) = (outcome, jpeg, quality) {
            let face_id = Uuid::now_v7();
            self.samples.push(Sample { face_id, index, filename, quality, embedding, jpeg });
        }
        Ok(())
    }

    /// Refuses the samples `verdicts` (one for each) says no to.
    fn refuse(&mut self, verdicts: Vec<Result<(), Refusal>>) {
        let mut verdicts = verdicts.into_iter();
        let listed = &mut self.verdicts;
        self.samples.retain(|sample| match verdicts.next() {
            Some(Err(refusal)) => {
                listed[sample.index].accepted = false;
                listed[sample.index].reason = Some(refusal.to_string());
                false
            }
            _ => true,
        });
    }

    /// Refuses photos that do not show the person the others show.
    pub(super) fn refuse_other_persons(&mut self, state: &State) {
        let embeddings: Vec<&Embedding> = self.samples.iter().map(|sample| &sample.embedding).collect();
        let verdicts = sample::agree(&embeddings, state.vision.rules().threshold);
        self.refuse(verdicts);
    }

    /// Refuses photos that do not show the person they are to be added to.
    pub(super) async fn refuse_unlike(
        &mut self,
        state: &State,
        person: &persons::Model,
    ) -> Result<(), ApiError> {
        let templates =
            template::of_person(&state.db, &state.keys, person.id, &state.vision.pack().name).await?;
        if templates.is_empty() {
            self.refuse_other_persons(state);
            return Ok(());
        }
        let judge = |sample: &Sample| {
            let similarities = templates.iter().map(|template| template.cosine(&sample.embedding));
            let similarity = similarities.fold(-1.0, f32::max);
            let is_alike = similarity >= state.vision.rules().threshold;
            if is_alike { Ok(()) } else { Err(Refusal::OtherPerson { similarity }) }
        };
        let verdicts = self.samples.iter().map(judge).collect();
        self.refuse(verdicts);
        Ok(())
    }

    /// Says that fewer photos than `needed` can be used, and why.
    pub(super) fn too_few(&self, needed: usize) -> ApiError {
        let (accepted, sent) = (self.samples.len(), self.verdicts.len());
        let message = format!(
            "{accepted} of {sent} photos can be used, {needed} {} needed; `details` says what is wrong with the others",
            if needed == 1 { "is" } else { "are" }
        );
        ApiError::face_detection(message).with_details(self.verdicts.iter().map(|verdict| json!(verdict)))
    }
}
