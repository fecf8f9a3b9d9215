"""Large networks pretrained on ImageNet and fine-tuned on faces.

K. Simonyan, A. Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR
2015 (VGG); K. He et al.: Deep Residual Learning for Image Recognition, CVPR 2016 (ResNet). VGG's
three dense layers, nine tenths of its weights, are left out.
"""

from collections.abc import Callable

import keras
from keras import layers

from tools.networks.lrn import IMAGENET_MEAN, pixels


def vgg16(size: int = 224, weights: str | None = None) -> keras.Model:
    return _with_gender_head(keras.applications.VGG16, "vgg16", size, weights)


def vgg19(size: int = 224, weights: str | None = None) -> keras.Model:
    return _with_gender_head(keras.applications.VGG19, "vgg19", size, weights)


def resnet50(size: int = 224, weights: str | None = None) -> keras.Model:
    return _with_gender_head(keras.applications.ResNet50, "resnet50", size, weights)


def resnet101(size: int = 224, weights: str | None = None) -> keras.Model:
    return _with_gender_head(keras.applications.ResNet101, "resnet101", size, weights)


def _with_gender_head(
    backbone: Callable[..., keras.Model], name: str, size: int, weights: str | None
) -> keras.Model:
    """Average pooling of the backbone's last feature maps, and one sigmoid output."""
    inputs = layers.Input((size, size, 3))
    body = backbone(
        include_top=False,
        weights=None,
        input_tensor=pixels(inputs, IMAGENET_MEAN),
        pooling="avg",
    )
    if weights:  # Keras cannot load them into a backbone with another layer before it
        pretrained = backbone(include_top=False, weights=weights)
        for layer in pretrained.layers[1:]:
            body.get_layer(layer.name).set_weights(layer.get_weights())
    x = layers.Dropout(0.2)(body.output)
    x = layers.Dense(1, activation="sigmoid", name="gender")(x)
    return keras.Model(inputs, x, name=f"gender-{name}")
