//! What `DequantizeLinear` does to a weight, done once: `(quantised - zero point) × scale`, with one scale for all
//! of it, one for each index of an axis, or one for each block along an axis.

use prost::Message;
use prost::bytes::Bytes;

use super::proto::{Node, Tensor, data_type};

/// Numbers of any type, and their shape.
struct Numbers {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// How the scales lie on the weight. Along the axis, `block` indexes share their scales; the weight's values lie in
/// slabs, one for each index of the dimensions before the axis, and a slab in blocks.
#[derive(Debug, PartialEq)]
struct ScaleLayout {
    /// How many values a slab has.
    slab: usize,
    /// How many values a block has.
    block: usize,
    /// How many blocks a slab has.
    blocks: usize,
    /// How many scales a block has: one, or one for each index of the dimensions after the axis.
    width: usize,
    /// Whether every slab has scales of its own.
    own_scales: bool,
}

/// The weight a node computes from constants, as an encoded initializer named like the node's output. `None` for
/// types that are left to ONNX Runtime.
pub(super) fn fold(
    node: &Node,
    quantized: &Tensor,
    scale: &Tensor,
    zero_point: Option<&Tensor>,
) -> Result<Option<Bytes>, String> {
    let (Some(mut weight), Some(scale)) = (read(quantized)?, read(scale)?) else { return Ok(None) };
    let zero_point = match zero_point.map(read).transpose()? {
        Some(Some(numbers)) => Some(numbers),
        Some(None) => return Ok(None),
        None => None,
    };
    if zero_point.as_ref().is_some_and(|zero| zero.values.len() != scale.values.len()) {
        return Err("its scales and zero points differ in number".into());
    }
    let layout = layout(node, &weight.shape, &scale)?;
    for (slab_index, slab) in weight.values.chunks_mut(layout.slab).enumerate() {
        for (block_index, block) in slab.chunks_mut(layout.block).enumerate() {
            let first_block = if layout.own_scales { slab_index * layout.blocks } else { 0 };
            let first = (first_block + block_index) * layout.width;
            let range = first..first + layout.width;
            let factors = scale.values.get(range.clone()).ok_or("its scales do not cover the weight")?;
            let zeros = zero_point.as_ref().and_then(|zero| zero.values.get(range));
            dequantize(block, factors, zeros);
        }
    }
    let folded = Tensor {
        dims: quantized.dims.clone(),
        data_type: Some(data_type::FLOAT),
        name: node.output.first().cloned(),
        raw_data: Some(to_raw(weight.values.into_iter()).into()),
        ..Tensor::default()
    };
    Ok(Some(folded.encode_to_vec().into()))
}

/// The values as ONNX stores them.
pub(super) fn to_raw(values: impl ExactSizeIterator<Item = f32>) -> Vec<u8> {
    let mut raw = Vec::with_capacity(values.len() * size_of::<f32>());
    values.for_each(|value| raw.extend_from_slice(&value.to_le_bytes()));
    raw
}

/// The values of a tensor; `None` for a type or a place of storage that is left alone.
pub(super) fn values(tensor: &Tensor) -> Result<Option<Vec<f32>>, String> {
    Ok(read(tensor)?.map(|numbers| numbers.values))
}

/// How many values a tensor has, if its shape makes sense.
pub(super) fn element_count(tensor: &Tensor) -> Option<usize> {
    tensor.dims.iter().try_fold(1usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?))
}

/// Dequantises values in place, the scales repeating over them.
fn dequantize(values: &mut [f32], factors: &[f32], zeros: Option<&[f32]>) {
    if let [factor] = factors {
        let zero = zeros.and_then(|zeros| zeros.first()).copied().unwrap_or(0.0);
        values.iter_mut().for_each(|value| *value = (*value - zero) * factor);
        return;
    }
    for row in values.chunks_mut(factors.len().max(1)) {
        for (index, (value, factor)) in row.iter_mut().zip(factors).enumerate() {
            let zero = zeros.and_then(|zeros| zeros.get(index)).copied().unwrap_or(0.0);
            *value = (*value - zero) * factor;
        }
    }
}

fn layout(node: &Node, shape: &[usize], scale: &Numbers) -> Result<ScaleLayout, String> {
    let count = shape.iter().product::<usize>().max(1);
    if scale.values.len() == 1 {
        return Ok(ScaleLayout { slab: count, block: count, blocks: 1, width: 1, own_scales: false });
    }
    let rank = shape.len() as i64;
    let axis = node.integer("axis", 1);
    let from_front = if axis < 0 { axis.saturating_add(rank) } else { axis };
    let axis = usize::try_from(from_front)
        .ok()
        .filter(|&axis| axis < shape.len())
        .ok_or_else(|| format!("its axis {axis} is not one of the weight's"))?;
    let length = shape[axis];
    let stride = shape[axis + 1..].iter().product::<usize>().max(1);
    let slab = stride * length.max(1);
    let block = usize::try_from(node.integer("block_size", 0)).map_err(|_| "its block size is negative")?;
    if block == 0 {
        if scale.values.len() != length {
            return Err(format!("it has {} scales for {length} channels", scale.values.len()));
        }
        return Ok(ScaleLayout { slab, block: stride, blocks: length, width: 1, own_scales: false });
    }
    let blocks = length.div_ceil(block);
    let mut expected = shape.to_vec();
    expected[axis] = blocks;
    if scale.shape != expected {
        return Err(format!("its scales have the shape {:?} instead of {expected:?}", scale.shape));
    }
    let block = stride.saturating_mul(block);
    Ok(ScaleLayout { slab, block, blocks, width: stride, own_scales: true })
}

/// The numbers of a tensor, or `None` for a type or a place of storage that folding leaves alone.
fn read(tensor: &Tensor) -> Result<Option<Numbers>, String> {
    if tensor.data_location.unwrap_or(0) != 0 {
        return Ok(None);
    }
    let raw = tensor.raw_data.as_deref();
    let values: Vec<f32> = match (tensor.data_type.unwrap_or(0), raw) {
        (data_type::FLOAT, Some(raw)) => words(raw)?.map(f32::from_le_bytes).collect(),
        (data_type::FLOAT, None) => tensor.float_data.clone(),
        (data_type::UINT8, Some(raw)) => raw.iter().map(|&value| f32::from(value)).collect(),
        (data_type::INT8, Some(raw)) => raw.iter().map(|&value| f32::from(value.cast_signed())).collect(),
        (data_type::INT32, Some(raw)) => words(raw)?.map(|word| i32::from_le_bytes(word) as f32).collect(),
        (data_type::UINT8 | data_type::INT8 | data_type::INT32, None) => {
            tensor.int32_data.iter().map(|&value| value as f32).collect()
        }
        _ => return Ok(None),
    };
    if element_count(tensor) != Some(values.len()) {
        return Err(format!("a tensor of the shape {:?} has {} values", tensor.dims, values.len()));
    }
    // The count above has shown that every dimension is a size.
    let shape = tensor.dims.iter().map(|&size| usize::try_from(size).unwrap_or_default()).collect();
    Ok(Some(Numbers { shape, values }))
}

fn words(raw: &[u8]) -> Result<impl Iterator<Item = [u8; 4]> + '_, String> {
    let (words, rest) = raw.as_chunks::<4>();
    if rest.is_empty() { Ok(words.iter().copied()) } else { Err("a tensor's data is cut short".into()) }
}
