"""Makes the ages and genders the tests here compare with, by the reference implementation: the Python package insightface.

    pip install insightface onnxruntime opencv-python-headless onnx scikit-image
    cargo build -p vedette-models --example decode
    python make_golden_attributes.py --decode target/debug/examples/decode --media MEDIA_DIR --ssrnet SSRNET.onnx

Both sides see the same pixels, those that Vedette's JPEG decoder makes. Writes two files beside this script:
attributes.json, with a box for each photo in MEDIA_DIR and what the networks say of the face in it, and
genderage_form.onnx, a small network of InsightFace's form (96 pixels, mean and scale in its graph) whose weights are
random: what it says means nothing, but it must be the same, wherever in the crop the picture differs.
"""
import argparse
import json
import pathlib
import subprocess

import cv2
import numpy as np
import onnx
import onnxruntime
from insightface.app.common import Face
from insightface.model_zoo.attribute import Attribute
from insightface.utils import face_align
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
# Faces by name: left, top, right, bottom. The last one reaches beyond its picture.
BOXES = {
    "astronaut.jpg": (177.4, 62.1, 267.0, 180.3),
    "biden.jpg": (198.2, 81.0, 331.5, 252.8),
    "obama.jpg": (334.0, 82.7, 548.1, 374.4),
    "obama2.jpg": (171.6, 195.2, 406.9, 502.3),
    "obama3.jpg": (282.0, 119.9, 398.5, 266.0),
    "obama_partial_face.jpg": (0.0, 78.4, 174.2, 366.6),
}
SSRNET_SIDE, SSRNET_CROP_SCALE = 64, 1.65


class Recorded:
    """A session that keeps what it said last: the class Attribute rounds it."""

    def __init__(self, session):
        self.session, self.said = session, None

    def get_inputs(self):
        return self.session.get_inputs()

    def get_outputs(self):
        return self.session.get_outputs()

    def run(self, names, feed):
        outputs = self.session.run(names, feed)
        self.said = outputs[0][0]
        return outputs


def write_genderage_form(path):
    random = np.random.default_rng(1)
    weights = {
        "mean": np.array(127.5, np.float32),
        "scale": np.array(1 / 128, np.float32),
        "conv_1": random.normal(0, 0.15, (8, 3, 5, 5)).astype(np.float32),
        "conv_2": random.normal(0, 0.15, (8, 8, 3, 3)).astype(np.float32),
        "dense": random.normal(0, 0.03, (3, 8 * 6 * 6)).astype(np.float32),
        "shift": np.array([0, 0, 0.4], np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["data", "mean"], ["centred"], name="_minusscalar0"),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"], name="_mulscalar0"),
        helper.make_node("Conv", ["scaled", "conv_1"], ["c1"], name="c1", strides=[4, 4], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"], name="r1"),
        helper.make_node("Conv", ["r1", "conv_2"], ["c2"], name="c2", strides=[4, 4], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], name="r2"),
        helper.make_node("Flatten", ["r2"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "dense", "shift"], ["fc1"], name="fc1", transB=1),
    ]
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["None", 3, 96, 96])
    fc1 = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, ["None", 3])
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "genderage_form", [data], [fc1], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def read(decode, path):
    ppm = subprocess.run([decode, path], check=True, stdout=subprocess.PIPE).stdout
    return cv2.imdecode(np.frombuffer(ppm, np.uint8), cv2.IMREAD_COLOR)


def ssrnet_says(session, image, box):
    left, top, right, bottom = box
    centre = (left + right) / 2, (top + bottom) / 2
    scale = SSRNET_SIDE / (max(right - left, bottom - top) * SSRNET_CROP_SCALE)
    crop, _ = face_align.transform(image, centre, SSRNET_SIDE, scale, 0)
    return session.run(None, {"faces": crop[np.newaxis, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)})[0][0]


def estimate(row):
    female, male, hundreds = (float(value) for value in row)
    return {"age_years": round(100 * hundreds, 3), "female_probability": round(1 / (1 + np.exp(male - female)), 5)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--decode", required=True)
    parser.add_argument("--media", required=True, type=pathlib.Path)
    parser.add_argument("--ssrnet", required=True)
    arguments = parser.parse_args()

    form = HERE / "genderage_form.onnx"
    write_genderage_form(form)
    recorded = Recorded(onnxruntime.InferenceSession(str(form), providers=["CPUExecutionProvider"]))
    genderage = Attribute(str(form), session=recorded)
    assert genderage.taskname == "genderage" and genderage.input_mean == 0
    ssrnet = onnxruntime.InferenceSession(arguments.ssrnet, providers=["CPUExecutionProvider"])

    golden = {}
    for name, box in BOXES.items():
        image = read(arguments.decode, arguments.media / name)
        genderage.get(image, Face(bbox=np.array(box, np.float32)))
        golden[name] = {
            "box": box,
            "genderage": estimate(recorded.said),
            "ssrnet": estimate(ssrnet_says(ssrnet, image, box)),
        }
    text = json.dumps(golden, separators=(",", ":")).replace('}},"', '}},\n"')
    (HERE / "attributes.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
