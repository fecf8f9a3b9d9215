"""Build a network by its name.

The parameters of a function in `BUILDERS` are its options: `size` (side of the input, pixels),
`alpha` (width) and `weights` ("imagenet" or None). The input is one square picture, gray or R G B,
as (pixel - 127.5) / 127.5. The output is one sigmoid value, the probability of `LABELS[1]`, or one
softmax value for each label. `build` can add one softmax value for each of `AGE_GROUPS`, or make
that the only output.
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
from tools.networks.names import IMAGENET
from tools.networks.small import ann48, cnn64
from tools.networks.transfer import resnet50, resnet101, vgg16, vgg19

BUILDERS: dict[str, Callable[..., keras.Model]] = {
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

FROZEN = {
    "vgg16": "block4_pool",
    "vgg19": "block4_pool",
    "resnet50": "conv4_block6_out",
    "resnet101": "conv4_block23_out",
    "googlenet": "4e",
}
"""The last frozen layer of a network that starts from trained weights; all before it are frozen."""


def build(
    name: str,
    *,
    start: str = "none",
    size: int | None = None,
    alpha: float = 1.0,
    heads: Sequence[str] = ("gender",),
) -> keras.Model:
    """A network with these `HEADS`; its weights are random unless `start` is `imagenet`.

    Raises DataError if the network lacks an option or the weights cannot be downloaded.
    """
    options: dict[str, Any] = {}
    if size is not None:
        options["size"] = size
    if alpha != 1:
        options["alpha"] = alpha
    parameters = inspect.signature(BUILDERS[name]).parameters
    for option in options:
        if option not in parameters:
            raise DataError(f"--{option}: {name} has only one {option}; leave this out")
    if start == "imagenet":
        if name not in IMAGENET:
            raise DataError(
                f"--start imagenet: Keras has no such weights of {name}; give a .keras file or none"
            )
        options["weights"] = "imagenet"
    try:
        return _with_heads(BUILDERS[name](**options), heads)
    except Exception as error:  # Keras raises a bare Exception if a download fails
        if start != "imagenet":
            raise
        reason = str(error).splitlines()[0]
        raise DataError(
            f"--start imagenet: the weights cannot be loaded ({reason}); give a .tflite or "
            ".keras file, or none"
        ) from error


def _with_heads(model: keras.Model, heads: Sequence[str]) -> keras.Model:
    """The same network, which has only a gender head, with these heads on the same features."""
    if "age" not in heads:
        return model
    features = model.get_layer("gender").input
    outputs = {
        "gender": model.output,
        "age": keras.layers.Dense(len(AGE_GROUPS), activation="softmax", name="age")(features),
    }
    name = model.name.replace("gender", "-".join(heads))
    return keras.Model(model.input, [outputs[head] for head in heads], name=name)


def freeze(model: keras.Model, name: str) -> None:
    """Freeze a backbone except for its last stage. Does nothing to other networks."""
    if name not in FROZEN:
        return
    last = model.layers.index(model.get_layer(FROZEN[name]))
    for layer in model.layers[: last + 1]:
        layer.trainable = False
