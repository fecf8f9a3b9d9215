"""The networks that can be trained, by name: functions that build one.

What a function can be asked for are its parameters: `size` (side of the input, pixels), `alpha`
(width) and `weights` ("imagenet" or None). What it takes and gives are the shapes of the model:
one square picture, grey or of three colours, prepared as (pixel - 127.5) / 127.5, and either one
sigmoid value, the probability of `LABELS[1]`, or one softmax value for each label. Any of them can
give one softmax value for each of `AGE_GROUPS` beside that, or instead.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras

from edge.types import AGE_GROUPS
from tools.datasets.archive import DataError
from tools.networks.googlenet import googlenet
from tools.networks.levi_hassner import levi_hassner
from tools.networks.mobilenet import mobilenetv2
from tools.networks.small import ann48, cnn64
from tools.networks.transfer import resnet50, resnet101, vgg16, vgg19

NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "mobilenetv2": mobilenetv2,
    "ann48": ann48,
    "cnn64": cnn64,
    "levi-hassner": levi_hassner,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "googlenet": googlenet,
}

DEFAULTS: dict[str, dict[str, Any]] = {
    # it learns from random weights on small pictures: Adam without weight decay, and more views
    "cnn64": {"weight_decay": 0.0, "shear": 8.0},
    # the usual rate throws large layers without batch normalisation, or learnt ones, off
    "levi-hassner": {"rate": 1e-4},
    "vgg16": {"rate": 1e-4},
    "vgg19": {"rate": 1e-4},
    "resnet50": {"rate": 1e-4},
    "resnet101": {"rate": 1e-4},
}
"""Options of tools/train.py that suit a network better than the general defaults."""

FROZEN = {
    "vgg16": "block4_pool",
    "vgg19": "block4_pool",
    "resnet50": "conv4_block6_out",
    "resnet101": "conv4_block23_out",
    "googlenet": "4e",
}
"""The last layer that keeps its weights where a network starts from some: all before it do too."""


def has_imagenet(name: str) -> bool:
    """Whether Keras offers weights to start from."""
    return "weights" in inspect.signature(NETWORKS[name]).parameters


HEADS = ("gender", "age")
"""What a network can estimate: the names of the layers that give its answers, in their order."""


def build(
    name: str,
    *,
    start: str = "none",
    size: int | None = None,
    alpha: float = 1.0,
    heads: Sequence[str] = ("gender",),
) -> keras.Model:
    """A network with these of `HEADS`, and random weights unless `start` is `imagenet`.

    Raises DataError where it cannot be had so, or where the weights cannot be downloaded.
    """
    wanted: dict[str, Any] = {}
    if size is not None:
        wanted["size"] = size
    if alpha != 1:
        wanted["alpha"] = alpha
    takes = inspect.signature(NETWORKS[name]).parameters
    for option in wanted:
        if option not in takes:
            raise DataError(f"--{option}: {name} has one {option} only; leave it out")
    if start == "imagenet":
        if not has_imagenet(name):
            raise DataError(
                f"--start imagenet: there are no such weights of {name}; give a .keras file or none"
            )
        wanted["weights"] = "imagenet"
    try:
        return _with_heads(NETWORKS[name](**wanted), heads)
    except Exception as error:  # Keras raises just this where a download fails
        if start != "imagenet":
            raise
        reason = str(error).splitlines()[0]
        raise DataError(
            f"--start imagenet: the weights cannot be had ({reason}); give a .tflite or "
            ".keras file, or none"
        ) from error


def _with_heads(model: keras.Model, heads: Sequence[str]) -> keras.Model:
    """The same network, which gives gender alone, with other heads on its last layer but one."""
    if "age" not in heads:
        return model
    features = model.get_layer("gender").input
    answers = {
        "gender": model.output,
        "age": keras.layers.Dense(len(AGE_GROUPS), activation="softmax", name="age")(features),
    }
    name = model.name.replace("gender", "-".join(heads))
    return keras.Model(model.input, [answers[head] for head in heads], name=name)


def freeze(model: keras.Model, name: str) -> None:
    """Keep a backbone as it is, its last stage excepted. Does nothing to other networks."""
    if name not in FROZEN:
        return
    last = model.layers.index(model.get_layer(FROZEN[name]))
    for layer in model.layers[: last + 1]:
        layer.trainable = False
