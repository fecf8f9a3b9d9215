"""Writes small models with known answers into FOLDER, as TFLite with the JSON beside each.

Run as a program of its own: tflite-runtime fails in a process that has imported TensorFlow.
"""

import hashlib
import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from edge.types import AGE_GROUPS, LABELS

SIZE = 32
LABELLED = {"labels": LABELS, "output": "sigmoid"}


def write(path: Path, outputs: list[keras.KerasTensor], picture: object, **card: object) -> None:
    model = keras.Model(picture, outputs)
    data = bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    path.write_bytes(data)
    known = {"name": path.stem, "sha256": hashlib.sha256(data).hexdigest(), "input": {"size": SIZE}}
    path.with_suffix(".json").write_text(json.dumps(known | card))


def main(folder: Path) -> None:
    """`both.tflite` says a gender and an age, `gender.tflite` and `age.tflite` one of them."""
    picture = keras.layers.Input((SIZE, SIZE, 3), batch_size=1)
    colour = keras.layers.GlobalAveragePooling2D()(picture)
    # a man's, unless it is blue
    male = keras.layers.Dense(1, "sigmoid")
    # the brighter it is, the older: -(brightness - centre)^2, less what all groups have in common
    age = keras.layers.Dense(len(AGE_GROUPS), "softmax")
    outputs = [male(colour), age(colour)]
    male.set_weights([np.array([[4.0], [0.0], [-4.0]]), np.full(1, 2.0)])
    centres = np.linspace(-0.875, 0.875, len(AGE_GROUPS))
    age.set_weights([np.tile(60 * centres * 2 / 3, (3, 1)), -60 * centres**2])
    write(folder / "both.tflite", outputs, picture, ages=AGE_GROUPS, **LABELLED)
    write(folder / "gender.tflite", outputs[:1], picture, **LABELLED)
    write(folder / "age.tflite", outputs[1:], picture, ages=AGE_GROUPS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
