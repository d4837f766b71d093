"""Makes the numbers the tests here compare with, by the reference implementation: the Python package insightface.

    pip install insightface onnxruntime opencv-python-headless onnx scikit-image
    cargo build -p vedette-models --example decode
    python make_golden.py --decode target/debug/examples/decode \
        --photos media=MEDIA_DIR [--photos groups=GROUPS_DIR …] --scrfd SCRFD.onnx [--scrfd …] --sface SFACE.onnx

Both sides see the same pixels, those that Vedette's JPEG decoder makes. OpenCV's differ from them by up to 5 of 255 (0.1
on average), and by that alone SFace's embeddings turn to a cosine of 0.9998: what is compared here is everything that comes
after decoding.

SFACE.onnx is the default pack's. Writes beside this script, by the names of the folders with photos: scrfd_<model>.json (boxes, landmarks and scores of every photo), embeddings.json (of the
largest face of every photo, with the landmarks they were made from), and arcface_512.onnx: a network of ArcFace's form
with random weights, whose embeddings are among these. They mean nothing, but they must be the same.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import cv2
import numpy as np
import onnx
import onnxruntime
from insightface.app.common import Face
from insightface.model_zoo.arcface_onnx import ArcFaceONNX
from insightface.model_zoo.scrfd import SCRFD

HERE = pathlib.Path(__file__).parent
THRESHOLD = 0.5


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def open_detector(path):
    detector = SCRFD(str(path), session=session(path))
    detector.prepare(0, input_size=(640, 640), det_thresh=THRESHOLD)
    return detector


def rounded(values, digits=3):
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()


def photos(folder):
    return sorted(path for path in pathlib.Path(folder).iterdir() if path.suffix in (".jpg", ".png"))


def read(decode, path):
    ppm = subprocess.run([decode, path], check=True, stdout=subprocess.PIPE).stdout
    return cv2.imdecode(np.frombuffer(ppm, np.uint8), cv2.IMREAD_COLOR)


def faces_of(detector, image):
    boxes, landmarks = detector.detect(image)
    return [
        {"box": rounded(box[:4]), "score": round(float(box[4]), 5), "landmarks": rounded(points)}
        for box, points in zip(boxes, landmarks)
    ]


def write(name, content):
    (HERE / name).write_text(json.dumps(content, separators=(",", ":")).replace('"},"', '"},\n"') + "\n")


def mended(path, folder):
    """OpenCV's SFace lists as inputs the weights it had before they were quantised: insightface would want them fed."""
    model = onnx.load(path)
    inputs = [value for value in model.graph.input if value.name == "data"]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    onnx.save(model, folder / "sface.onnx")
    return folder / "sface.onnx"


def make_network(path, dimension=512):
    """Three convolutions from 3x112x112 to `dimension` numbers; the last two look at one channel each, so that the file
    is small."""
    random = np.random.default_rng(512)
    channels = dimension // 4
    kernels = [(channels // 4, 3, 8, 1), (channels, 1, 7, channels // 4)]
    nodes, weights, flow = [], [], "data"
    for index, (count, depth, side, group) in enumerate(kernels):
        values = random.standard_normal((count, depth, side, side)) / np.sqrt(depth * side * side)
        weights.append(onnx.numpy_helper.from_array(values.astype(np.float32), f"w{index}"))
        attributes = {"kernel_shape": [side, side], "strides": [side, side], "group": group}
        nodes.append(onnx.helper.make_node("Conv", [flow, f"w{index}"], [f"c{index}"], **attributes))
        nodes.append(onnx.helper.make_node("Tanh", [f"c{index}"], [f"t{index}"]))
        flow = f"t{index}"
    nodes.append(onnx.helper.make_node("Flatten", [flow], ["embedding"]))
    value = onnx.helper.make_tensor_value_info
    inputs = [value("data", onnx.TensorProto.FLOAT, ["n", 3, 112, 112])]
    outputs = [value("embedding", onnx.TensorProto.FLOAT, ["n", dimension])]
    graph = onnx.helper.make_graph(nodes, "arcface_512", inputs, outputs, weights)
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def embeddings_of(sface, generated, detector, image):
    """The largest face: SFace normalised as it wants it (in its graph) and as ArcFace does, and the generated network."""
    boxes, landmarks = detector.detect(image, max_num=1)
    if not len(boxes):
        return None
    entry = {"landmarks": rounded(landmarks[0])}
    points = np.array(entry["landmarks"], dtype=np.float32)
    ways = (("sface", sface, 0.0, 1.0), ("arcface", sface, 127.5, 127.5), ("generated", generated, 127.5, 127.5))
    for name, network, mean, std in ways:
        network.input_mean, network.input_std = mean, std
        face = Face(bbox=boxes[0, :4], kps=points, det_score=boxes[0, 4])
        network.get(image, face)
        entry[name] = rounded(face.normed_embedding, 4)
    return entry


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--decode", required=True)
    parser.add_argument("--photos", required=True, action="append")
    parser.add_argument("--scrfd", required=True, action="append")
    parser.add_argument("--sface", required=True)
    arguments = parser.parse_args()

    folders = dict(named.split("=", 1) for named in arguments.photos)
    images = {
        name: {path.name: read(arguments.decode, path) for path in photos(folder)}
        for name, folder in folders.items()
    }
    for model in arguments.scrfd:
        detector = open_detector(model)
        content = {
            name: {file: faces_of(detector, image) for file, image in folder.items()}
            for name, folder in images.items()
        }
        write(f"scrfd_{pathlib.Path(model).stem.removeprefix('scrfd_')}.json", content)

    detector = open_detector(arguments.scrfd[0])
    make_network(HERE / "arcface_512.onnx")
    with tempfile.TemporaryDirectory() as folder:
        paths = (mended(arguments.sface, pathlib.Path(folder)), HERE / "arcface_512.onnx")
        sface, generated = (ArcFaceONNX(str(path), session=session(path)) for path in paths)
    for network in (sface, generated):
        network.prepare(0)
    content = {
        name: {file: embeddings_of(sface, generated, detector, image) for file, image in folder.items()}
        for name, folder in images.items()
    }
    write("embeddings.json", content)


if __name__ == "__main__":
    main()
