"""Networks that say what they make of each face in the very view that the student sees.

L. Beyer et al.: Knowledge Distillation: A Good Teacher is Patient and Consistent, CVPR 2022.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt

from edge.types import AGE_GROUPS
from edge.vision.preprocessing import Preprocessing
from tools.conversion.model_files import load_keras, need_picture
from tools.datasets.archive import DataError
from tools.networks.names import HEADS

Floats = npt.NDArray[np.floating[Any]]

LABEL_SHARE = {"gender": 0.25, "age": 0.5}
"""How much of a head's target is the face's own label; the rest is what the teachers say."""
SUREST = 1e-4
"""A probability closer to 0 or 1 than this counts as this one, so that its logarithm is finite."""


class ViewTeacher:
    """One or more Keras models with the outputs of `heads`, which are asked together."""

    def __init__(self, files: Sequence[Path], heads: Sequence[str], channels: int) -> None:
        """Raises DataError if a file is no such model, or needs another number of channels."""
        self._networks = [_with_heads(file, heads, channels) for file in files]
        self._lock = threading.Lock()  # batches are made in several threads

    def __call__(self, views: Floats) -> dict[str, Floats]:
        """p(male) (n, 1) and the probabilities of the age groups (n, 8), by head.

        `views` are n x size x size x channels, 0 to 255. With several networks these are the
        geometric means of the odds and of the probabilities.
        """
        logs: dict[str, list[Floats]] = {}
        for network in self._networks:
            size, channels = network.input_shape[-2:]
            scaled = [cv2.resize(view, (size, size)) for view in views]
            inputs = Preprocessing(size=size).normalize(np.stack(scaled))
            with self._lock:
                outputs = network.predict_on_batch(inputs.reshape(-1, size, size, channels))
            for head, output in outputs.items():
                probabilities = np.asarray(output, np.float64)
                if probabilities.shape[1] == 1:
                    probabilities = np.hstack([1 - probabilities, probabilities])
                logs.setdefault(head, []).append(np.log(np.maximum(probabilities, SUREST)))
        means = {head: np.exp(np.mean(values, axis=0)) for head, values in logs.items()}
        shares = {head: mean / mean.sum(axis=1, keepdims=True) for head, mean in means.items()}
        return {head: share[:, 1:] if head == "gender" else share for head, share in shares.items()}


def _with_heads(file: Path, heads: Sequence[str], channels: int) -> keras.Model:
    """The network of a file with its outputs by head."""
    network = load_keras(file)
    need_picture(network, f"--view-teacher {file}")
    layers = {layer.name: layer for layer in network.layers}
    for head in heads:
        widths = (len(AGE_GROUPS),) if head == HEADS[1] else (1, 2)
        if head not in layers or layers[head].output.shape[-1] not in widths:
            raise DataError(
                f"--view-teacher {file}: does not estimate {head}; train it with tools/train.py "
                f"--estimate {','.join(heads)}"
            )
    if network.input_shape[-1] != channels:
        kinds = {1: "grey", 3: "R G B"}
        raise DataError(
            f"--view-teacher {file}: sees {kinds.get(network.input_shape[-1], 'other')} faces, the "
            f"network that it is to teach {kinds[channels]} ones"
        )
    return keras.Model(network.input, {head: layers[head].output for head in heads})
