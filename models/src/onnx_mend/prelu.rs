//! `PRelu` put in terms of operators ONNX Runtime is fast at. Its own code for it takes one number at a time, and with
//! the layout of the convolutions around it converted back and forth that was half of SFace's time.
//!
//! `PRelu(x) = slope·x + (1 − slope)·Relu(x)`: of what is positive both parts make the whole, of what is negative only
//! the first is left. A product with one factor for each channel goes along with the convolutions.

use std::collections::HashSet;

use prost::Message;
use prost::bytes::Bytes;

use super::Weights;
use super::fold;
use super::proto::{Node, OperatorSet, Tensor, data_type};

const PRELU: &str = "PRelu";
/// The first version of ONNX's operators in which products stretch their smaller factor over the larger.
const FIRST_STRETCHING_OPERATORS: i64 = 7;

/// Replaces every `PRelu` whose slopes are constant; says whether there were any.
pub(super) fn replace(
    nodes: &mut Vec<Node>,
    weights: &mut Weights,
    operators: &[OperatorSet],
) -> Result<bool, String> {
    let is_own = |set: &&OperatorSet| matches!(set.domain.as_deref(), None | Some("" | "ai.onnx"));
    let version = operators.iter().find(is_own).and_then(|set| set.version);
    if version.is_none_or(|version| version < FIRST_STRETCHING_OPERATORS) {
        return Ok(false);
    }
    let mut taken: HashSet<String> = nodes.iter().flat_map(|node| &node.output).cloned().collect();
    let mut has_changed = false;
    let mut replaced = Vec::with_capacity(nodes.len());
    for node in std::mem::take(nodes) {
        match parts(&node, weights, &taken)? {
            Some((parts, rest_name, rest)) => {
                taken.extend(parts.iter().flat_map(|part| &part.output).cloned());
                weights.add(rest_name, rest);
                replaced.extend(parts);
                has_changed = true;
            }
            None => replaced.push(node),
        }
    }
    *nodes = replaced;
    Ok(has_changed)
}

/// What stands for a node, with the weight it needs besides the slopes; `None` if the node is something else, or one
/// that has to stay.
fn parts(
    node: &Node,
    weights: &Weights,
    taken: &HashSet<String>,
) -> Result<Option<([Node; 4], String, Bytes)>, String> {
    let (Some(PRELU), [input, slope], [output]) = (node.operator(), &node.input[..], &node.output[..]) else {
        return Ok(None);
    };
    let Some(slopes) = weights.decode(slope)?.filter(|slopes| slopes.data_type == Some(data_type::FLOAT))
    else {
        return Ok(None);
    };
    let Some(values) = fold::values(&slopes)? else { return Ok(None) };
    let names = ["rest", "positive", "of_positive", "of_all"].map(|part| format!("{output}/{part}"));
    if names.iter().any(|name| taken.contains(name) || weights.contains(name)) {
        return Ok(None);
    }
    let [rest, positive, of_positive, of_all] = &names;
    let rest_of_slopes = Tensor {
        dims: slopes.dims,
        data_type: Some(data_type::FLOAT),
        name: Some(rest.clone()),
        raw_data: Some(fold::to_raw(values.iter().map(|slope| 1.0 - slope)).into()),
        ..Tensor::default()
    };
    let part = |operator: &str, inputs: &[&String], output: &String| Node {
        input: inputs.iter().copied().cloned().collect(),
        output: vec![output.clone()],
        name: Some(output.clone()),
        op_type: Some(operator.to_owned()),
        ..Node::default()
    };
    let parts = [
        part("Relu", &[input], positive),
        part("Mul", &[positive, rest], of_positive),
        part("Mul", &[input, slope], of_all),
        part("Add", &[of_positive, of_all], output),
    ];
    Ok(Some((parts, rest.clone(), rest_of_slopes.encode_to_vec().into())))
}
