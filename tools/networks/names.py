"""Names and defaults of the networks that can be trained; Keras is not imported for them."""

from typing import Any

NETWORKS = (
    "mobilenetv2",
    "ann48",
    "cnn64",
    "levi-hassner",
    "vgg16",
    "vgg19",
    "resnet50",
    "resnet101",
    "googlenet",
)
"""Names of all networks."""

IMAGENET = frozenset({"mobilenetv2", "vgg16", "vgg19", "resnet50", "resnet101"})
"""The networks of which Keras has ImageNet weights."""

HEADS = ("gender", "age")
"""What a network can estimate: the names of its output layers, in order."""

DEFAULTS: dict[str, dict[str, Any]] = {
    # for random weights and small pictures: Adam without weight decay, and more augmentation
    "cnn64": {"weight_decay": 0.0, "shear": 8.0},
    # at the usual rate, pretrained layers and large ones without batch normalization diverge
    "levi-hassner": {"rate": 1e-4},
    "vgg16": {"rate": 1e-4},
    "vgg19": {"rate": 1e-4},
    "resnet50": {"rate": 1e-4},
    "resnet101": {"rate": 1e-4},
}
"""Defaults of tools/train.py that differ for a network."""
