//! Which dimensions of a picture model may vary, told from its graph. An exporter writes down the size it happened
//! to trace the network with; most networks for pictures take any size and any number of pictures, and only the
//! note on their input says otherwise.

use std::collections::{HashMap, HashSet};

use super::fold::element_count;
use super::proto::{Attribute, Node, Tensor, data_type};

/// What may vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freedom {
    /// The number of pictures.
    pub(super) batch: bool,
    /// Their height and width.
    pub(super) size: bool,
}

/// What of a graph's values does not depend on its input.
pub(super) struct Constants<'a> {
    names: HashSet<&'a str>,
    shapes: HashMap<&'a str, Vec<i64>>,
}

/// Goes through the nodes in their order, which ONNX requires to be the order they can run in. Varying is only
/// allowed by operators known to take it, so an unknown one keeps the model as its exporter wrote it.
pub(super) fn freedom<'a>(nodes: &'a [Node], mut constants: Constants<'a>) -> Freedom {
    let mut freedom = Freedom { batch: true, size: true };
    for node in nodes {
        let is_constant =
            node.input.iter().all(|name| name.is_empty() || constants.names.contains(name.as_str()));
        if is_constant {
            constants.add(node);
            continue;
        }
        freedom.batch &= takes_any_batch(node, &constants);
        freedom.size &= takes_any_size(node, &constants);
    }
    freedom
}

impl<'a> Constants<'a> {
    /// The initializers of a graph; `shape_of` reads one that is used as a shape.
    pub(super) fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { names: names.into_iter().collect(), shapes: HashMap::new() }
    }

    /// Makes the numbers of a constant known, if it may be a shape.
    pub(super) fn add_shape(&mut self, name: &'a str, tensor: &Tensor) {
        if let Some(shape) = read_shape(tensor) {
            self.shapes.insert(name, shape);
        }
    }

    fn add(&mut self, node: &'a Node) {
        self.names.extend(node.output.iter().map(String::as_str));
        let value = node.attribute("value").and_then(|attribute| attribute.t.clone());
        let tensor = value.and_then(|bytes| <Tensor as prost::Message>::decode(bytes).ok());
        if let (Some(name), Some(tensor)) = (node.output.first(), tensor) {
            self.add_shape(name, &tensor);
        }
    }

    fn contains(&self, node: &Node, input: usize) -> bool {
        node.input.get(input).is_none_or(|name| name.is_empty() || self.names.contains(name.as_str()))
    }

    fn shape(&self, node: &Node, input: usize) -> Option<&[i64]> {
        self.shapes.get(node.input.get(input)?.as_str()).map(Vec::as_slice)
    }
}

/// Operators that treat every value, or every picture of a batch, alike.
const POINTWISE: [&str; 18] = [
    "Add",
    "BatchNormalization",
    "Clip",
    "Div",
    "Dropout",
    "Elu",
    "Exp",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Mul",
    "PRelu",
    "Relu",
    "Sigmoid",
    "Sqrt",
    "Sub",
    "Tanh",
];

/// Operators that slide over a picture.
const SLIDING: [&str; 6] =
    ["AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "InstanceNormalization", "MaxPool"];

/// Operators graphs compute shapes with: one that does so adapts to its input.
const SHAPE_ARITHMETIC: [&str; 9] =
    ["Cast", "Ceil", "Concat", "Floor", "Gather", "Shape", "Slice", "Squeeze", "Unsqueeze"];

fn takes_any_batch(node: &Node, constants: &Constants<'_>) -> bool {
    let Some(operator) = node.operator() else { return false };
    match operator {
        "Flatten" => node.integer("axis", 1) == 1,
        "Gemm" => node.integer("transA", 0) == 0 && constants.contains(node, 1),
        "MatMul" => constants.contains(node, 1),
        "Concat" => node.integer("axis", 0) > 0,
        "Transpose" => node.attribute("perm").and_then(first_integer) == Some(0),
        // Zero means "as many as there are"; -1 could also mean that the batch is dealt out anew.
        "Reshape" => constants.shape(node, 1).and_then(<[i64]>::first) == Some(&0),
        _ => POINTWISE.contains(&operator) || SLIDING.contains(&operator),
    }
}

fn takes_any_size(node: &Node, constants: &Constants<'_>) -> bool {
    let Some(operator) = node.operator() else { return false };
    match operator {
        "Softmax" | "Transpose" => true,
        // A shape that is written down must leave one dimension open; one that is computed adapts.
        "Reshape" => match constants.shape(node, 1) {
            Some(shape) => shape.contains(&-1),
            None => !constants.contains(node, 1),
        },
        // Scales may be written down, a size may not.
        "Resize" => node.input.get(3).is_none_or(|size| size.is_empty() || !constants.contains(node, 3)),
        "Upsample" => true,
        _ => {
            POINTWISE.contains(&operator)
                || SLIDING.contains(&operator)
                || SHAPE_ARITHMETIC.contains(&operator)
        }
    }
}

fn first_integer(attribute: &Attribute) -> Option<i64> {
    attribute.ints.first().copied()
}

/// The numbers of a tensor that may be a shape: a few whole numbers.
fn read_shape(tensor: &Tensor) -> Option<Vec<i64>> {
    const MOST_DIMENSIONS: usize = 16;
    if tensor.data_type != Some(data_type::INT64) || element_count(tensor)? > MOST_DIMENSIONS {
        return None;
    }
    let Some(raw) = tensor.raw_data.as_deref() else { return Some(tensor.int64_data.clone()) };
    let (numbers, rest) = raw.as_chunks::<8>();
    rest.is_empty().then(|| numbers.iter().map(|number| i64::from_le_bytes(*number)).collect())
}
