//! Which outputs of a model are which: told by name or by shape, checked before anything is read from them.

use ort::session::{Session, SessionOutputs};
use ort::value::ValueType;

use super::{STRIDES, scrfd, yunet};
use crate::error::ModelError;
use crate::pack::DetectorArchitecture;

/// The architecture of a model (`described` by its pack, or else told by its outputs) and its input's width and
/// height if they are fixed.
pub(super) fn inspect(
    session: &Session,
    model_name: &str,
    described: Option<DetectorArchitecture>,
) -> Result<(DetectorArchitecture, Option<(u32, u32)>), ModelError> {
    let invalid = |reason: String| ModelError::InvalidModel { model: model_name.into(), reason };
    let [input] = session.inputs() else {
        return Err(invalid(format!("a detector has one input, this model has {}", session.inputs().len())));
    };
    let fixed_input = match input.dtype() {
        ValueType::Tensor { shape, .. } => match shape[..] {
            [_, 3, height, width] if height > 0 && width > 0 => Some((width as u32, height as u32)),
            [_, 3, height, width] if height < 0 && width < 0 => None,
            _ => {
                return Err(invalid(format!("a detector takes [1, 3, height, width], this model {shape:?}")));
            }
        },
        _ => return Err(invalid("its input is not a tensor".into())),
    };
    let is_yunet = STRIDES.iter().all(|stride| {
        let has = |name: &String| session.outputs().iter().any(|output| output.name() == name);
        yunet::output_names(*stride).iter().all(has)
    });
    let is_scrfd = session.outputs().len() == scrfd::OUTPUTS;
    let found = match (is_yunet, is_scrfd) {
        (true, _) => DetectorArchitecture::Yunet,
        (false, true) => DetectorArchitecture::Scrfd,
        (false, false) if session.outputs().len() == 6 => {
            return Err(invalid(
                "it finds no landmarks, which recognition needs: take a `_kps` model".into(),
            ));
        }
        (false, false) => return Err(invalid("its outputs are neither YuNet's nor SCRFD's".into())),
    };
    match described {
        Some(described) if described != found => {
            Err(invalid(format!("its pack says it is {described:?}, its outputs are those of {found:?}")))
        }
        _ => Ok((found, fixed_input)),
    }
}

/// YuNet's outputs by stride.
pub(super) fn yunet<'a>(
    outputs: &'a SessionOutputs,
    model_name: &str,
) -> Result<[yunet::Stride<'a>; 3], ModelError> {
    let stride = |stride: u32| -> Result<yunet::Stride<'a>, ModelError> {
        let named = yunet::output_names(stride);
        let values = |index: usize| -> Result<&'a [f32], ModelError> {
            let output = outputs.get(&named[index]).ok_or_else(|| ModelError::UnexpectedTensor {
                model: model_name.into(),
                reason: format!("gave no output `{}`", named[index]),
            })?;
            Ok(output.try_extract_tensor::<f32>()?.1)
        };
        let [class, objectness, boxes, landmarks] = [values(0)?, values(1)?, values(2)?, values(3)?];
        Ok(yunet::Stride { class, objectness, boxes, landmarks })
    };
    Ok([stride(STRIDES[0])?, stride(STRIDES[1])?, stride(STRIDES[2])?])
}

/// SCRFD's outputs by stride. Exports name them as they like, and order kinds or strides differently: the last
/// dimension tells the kind (1 score, 4 distances, 10 coordinates), the length the stride.
pub(super) fn scrfd<'a>(
    outputs: &'a SessionOutputs,
    model_name: &str,
) -> Result<[scrfd::Stride<'a>; 3], ModelError> {
    let unexpected = |reason: String| ModelError::UnexpectedTensor { model: model_name.into(), reason };
    let (mut scores, mut boxes, mut landmarks) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..outputs.len() {
        let (shape, values) = outputs[index].try_extract_tensor::<f32>()?;
        match shape.last() {
            Some(1) => scores.push(values),
            Some(4) => boxes.push(values),
            Some(10) => landmarks.push(values),
            _ => return Err(unexpected(format!("gave an output of shape {shape:?}"))),
        }
    }
    for kind in [&mut scores, &mut boxes, &mut landmarks] {
        kind.sort_by_key(|values| std::cmp::Reverse(values.len()));
    }
    let ([s8, s16, s32], [b8, b16, b32], [l8, l16, l32]) = (&scores[..], &boxes[..], &landmarks[..]) else {
        return Err(unexpected("did not give three scores, boxes and landmarks each".into()));
    };
    let stride = |scores: &&'a [f32], boxes: &&'a [f32], landmarks: &&'a [f32]| scrfd::Stride {
        scores,
        boxes,
        landmarks,
    };
    Ok([stride(s8, b8, l8), stride(s16, b16, l16), stride(s32, b32, l32)])
}
