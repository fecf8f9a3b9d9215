"""Caffe files, written here byte by byte, are rebuilt in Keras and quantized."""

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.sources.pictures import read as read_picture
from edge.vision.classifier import Classifier
from tests.support.commands import tool
from tools.datasets.archive import DataError

Floats = npt.NDArray[np.float32]

MEAN = (78.4263377603, 87.7689143744, 114.895847746)

# the kinds of layers of the published deploy_gender.prototxt, fewer and narrower
PROTOTXT = """
name: "small"  # in the old notation, as the published file is
input: "data"
input_dim: 1 input_dim: 3 input_dim: 39 input_dim: 39
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_size: 7 stride: 2 } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "pool1" type: POOLING bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "norm1" type: LRN bottom: "pool1" top: "norm1"
  lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
layers { name: "conv2" type: CONVOLUTION bottom: "norm1" top: "conv2"
  convolution_param { num_output: 8 pad: 2 kernel_size: 5 } }
layers { name: "relu2" type: RELU bottom: "conv2" top: "conv2" }
layers { name: "pool2" type: POOLING bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "fc6" type: INNER_PRODUCT bottom: "pool2" top: "fc6"
  inner_product_param { num_output: 10 } }
layers { name: "relu6" type: RELU bottom: "fc6" top: "fc6" }
layers { name: "drop6" type: DROPOUT bottom: "fc6" top: "fc6"
  dropout_param { dropout_ratio: 0.5 } }
layers { name: "fc7" type: INNER_PRODUCT bottom: "fc6" top: "fc7"
  inner_product_param { num_output: 2 } }
layers { name: "prob" type: SOFTMAX bottom: "fc7" top: "prob" }
"""


