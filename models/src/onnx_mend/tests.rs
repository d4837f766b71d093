//! Mending on the real files, on small graphs made for one case each, and on damaged ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ort::value::TensorRef;

use super::proto::{Shape, TensorType, Type, data_type};
use super::*;
use crate::files::ModelStore;
use crate::pack::{Packs, Role};
use crate::session::{SessionOptions, SessionPool};

fn original(role: Role) -> Vec<u8> {
    let pack = Packs::get("opencv").unwrap();
    ModelStore::locate().read(&pack, pack.model(role).unwrap()).unwrap().1
}

/// Mends everything but the weights, so that ONNX Runtime dequantises them itself.
fn mend_without_folding(file: Vec<u8>) -> Vec<u8> {
    let mut model = Model::decode(Bytes::from(file)).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let mut nodes = decode_all::<Node>(&graph.node, "node").unwrap();
    let weights = Weights::new(graph).unwrap();
    for node in nodes.iter_mut().filter(|node| node.operator() == Some(DEQUANTIZE)) {
        clear_pointless_block_size(node, &weights).unwrap();
    }
    drop_unfed_inputs(graph, &nodes, &weights).unwrap();
    graph.node = nodes.iter().map(|node| node.encode_to_vec().into()).collect();
    model.encode_to_vec()
}

/// Runs a model on a picture and returns all its outputs, one after the other.
fn run(model: Vec<u8>, shape: [usize; 4]) -> Vec<f32> {
    let options = SessionOptions { label: "test".into(), ..SessionOptions::default() };
    let pool = SessionPool::open(model, options).unwrap();
    let picture: Vec<f32> =
        (0..shape.iter().product()).map(|index: usize| (index * 37 % 256) as f32).collect();
    pool.run(|session| {
        let input = TensorRef::from_array_view((shape, picture.as_slice()))?;
        let outputs = session.run(ort::inputs![input])?;
        let values = outputs.values().map(|value| value.try_extract_tensor::<f32>().unwrap().1.to_vec());
        Ok(values.collect::<Vec<_>>().concat())
    })
    .unwrap()
}

#[test]
fn folded_models_compute_what_the_unfolded_ones_do() {
    for (role, shape) in [(Role::Detector, [1, 3, 640, 640]), (Role::Embedder, [1, 3, 112, 112])] {
        let file = original(role);
        let unfolded = run(mend_without_folding(file.clone()), shape);
        let folded = run(mend(file).unwrap(), shape);
        assert_eq!(folded.len(), unfolded.len());
        let scale = unfolded.iter().fold(0f32, |most, value| most.max(value.abs()));
        for (folded, unfolded) in folded.iter().zip(&unfolded) {
            assert!((folded - unfolded).abs() <= 1e-4 * scale, "{role}: {folded} instead of {unfolded}");
        }
    }
}

#[test]
fn detector_takes_other_sizes_and_embedder_several_faces() {
    let detector = mend(original(Role::Detector)).unwrap();
    let cells =
        |width: usize, height: usize| [8, 16, 32].map(|s| width / s * (height / s)).iter().sum::<usize>();
    assert_eq!(run(detector.clone(), [1, 3, 384, 640]).len(), cells(640, 384) * (1 + 1 + 4 + 10));
    assert_eq!(run(detector, [1, 3, 96, 160]).len(), cells(160, 96) * (1 + 1 + 4 + 10));
    assert_eq!(run(mend(original(Role::Embedder)).unwrap(), [3, 3, 112, 112]).len(), 3 * 128);
}

#[test]
fn mended_model_needs_no_mending() {
    for role in [Role::Detector, Role::Embedder] {
        let mended = mend(original(role)).unwrap();
        assert!(mend(mended.clone()).unwrap() == mended, "{role}");
    }
}

#[test]
fn damaged_files_are_errors_or_models_and_never_panics() {
    let file = original(Role::Detector);
    for length in (0..file.len()).step_by(997) {
        // A cut between two entries leaves a shorter model, which is ONNX Runtime's to judge.
        let _ = mend(file[..length].to_vec());
    }
    assert!(mend(file[..file.len() / 2].to_vec()).unwrap_err().contains("incomplete"));
    let mut state = 1u64;
    for _ in 0..300 {
        let mut damaged = file.clone();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let index = (state >> 33) as usize % damaged.len();
            damaged[index] = (state >> 20) as u8;
        }
        let _ = mend(damaged);
    }
}

#[test]
fn what_is_no_model_is_refused() {
    for file in [&b""[..], b"hello", b"\x08\x06", &[0xff; 64]] {
        assert!(mend(file.to_vec()).unwrap_err().contains("ONNX"), "{file:?}");
    }
}

