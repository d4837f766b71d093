"""Makes the numbers the tests here compare with, by the reference implementation: the Python package insightface.

    pip install insightface onnxruntime opencv-python-headless onnx scikit-image
    cargo build -p vedette-models --example decode
    python make_golden.py --decode target/debug/examples/decode \
        --media MEDIA_DIR --groups GROUPS_DIR --scrfd SCRFD.onnx [--scrfd …] --sface SFACE.onnx

Both sides see the same pixels, those that Vedette's JPEG decoder makes. OpenCV's differ from them by up to 5 of 255 (0.1
on average), and by that alone SFace's embeddings turn to a cosine of 0.9998: what is compared here is everything that comes
after decoding.

SFACE.onnx is SFace with its weights folded to fp32, as ONNX Runtime loads it. Writes scrfd_<model>.json (boxes,
landmarks and scores of every photo) and embeddings.json (of the photos in MEDIA_DIR, with the landmarks they
were made from) beside this script.
"""
import argparse
import json
import pathlib
import subprocess

import cv2
import numpy as np
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


def embeddings_of(sface, detector, image):
    """The largest face, normalised as SFace wants it (in its graph) and as ArcFace does."""
    boxes, landmarks = detector.detect(image, max_num=1)
    entry = {"landmarks": rounded(landmarks[0])}
    points = np.array(entry["landmarks"], dtype=np.float32)
    for name, mean, std in (("sface", 0.0, 1.0), ("arcface", 127.5, 127.5)):
        sface.input_mean, sface.input_std = mean, std
        face = Face(bbox=boxes[0, :4], kps=points, det_score=boxes[0, 4])
        sface.get(image, face)
        entry[name] = rounded(face.normed_embedding, 6)
    return entry


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--decode", required=True)
    parser.add_argument("--media", required=True)
    parser.add_argument("--groups", required=True)
    parser.add_argument("--scrfd", required=True, action="append")
    parser.add_argument("--sface", required=True)
    arguments = parser.parse_args()

    for model in arguments.scrfd:
        detector = open_detector(model)
        content = {
            name: {path.name: faces_of(detector, read(arguments.decode, path)) for path in photos(folder)}
            for name, folder in (("media", arguments.media), ("groups", arguments.groups))
        }
        write(f"scrfd_{pathlib.Path(model).stem.removeprefix('scrfd_')}.json", content)

    detector = open_detector(arguments.scrfd[0])
    sface = ArcFaceONNX(arguments.sface, session=session(arguments.sface))
    sface.prepare(0)
    media = {path.name: read(arguments.decode, path) for path in photos(arguments.media)}
    write("embeddings.json", {name: embeddings_of(sface, detector, image) for name, image in media.items()})


if __name__ == "__main__":
    main()
