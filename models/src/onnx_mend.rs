//! Makes models loadable and general that were written for another reader than ONNX Runtime. OpenCV's block-quantised
//! files name weights as inputs that nobody feeds, carry a block size where there is only one scale, are fixed to
//! one picture size, and would be dequantised anew at every run; and networks for faces use an operator ONNX Runtime
//! is slow at. What is mended is told from the graph, never from the file's name; a model that needs nothing is passed
//! on byte for byte.

mod fold;
mod prelu;
mod proto;
mod shapes;

use std::collections::{HashMap, HashSet};

use prost::Message;
use prost::bytes::Bytes;

use proto::{Attribute, Dimension, Graph, Model, Node, OperatorSet, Tensor, TensorName, ValueInfo};
use shapes::{Constants, Freedom, freedom};

/// More entries than any list in a model for pictures has: a file that claims more is refused before memory is
/// spent on it.
const MAX_ENTRIES: usize = 100_000;

/// How much larger than the file folded weights may be: a byte becomes a 32-bit number, and some weights may be
/// used twice.
const MAX_GROWTH: usize = 8;

/// The node that turns a quantised weight back into numbers.
const DEQUANTIZE: &str = "DequantizeLinear";

/// Returns the model in the form ONNX Runtime runs best.
pub(crate) fn mend(file: impl Into<Bytes>) -> Result<Vec<u8>, String> {
    let file = file.into();
    let mut model = Model::decode(file.clone())
        .map_err(|error| format!("it is not an ONNX model, or it is incomplete ({error})"))?;
    let graph = model.graph.as_mut().ok_or("it is not an ONNX model: it has no graph")?;
    check_entries(graph)?;
    let mut nodes = decode_all::<Node>(&graph.node, "node")?;
    if nodes.is_empty() || graph.output.is_empty() {
        return Err("it is not a complete ONNX model: its graph computes nothing".into());
    }
    if nodes.iter().any(Node::has_subgraph) {
        // The inner graphs may use any name of the outer one; no model that needs mending has them.
        return Ok(file.into());
    }
    let mut weights = Weights::new(graph)?;
    let mut changed = fold_weights(graph, &mut nodes, &mut weights, file.len())?;
    changed |= drop_unfed_inputs(graph, &nodes, &weights)?;
    changed |= free_dimensions(graph, &nodes, &weights)?;
    let operators = decode_all::<OperatorSet>(&model.opset_import, "operator set")?;
    changed |= prelu::replace(&mut nodes, &mut weights, &operators)?;
    if !changed {
        return Ok(file.into());
    }
    graph.node = nodes.iter().map(|node| node.encode_to_vec().into()).collect();
    graph.initializer = weights.into_encoded();
    Ok(model.encode_to_vec())
}

/// The initializers of a graph by name, in their order.
struct Weights {
    encoded: Vec<(String, Bytes)>,
    positions: HashMap<String, usize>,
}

impl Weights {
    fn new(graph: &Graph) -> Result<Self, String> {
        let names = decode_all::<TensorName>(&graph.initializer, "initializer")?;
        let names = names.into_iter().map(|tensor| tensor.name.unwrap_or_default());
        let encoded: Vec<_> = names.zip(graph.initializer.iter().cloned()).collect();
        let positions = encoded.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)).collect();
        Ok(Self { encoded, positions })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.encoded.iter().map(|(name, _)| name.as_str())
    }

    fn contains(&self, name: &str) -> bool {
        self.positions.contains_key(name)
    }

    fn decode(&self, name: &str) -> Result<Option<Tensor>, String> {
        let Some((_, bytes)) = self.positions.get(name).and_then(|&index| self.encoded.get(index)) else {
            return Ok(None);
        };
        let tensor = Tensor::decode(bytes.clone());
        tensor.map(Some).map_err(|error| format!("its weight `{name}` cannot be read ({error})"))
    }

    /// Keeps the weights `used` names, and adds others.
    fn replace(&mut self, used: &HashSet<&str>, added: Vec<(String, Bytes)>) {
        self.encoded.retain(|(name, _)| used.contains(name.as_str()));
        self.encoded.extend(added);
        self.positions =
            self.encoded.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)).collect();
    }

    fn add(&mut self, name: String, encoded: Bytes) {
        self.positions.insert(name.clone(), self.encoded.len());
        self.encoded.push((name, encoded));
    }

    fn into_encoded(self) -> Vec<Bytes> {
        self.encoded.into_iter().map(|(_, bytes)| bytes).collect()
    }
}

/// Replaces every dequantisation of a constant by its result.
fn fold_weights(
    graph: &Graph,
    nodes: &mut Vec<Node>,
    weights: &mut Weights,
    file_size_bytes: usize,
) -> Result<bool, String> {
    let outputs = decode_all::<ValueInfo>(&graph.output, "output")?;
    let outputs: HashSet<&str> = outputs.iter().filter_map(|output| output.name.as_deref()).collect();
    let mut folded: Vec<(String, Bytes)> = Vec::new();
    let mut folded_bytes = 0usize;
    let mut repaired = false;
    let mut kept = Vec::with_capacity(nodes.len());
    for mut node in std::mem::take(nodes) {
        if node.operator() != Some(DEQUANTIZE) {
            kept.push(node);
            continue;
        }
        let result = node.output.first().filter(|name| !outputs.contains(name.as_str())).cloned();
        let from_constants = node.input.iter().all(|name| name.is_empty() || weights.contains(name));
        if let (Some(result), true) = (result, from_constants)
            && let Some(weight) = fold_node(&node, weights)?
        {
            folded_bytes = folded_bytes.saturating_add(weight.len());
            if folded_bytes / MAX_GROWTH > file_size_bytes {
                return Err("its quantised weights unfold to more than such a model can hold".into());
            }
            folded.push((result, weight));
            continue;
        }
        repaired |= clear_pointless_block_size(&mut node, weights)?;
        kept.push(node);
    }
    *nodes = kept;
    if folded.is_empty() {
        return Ok(repaired);
    }
    let used: HashSet<&str> =
        nodes.iter().flat_map(|node| &node.input).map(String::as_str).chain(outputs).collect();
    weights.replace(&used, folded);
    Ok(true)
}

