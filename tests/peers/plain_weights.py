"""Writes one of OpenCV's block-quantised models with plain numbers for weights, as OpenCV's own unquantised file of it
is: ONNX Runtime cannot read the one and runs the other.

    python plain_weights.py QUANTISED.onnx PLAIN.onnx [--any-size]

`--any-size` opens height and width of its input, for a detector.
"""

import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper


def dequantised(node, constants):
    """The result of a `DequantizeLinear` of constants: one scale for all, for each channel or for each block."""
    weight, scale = (constants[name].astype(np.float32) for name in node.input[:2])
    zero = constants[node.input[2]].astype(np.float32) if len(node.input) > 2 else np.zeros_like(scale)
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if scale.size == 1:
        scale, zero = scale.reshape(()), zero.reshape(())
    elif block:
        whole = range(weight.shape[axis])
        scale, zero = (np.repeat(each, block, axis=axis).take(whole, axis=axis) for each in (scale, zero))
    else:
        shape = [1] * weight.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((weight - zero) * scale).astype(np.float32)


def main(quantised, plain, option=None):
    model = onnx.load(quantised)
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    is_weight = lambda node: node.op_type == "DequantizeLinear" and all(name in constants for name in node.input)
    weights = [numpy_helper.from_array(dequantised(node, constants), node.output[0])
               for node in graph.node if is_weight(node)]
    nodes = [node for node in graph.node if not is_weight(node)]
    read = {name for node in nodes for name in node.input}
    weights += [tensor for tensor in graph.initializer if tensor.name in read]
    # Weights are listed as inputs, too.
    inputs = [value for value in graph.input if value.name in read and value.name not in constants]
    if option == "--any-size":
        for side, name in ((2, "height"), (3, "width")):
            inputs[0].type.tensor_type.shape.dim[side].dim_param = name
    for kept, values in ((graph.node, nodes), (graph.initializer, weights), (graph.input, inputs)):
        del kept[:]
        kept.extend(values)
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    onnx.save(model, plain)


if __name__ == "__main__":
    main(*sys.argv[1:])