fn tensor(name: &str, data_type: i32, dims: &[i64], raw: Vec<u8>) -> Tensor {
    let (dims, name, raw_data) = (dims.to_vec(), Some(name.to_owned()), Some(raw.into()));
    Tensor { dims, data_type: Some(data_type), name, raw_data, ..Tensor::default() }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> Tensor {
    tensor(name, data_type::FLOAT, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn node(operator: &str, inputs: &[&str], output: &str, integers: &[(&str, i64)]) -> Node {
    let integer = |&(name, value): &(&str, i64)| Attribute {
        name: Some(name.into()),
        i: Some(value),
        kind: Some(2),
        ..Attribute::default()
    };
    Node {
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        name: Some(format!("{operator} {output}")),
        op_type: Some(operator.into()),
        attribute: integers.iter().map(integer).collect(),
        ..Node::default()
    }
}

fn value(name: &str, dims: &[i64]) -> Bytes {
    let dim = |&size: &i64| Dimension { dim_value: Some(size), ..Dimension::default() };
    let shape = Some(Shape { dim: dims.iter().map(dim).collect() });
    let kind =
        Type { tensor: Some(TensorType { elem_type: Some(data_type::FLOAT), shape }), denotation: None };
    ValueInfo { name: Some(name.into()), kind: Some(kind), ..ValueInfo::default() }.encode_to_vec().into()
}

/// A model of one input `x` and one output `y`.
fn model(input: &[i64], nodes: &[Node], weights: &[Tensor]) -> Model {
    let graph = Graph {
        node: nodes.iter().map(|node| node.encode_to_vec().into()).collect(),
        name: Some("test".into()),
        initializer: weights.iter().map(|tensor| tensor.encode_to_vec().into()).collect(),
        input: vec![value("x", input)],
        output: vec![value("y", input)],
        ..Graph::default()
    };
    // Operator set 21, as field 2 of its message: the first with block sizes.
    Model {
        ir_version: Some(10),
        graph: Some(graph),
        opset_import: vec![Bytes::from_static(&[0x10, 21])],
        ..Model::default()
    }
}

/// `y = PRelu(x − 128)` with these slopes for three channels.
fn prelu_model(slopes: &[f32; 3]) -> Model {
    let nodes =
        [node("Add", &["x", "shift"], "shifted", &[]), node("PRelu", &["shifted", "slope"], "y", &[])];
    let weights = [floats("shift", &[1], &[-128.0]), floats("slope", &[3, 1, 1], slopes)];
    model(&[1, 3, 8, 8], &nodes, &weights)
}

fn operators(model: &[u8]) -> Vec<String> {
    let graph = Model::decode(model).unwrap().graph.unwrap();
    decode_all::<Node>(&graph.node, "node").unwrap().into_iter().filter_map(|node| node.op_type).collect()
}

#[test]
fn a_slow_operator_is_replaced_by_fast_ones_that_compute_the_same() {
    let slopes = [-0.5, 0.25, 1.5];
    let mended = mend(prelu_model(&slopes).encode_to_vec()).unwrap();
    assert!(!operators(&mended).iter().any(|operator| operator == "PRelu"));
    for (index, computed) in run(mended, [1, 3, 8, 8]).into_iter().enumerate() {
        let x = (index * 37 % 256) as f32 - 128.0;
        let expected = if x < 0.0 { slopes[index / 64] * x } else { x };
        assert!((computed - expected).abs() <= 1e-5 * x.abs(), "{x}: {computed} instead of {expected}");
    }
    let embedder = mend(original(Role::Embedder)).unwrap();
    assert!(!operators(&embedder).iter().any(|operator| operator == "PRelu"));
}

#[test]
fn an_operator_that_cannot_be_replaced_stays() {
    let mut old = prelu_model(&[0.1; 3]);
    old.opset_import = vec![Bytes::from_static(&[0x10, 6])];
    assert!(operators(&mend(old.encode_to_vec()).unwrap()).contains(&"PRelu".to_owned()));

    let mut computed_slopes = prelu_model(&[0.1; 3]);
    let graph = computed_slopes.graph.as_mut().unwrap();
    graph.node = [node("Relu", &["x"], "slope", &[]), node("PRelu", &["x", "slope"], "y", &[])]
        .map(|node| node.encode_to_vec().into())
        .to_vec();
    graph.initializer.clear();
    assert!(operators(&mend(computed_slopes.encode_to_vec()).unwrap()).contains(&"PRelu".to_owned()));
}

fn input_shape(mended: &[u8]) -> Vec<Option<i64>> {
    let graph = Model::decode(mended).unwrap().graph.unwrap();
    let input = ValueInfo::decode(graph.input[0].clone()).unwrap();
    let shape = input.kind.unwrap().tensor.unwrap().shape.unwrap();
    shape.dim.iter().map(|dim| dim.dim_value).collect()
}

/// The weight `w` after folding a dequantisation of it, added to the input by the model.
fn folded(
    quantized: Tensor,
    scale: Tensor,
    zero_point: Option<Tensor>,
    integers: &[(&str, i64)],
) -> Result<Vec<f32>, String> {
    let inputs = if zero_point.is_some() { &["q", "s", "z"][..] } else { &["q", "s"] };
    let nodes = [node(DEQUANTIZE, inputs, "w", integers), node("Add", &["x", "w"], "y", &[])];
    let weights: Vec<_> = [quantized, scale].into_iter().chain(zero_point).collect();
    let mended = mend(model(&[1, 3, 8, 8], &nodes, &weights).encode_to_vec())?;
    let graph = Model::decode(mended.as_slice()).unwrap().graph.unwrap();
    assert_eq!((graph.node.len(), graph.initializer.len()), (1, 1), "only the folded weight is left");
    let weight = Tensor::decode(graph.initializer[0].clone()).unwrap();
    assert_eq!(weight.name.as_deref(), Some("w"));
    let (words, []) = weight.raw_data.as_ref().unwrap().as_chunks::<4>() else { panic!("cut short") };
    Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

#[test]
fn one_scale_for_all() {
    let quantized = tensor("q", data_type::INT8, &[2, 2], vec![0, 1, 255, 128]);
    let values = folded(quantized, floats("s", &[], &[0.5]), None, &[("block_size", 64)]).unwrap();
    assert_eq!(values, [0.0, 0.5, -0.5, -64.0]);
}

#[test]
fn one_scale_for_each_channel() {
    let quantized = tensor("q", data_type::UINT8, &[2, 3], vec![10, 11, 12, 10, 11, 12]);
    let zero_point = tensor("z", data_type::UINT8, &[3], vec![10, 10, 10]);
    let scale = floats("s", &[3], &[1.0, 2.0, 3.0]);
    assert_eq!(folded(quantized, scale, Some(zero_point), &[]).unwrap(), [0.0, 2.0, 6.0, 0.0, 2.0, 6.0]);
}

#[test]
fn one_scale_for_each_block() {
    // The last block along the axis is shorter than the others.
    let quantized = tensor("q", data_type::INT8, &[2, 3], vec![1, 1, 1, 1, 1, 1]);
    let scale = floats("s", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let axes = [("axis", 1), ("block_size", 2)];
    assert_eq!(folded(quantized, scale, None, &axes).unwrap(), [1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);

    // Along the first axis, each of the later indexes has scales of its own.
    let quantized = tensor("q", data_type::INT32, &[2, 2], [2i32, 2, 2, 2].map(i32::to_le_bytes).concat());
    let zero_point = tensor("z", data_type::INT32, &[1, 2], [0i32, 1].map(i32::to_le_bytes).concat());
    let scale = floats("s", &[1, 2], &[1.0, 10.0]);
    let axes = [("axis", -2), ("block_size", 2)];
    assert_eq!(folded(quantized, scale, Some(zero_point), &axes).unwrap(), [2.0, 10.0, 2.0, 10.0]);
}

#[test]
fn weights_that_contradict_themselves_are_refused() {
    let quantized = || tensor("q", data_type::INT8, &[2, 2], vec![0; 4]);
    let cases = [
        (tensor("q", data_type::INT8, &[2, 3], vec![0; 4]), floats("s", &[], &[1.0]), vec![], "has 4 values"),
        (
            tensor("q", data_type::INT8, &[i64::MAX, 8], vec![0; 4]),
            floats("s", &[], &[1.0]),
            vec![],
            "values",
        ),
        (tensor("q", data_type::INT8, &[-4], vec![0; 4]), floats("s", &[], &[1.0]), vec![], "values"),
        (quantized(), floats("s", &[3], &[1.0; 3]), vec![], "3 scales for 2 channels"),
        (quantized(), floats("s", &[2], &[1.0; 2]), vec![("axis", 2)], "axis 2"),
        (quantized(), floats("s", &[2], &[1.0; 2]), vec![("axis", i64::MIN)], "axis"),
        (quantized(), floats("s", &[2], &[1.0; 2]), vec![("block_size", -1)], "negative"),
        (quantized(), floats("s", &[2], &[1.0; 2]), vec![("block_size", 2)], "shape [2] instead of [2, 1]"),
        (quantized(), tensor("s", data_type::FLOAT, &[1], vec![0; 3]), vec![], "cut short"),
    ];
    for (quantized, scale, integers, expected) in cases {
        let message = folded(quantized, scale, None, &integers).unwrap_err();
        assert!(message.contains(expected) && message.contains("DequantizeLinear w"), "{message}");
    }
    let zero_point = tensor("z", data_type::INT8, &[3], vec![0; 3]);
    let message = folded(quantized(), floats("s", &[2], &[1.0; 2]), Some(zero_point), &[]).unwrap_err();
    assert!(message.contains("differ in number"), "{message}");
}

#[test]
fn one_weight_unfolded_a_thousand_times_is_refused() {
    let nodes: Vec<_> =
        (0..1000).map(|index| node(DEQUANTIZE, &["q", "s"], &format!("w{index}"), &[])).collect();
    let weights = [tensor("q", data_type::INT8, &[1 << 20], vec![0; 1 << 20]), floats("s", &[], &[1.0])];
    let message = mend(model(&[1, 3, 8, 8], &nodes, &weights).encode_to_vec()).unwrap_err();
    assert!(message.contains("unfold to more"), "{message}");
}

#[test]
fn endless_lists_are_refused() {
    let mut model = model(&[1, 3, 8, 8], &[], &[]);
    model.graph.as_mut().unwrap().node = vec![Bytes::new(); MAX_ENTRIES + 1];
    assert!(mend(model.encode_to_vec()).unwrap_err().contains("more than"));
}

#[test]
fn activation_keeps_its_dequantisation_without_the_pointless_block_size() {
    let nodes = [node(DEQUANTIZE, &["x", "s"], "y", &[("block_size", 64)])];
    let mended = mend(model(&[5, 5], &nodes, &[floats("s", &[], &[1.0])]).encode_to_vec()).unwrap();
    let graph = Model::decode(mended.as_slice()).unwrap().graph.unwrap();
    assert_eq!(Node::decode(graph.node[0].clone()).unwrap().integer("block_size", 9), 0);
}

#[test]
fn sizes_are_freed_only_where_every_operator_takes_any() {
    const FIXED: [Option<i64>; 4] = [Some(1), Some(3), Some(64), Some(64)];
    let shape = |numbers: &[i64]| {
        let raw = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        tensor("shape", data_type::INT64, &[numbers.len() as i64], raw)
    };
    let freed = |nodes: &[Node], weights: &[Tensor]| {
        input_shape(&mend(model(&[1, 3, 64, 64], nodes, weights).encode_to_vec()).unwrap())
    };
    let relu = node("Relu", &["x"], "a", &[]);
    assert_eq!(freed(&[node("Relu", &["x"], "y", &[])], &[]), [None, Some(3), None, None]);
    // A dense layer fixes the size, not the number.
    let dense = [relu.clone(), node("Flatten", &["a"], "b", &[]), node("Gemm", &["b", "w"], "y", &[])];
    assert_eq!(freed(&dense, &[floats("w", &[1], &[1.0])]), [None, Some(3), Some(64), Some(64)]);
    // An open reshape leaves the size free; what it says of the number holds.
    let reshape = [relu.clone(), node("Reshape", &["a", "shape"], "y", &[])];
    assert_eq!(freed(&reshape, &[shape(&[1, -1, 3])]), [Some(1), Some(3), None, None]);
    assert_eq!(freed(&reshape, &[shape(&[0, 3, 4096])]), [None, Some(3), Some(64), Some(64)]);
    assert_eq!(freed(&reshape, &[shape(&[1, 3, 4096])]), FIXED);
    // What is unknown may depend on anything.
    assert_eq!(freed(&[relu.clone(), node("Einsum", &["a"], "y", &[])], &[]), FIXED);
    let foreign = Node { domain: Some("com.example".into()), ..node("Relu", &["a"], "y", &[]) };
    assert_eq!(freed(&[relu, foreign], &[]), FIXED);
}

#[test]
fn inputs_nobody_feeds_are_dropped() {
    let mut model = model(&[1, 3, 8, 8], &[node("Add", &["x", "w"], "y", &[])], &[floats("w", &[1], &[1.0])]);
    model.graph.as_mut().unwrap().input.extend([value("w", &[1]), value("unread", &[1])]);
    let graph = Model::decode(mend(model.encode_to_vec()).unwrap().as_slice()).unwrap().graph.unwrap();
    assert_eq!(graph.input.len(), 1);
    assert_eq!(ValueInfo::decode(graph.input[0].clone()).unwrap().name.as_deref(), Some("x"));
}

#[test]
fn models_that_need_nothing_or_hold_other_graphs_pass_untouched() {
    let relu = [node("Relu", &["x"], "y", &[])];
    let untouched = model(&[2, 2], &relu, &[floats("unused", &[1], &[1.0])]).encode_to_vec();
    assert!(mend(untouched.clone()).unwrap() == untouched);
    let mut inner = node("Loop", &["x"], "y", &[]);
    inner.attribute.push(Attribute {
        name: Some("body".into()),
        g: Some(Bytes::new()),
        ..Attribute::default()
    });
    let with_graph = model(&[1, 3, 8, 8], &[inner], &[]).encode_to_vec();
    assert!(mend(with_graph.clone()).unwrap() == with_graph);
}
