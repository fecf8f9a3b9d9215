"""Large networks that have learnt ImageNet and learn faces on top of it.

K. Simonyan, A. Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR
2015 (VGG); K. He et al.: Deep Residual Learning for Image Recognition, CVPR 2016 (ResNet). VGG's
three dense layers, nine tenths of its weights, are left out.
"""

from collections.abc import Callable

import keras
from keras import layers

from tools.networks.lrn import IMAGENET_MEAN, pixels


def vgg16(size: int = 224, weights: str | None = None) -> keras.Model:
    return _on(keras.applications.VGG16, "vgg16", size, weights)


def vgg19(size: int = 224, weights: str | None = None) -> keras.Model:
    return _on(keras.applications.VGG19, "vgg19", size, weights)


def resnet50(size: int = 224, weights: str | None = None) -> keras.Model:
    return _on(keras.applications.ResNet50, "resnet50", size, weights)


def resnet101(size: int = 224, weights: str | None = None) -> keras.Model:
    return _on(keras.applications.ResNet101, "resnet101", size, weights)


def _on(
    backbone: Callable[..., keras.Model], name: str, size: int, weights: str | None
) -> keras.Model:
    """The average of the backbone's last maps, and one sigmoid output."""
    entry = layers.Input((size, size, 3))
    body = backbone(
        include_top=False,
        weights=None,
        input_tensor=pixels(entry, IMAGENET_MEAN),
        pooling="avg",
    )
    if weights:  # the files know nothing of the layer that comes first here
        learnt = backbone(include_top=False, weights=weights)
        for layer in learnt.layers[1:]:
            body.get_layer(layer.name).set_weights(layer.get_weights())
    x = layers.Dropout(0.2)(body.output)
    x = layers.Dense(1, activation="sigmoid", name="gender")(x)
    return keras.Model(entry, x, name=f"gender-{name}")
