//! Networks that look at square crops of a picture: what embedders and the models for age and gender have in common. Crops
//! are read straight from the frame into the network's input, a few at a time, and a row of numbers comes out for each.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::session::Session;
use ort::value::ValueType;

use crate::align::SimilarityTransform;
use crate::batch::BatchedModel;
use crate::error::ModelError;
use crate::image::{ImageView, TensorLayout, WarpScratch, warp_rgb};
use crate::session::{Device, SessionOptions, SessionPool};

/// The longest row of numbers a network here makes of a crop.
const MAX_ROW_LENGTH: i64 = 4096;

/// A network of input `[crops, 3, side, side]` and output `[crops, numbers]`, shared by all streams of a process.
#[derive(Debug)]
pub(crate) struct CropNetwork {
    model: BatchedModel,
    name: String,
    layout: TensorLayout,
    side: u32,
    row_length: usize,
    /// Buffers of callers that are not looking at crops now.
    idle_scratch: Mutex<Vec<CropScratch>>,
}

#[derive(Debug, Default)]
struct CropScratch {
    warp: WarpScratch,
    tensor: Vec<f32>,
}

/// A network as it is opened.
pub(crate) struct CropNetworkOptions<'a> {
    /// Its name in messages and metadata.
    pub(crate) name: String,
    /// The graph.
    pub(crate) bytes: Vec<u8>,
    /// What it runs on.
    pub(crate) device: Device,
    /// What it is, with its article, for messages.
    pub(crate) kind: &'a str,
    /// The side of its crops, in pixels, where the graph leaves that free.
    pub(crate) side: u32,
}

/// What a network's inputs and outputs say about it.
struct Shape {
    side: u32,
    row_length: usize,
    takes_batches: bool,
}

impl CropNetwork {
    /// Opens a session on a network; how it wants its numbers may depend on how many it makes.
    pub(crate) fn open(
        options: CropNetworkOptions<'_>,
        layout: impl FnOnce(usize) -> TensorLayout,
    ) -> Result<Self, ModelError> {
        let CropNetworkOptions { name, bytes, device, kind, side } = options;
        let session_options = SessionOptions { device, label: name.clone(), ..SessionOptions::default() };
        let sessions = SessionPool::open(bytes, session_options)?;
        let shape = sessions.run(|session| {
            inspect(session, kind, side)
                .map_err(|reason| ModelError::InvalidModel { model: name.clone(), reason })
        })?;
        let input_side = shape.side as usize;
        Ok(Self {
            model: BatchedModel::new(sessions, &[3, input_side, input_side], shape.takes_batches),
            name,
            layout: layout(shape.row_length),
            side: shape.side,
            row_length: shape.row_length,
            idle_scratch: Mutex::new(Vec::new()),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The side of its crops in pixels.
    pub(crate) fn side(&self) -> u32 {
        self.side
    }

    /// How many numbers it makes of a crop.
    pub(crate) fn row_length(&self) -> usize {
        self.row_length
    }

    /// What it runs on.
    pub(crate) fn device(&self) -> Device {
        self.model.sessions().device()
    }

    /// What it makes of crops of one picture, each given by the way from the picture into it: `row_length` numbers for
    /// each, in their order.
    pub(crate) fn run(
        &self,
        view: &ImageView,
        to_crops: &[SimilarityTransform],
    ) -> Result<Vec<f32>, ModelError> {
        let mut scratch = self.lock_scratch().pop().unwrap_or_default();
        let rows = self.run_with(view, to_crops, &mut scratch);
        self.lock_scratch().push(scratch);
        rows
    }

    /// An error about what came out of it, as the rest of a sentence that begins with its name.
    pub(crate) fn unexpected(&self, reason: String) -> ModelError {
        ModelError::UnexpectedTensor { model: self.name.clone(), reason }
    }

    fn lock_scratch(&self) -> MutexGuard<'_, Vec<CropScratch>> {
        self.idle_scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_with(
        &self,
        view: &ImageView,
        to_crops: &[SimilarityTransform],
        scratch: &mut CropScratch,
    ) -> Result<Vec<f32>, ModelError> {
        let mut rows = Vec::with_capacity(to_crops.len() * self.row_length);
        for batch in to_crops.chunks(self.model.max_rows()) {
            self.write_batch(view, batch, scratch);
            let values = self.model.run(&scratch.tensor)?;
            if values.len() != batch.len() * self.row_length {
                let reason = format!("gave {} numbers for {} faces", values.len(), batch.len());
                return Err(self.unexpected(reason));
            }
            rows.extend_from_slice(&values);
        }
        Ok(rows)
    }

    /// Reads the crops into the tensor, one after the other.
    fn write_batch(&self, view: &ImageView, batch: &[SimilarityTransform], scratch: &mut CropScratch) {
        let side = self.side as usize;
        let plane_length = side * side;
        let CropScratch { warp, tensor } = scratch;
        tensor.resize(batch.len() * 3 * plane_length, 0.0);
        for (to_crop, target) in batch.iter().zip(tensor.chunks_exact_mut(3 * plane_length)) {
            warp_rgb(view, &to_crop.inverse(), self.side, warp, |row, red, green, blue| {
                self.layout.write_row(target, plane_length, row * side, [red, green, blue]);
            });
        }
    }
}

/// Reads what a network takes and makes; `side` stands in for an input of free size.
fn inspect(session: &Session, kind: &str, side: u32) -> Result<Shape, String> {
    let ([input], [output, ..]) = (session.inputs(), session.outputs()) else {
        return Err(format!("{kind} has one input and an output"));
    };
    let (ValueType::Tensor { shape: takes, .. }, ValueType::Tensor { shape: makes, .. }) =
        (input.dtype(), output.dtype())
    else {
        return Err("its input or output is not a tensor".into());
    };
    let [batch, 3, height, width] = takes[..] else {
        return Err(format!("{kind} takes [faces, 3, side, side], this model {takes:?}"));
    };
    if height != width {
        return Err(format!("{kind} takes squares, this model {width}×{height}"));
    }
    let row_length = match makes.last() {
        Some(length @ 1..=MAX_ROW_LENGTH) => *length as usize,
        _ => return Err(format!("{kind} makes [faces, numbers], this model {makes:?}")),
    };
    // A batch that is fixed to more than one face would have to be filled up: no known export is.
    let takes_batches = match batch {
        1 => false,
        free if free < 0 => true,
        fixed => return Err(format!("it takes exactly {fixed} faces at a time")),
    };
    let side = if height > 0 { u32::try_from(height).unwrap_or(side) } else { side };
    Ok(Shape { side, row_length, takes_batches })
}