fn fold_node(node: &Node, weights: &Weights) -> Result<Option<Bytes>, String> {
    let tensor = |index: usize| match node.input.get(index) {
        Some(name) if !name.is_empty() => weights.decode(name),
        _ => Ok(None),
    };
    let (Some(quantized), Some(scale)) = (tensor(0)?, tensor(1)?) else { return Ok(None) };
    fold::fold(node, &quantized, &scale, tensor(2)?.as_ref()).map_err(|reason| {
        format!("its node `{}` is not valid: {reason}", node.name.as_deref().unwrap_or(DEQUANTIZE))
    })
}

/// A block size says how many values share a scale: with a single scale it says nothing, and ONNX Runtime refuses
/// it.
fn clear_pointless_block_size(node: &mut Node, weights: &Weights) -> Result<bool, String> {
    let Some(scale) = node.input.get(1) else { return Ok(false) };
    let is_single = |scale: &Tensor| scale.dims.len() <= 1 && fold::element_count(scale) == Some(1);
    let is_single = weights.decode(scale)?.as_ref().is_some_and(is_single);
    let block_size = |attribute: &Attribute| attribute.name.as_deref() == Some("block_size");
    let Some(attribute) = node.attribute.iter_mut().find(|attribute| block_size(attribute)) else {
        return Ok(false);
    };
    if !is_single || attribute.i.unwrap_or(0) == 0 {
        return Ok(false);
    }
    attribute.i = Some(0);
    Ok(true)
}

/// Drops the inputs a weight already stands for, and those nothing reads.
fn drop_unfed_inputs(graph: &mut Graph, nodes: &[Node], weights: &Weights) -> Result<bool, String> {
    let read: HashSet<&str> = nodes.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    let inputs = decode_all::<ValueInfo>(&graph.input, "input")?;
    let is_fed = |input: &ValueInfo| {
        let name = input.name.as_deref().unwrap_or_default();
        read.contains(name) && !weights.contains(name)
    };
    let mut fed = inputs.iter().map(is_fed);
    let before = graph.input.len();
    graph.input.retain(|_| fed.next().unwrap_or(true));
    Ok(graph.input.len() != before)
}

/// Opens the dimensions of the input the graph takes in any size.
fn free_dimensions(graph: &mut Graph, nodes: &[Node], weights: &Weights) -> Result<bool, String> {
    let [encoded_input] = graph.input.as_slice() else { return Ok(false) };
    let mut input: ValueInfo = decode(encoded_input, "input")?;
    let Some(shape) =
        input.kind.as_mut().and_then(|kind| kind.tensor.as_mut()).and_then(|tensor| tensor.shape.as_mut())
    else {
        return Ok(false);
    };
    // Pictures come as (number, channels, height, width).
    let [number, channels, height, width] = shape.dim.as_mut_slice() else { return Ok(false) };
    if !matches!(channels.dim_value, Some(1 | 3)) {
        return Ok(false);
    }
    let mut constants = Constants::new(weights.names());
    for name in
        nodes.iter().filter(|node| node.operator() == Some("Reshape")).filter_map(|node| node.input.get(1))
    {
        if let Some(tensor) = weights.decode(name)? {
            constants.add_shape(name, &tensor);
        }
    }
    let Freedom { batch, size } = freedom(nodes, constants);
    let mut changed = batch && number.free("batch");
    if size {
        changed |= height.free("height");
        changed |= width.free("width");
    }
    if !changed {
        return Ok(false);
    }
    graph.input = vec![input.encode_to_vec().into()];
    // What was noted of later shapes no longer holds: ONNX Runtime works them out again.
    graph.value_info.clear();
    for output in &mut graph.output {
        let mut described: ValueInfo = decode(output, "output")?;
        let kind = described.kind.as_mut().and_then(|kind| kind.tensor.as_mut());
        if let Some(shape) = kind.and_then(|tensor| tensor.shape.as_mut()) {
            shape.dim.fill(Dimension::default());
        }
        *output = described.encode_to_vec().into();
    }
    Ok(true)
}

impl Dimension {
    /// Replaces a fixed size by a name; says whether it was fixed.
    fn free(&mut self, name: &str) -> bool {
        let was_fixed = self.dim_value.is_some_and(|size| size > 0);
        if was_fixed {
            self.dim_value = None;
            self.dim_param = Some(name.into());
        }
        was_fixed
    }
}

fn check_entries(graph: &Graph) -> Result<(), String> {
    let lists = [&graph.node, &graph.initializer, &graph.input, &graph.output, &graph.value_info];
    if lists.iter().any(|list| list.len() > MAX_ENTRIES) {
        return Err(format!("its graph has more than {MAX_ENTRIES} entries of one kind"));
    }
    Ok(())
}

fn decode_all<M: Message + Default>(encoded: &[Bytes], what: &str) -> Result<Vec<M>, String> {
    encoded.iter().map(|bytes| decode(bytes, what)).collect()
}

fn decode<M: Message + Default>(encoded: &Bytes, what: &str) -> Result<M, String> {
    M::decode(encoded.clone()).map_err(|error| format!("one of its {what}s cannot be read ({error})"))
}

#[cfg(test)]
mod tests;