def field(number: int, data: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """Base 128, the lowest 7 bits first."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def blob(values: Floats) -> bytes:
    """BlobProto: `shape` (7) with packed `dim` (1), and packed `data` (5)."""
    shape = field(7, field(1, b"".join(varint(n) for n in values.shape)))
    return field(6, shape + field(5, values.astype("<f4").tobytes()))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return caffe_files(tmp_path, outputs=2)


def caffe_files(folder: Path, outputs: int) -> tuple[Path, Path]:
    """A prototxt and its caffemodel with random weights."""
    rng = np.random.default_rng(3)
    shapes = {"conv1": (6, 3, 7, 7), "conv2": (8, 6, 5, 5), "fc6": (10, 8 * 4 * 4)}
    shapes["fc7"] = (outputs, 10)
    model = b""
    for name, shape in shapes.items():
        kernel = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        if name == "fc7":
            kernel *= 0.03  # otherwise every probability would be close to 0 or 1
        bias = rng.normal(0, 1, shape[0]).astype(np.float32)
        # V1LayerParameter: bottom (2), top (3), name (4), type (5, left out), blobs (6)
        layer = field(4, name.encode()) + varint(5 << 3) + varint(4 if "conv" in name else 14)
        model += field(2, layer + blob(kernel) + blob(bias))
    prototxt, weights = folder / "deploy.prototxt", folder / "net.caffemodel"
    last = "num_output: 2 }"
    assert PROTOTXT.count(last) == 1
    prototxt.write_text(PROTOTXT.replace(last, f"num_output: {outputs} }}"))
    weights.write_bytes(model)
    return prototxt, weights


def expected(files: tuple[Path, Path], crops: npt.NDArray[np.uint8]) -> Floats:
    """The output of OpenCV's own network for R G B crops."""
    net = cv2.dnn.readNetFromCaffe(*map(str, files))
    rows = []
    for crop in crops:
        bgr = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
        net.setInput(cv2.dnn.blobFromImage(bgr, 1.0, (39, 39), MEAN, swapRB=False))
        rows.append(net.forward()[0].copy())
    return np.stack(rows)


def test_the_same_answers_as_opencv(files: tuple[Path, Path]) -> None:
    from tools.conversion import caffe

    crops = np.random.default_rng(5).integers(0, 256, (20, 39, 39, 3), np.uint8)
    crops[:10, :, :, 0] //= 4
    crops[:5, 20:] //= 8
    model = caffe.read(*files, MEAN, 1.0)
    ours = model.predict((crops.astype(np.float32) - 127.5) / 127.5, verbose=0)
    theirs = expected(files, crops)
    assert np.ptp(theirs[:, 0]) > 0.1
    assert np.abs(ours - theirs).max() < 1e-4


def face_crops(faces: Path) -> npt.NDArray[np.uint8]:
    """Some of the faces on which the ranges of int8 were measured, uint8 (12, 39, 39, 3)."""
    pictures = [read_picture(file) for file in sorted(faces.iterdir())[:12]]
    crops = [cv2.resize(picture, (39, 39))[:, :, ::-1] for picture in pictures]
    return np.asarray(crops, np.uint8)


def test_quantized_for_the_daemon(
    files: tuple[Path, Path], few_faces: Path, tmp_path: Path
) -> None:
    prototxt, weights = files
    out = tmp_path / "caffe.tflite"
    run = tool(
        "quantize", weights, "--prototxt", prototxt, "--mean", ",".join(map(str, MEAN)),
        "--labels", "male,female", "--calibrate", few_faces, "--out", out, "--max-drop", "100",
        "--test-faces", "20",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["name"], card["output"]) == ("gender-caffe", "softmax")
    assert card["metrics"]["quantisation"]["gender"]["mean_difference"] < 0.03
    classifier = Classifier(out)
    crops = face_crops(few_faces)
    theirs = expected(files, crops)[:, ::-1]
    assert np.abs(np.subtract(classifier.genders(list(crops)), theirs)).max() < 0.06


def test_eight_outputs_are_ages(few_faces: Path, tmp_path: Path) -> None:
    prototxt, weights = files = caffe_files(tmp_path, outputs=8)
    out = tmp_path / "age.tflite"
    run = tool(
        "quantize", weights, "--prototxt", prototxt, "--mean", ",".join(map(str, MEAN)),
        "--calibrate", few_faces, "--out", out, "--max-drop", "100", "--test-faces", "20",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["name"], card["labels"], len(card["ages"])) == ("age-caffe", [], 8)
    crops = face_crops(few_faces)
    ours = Classifier(out)(list(crops)).age
    assert ours is not None
    assert np.abs(ours - expected(files, crops)).max() < 0.06


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("type: LRN", "type: SIGMOID", "layer norm1 is of type SIGMOID, which is not supported"),
        ("pool: MAX", "pool: AVE", "layer pool1: only max pooling"),
        ("beta: 0.75", "beta: 0.5", "layer norm1: only LRN across channels with a beta of 0.75"),
        ("stride: 2 } }", "stride: 2 group: 3 } }", "layer conv1: only square kernels"),
        ('bottom: "fc6" top: "fc7"', 'bottom: "pool2" top: "fc7"', "layer fc7 does not read"),
        ("input_dim: 39 input_dim: 39", "input_dim: 39 input_dim: 49", "one square picture"),
    ],
)
def test_networks_that_cannot_be_rebuilt(
    files: tuple[Path, Path], old: str, new: str, reason: str
) -> None:
    from tools.conversion import caffe

    prototxt, weights = files
    assert old in PROTOTXT
    prototxt.write_text(PROTOTXT.replace(old, new, 1))
    with pytest.raises(DataError, match=reason):
        caffe.read(prototxt, weights, MEAN, 1.0)


def test_a_broken_file(files: tuple[Path, Path]) -> None:
    from tools.conversion import caffe

    prototxt, weights = files
    weights.write_bytes(weights.read_bytes()[:3000])
    with pytest.raises(DataError, match="OpenCV cannot read it with"):
        caffe.read(prototxt, weights, MEAN, 1.0)


def test_a_caffemodel_alone(files: tuple[Path, Path], few_faces: Path, tmp_path: Path) -> None:
    args = ("--calibrate", few_faces, "--out", tmp_path / "x.tflite")
    run = tool("quantize", files[1], *args)
    assert run.returncode == 2
    assert (
        "a .caffemodel needs its --prototxt, and only a .caffemodel has one"
        in run.stderr.splitlines()[-1]
    )
