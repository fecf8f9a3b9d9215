"""How a network learns: the losses and metrics of its heads, the optimizer, the learning rate."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

AVERAGED_STEPS = 500
"""The weights are averaged over about this many steps, or a fifth of a shorter training."""
LOSS_WEIGHTS = {"gender": 1.0, "age": 0.4, "hint": 0.5}
"""Weights of the heads and of a teacher's features in the total loss. Cross-entropy over eight ages
is about ten times as large as over two genders, and must not dominate."""


def soft_label_accuracy(truth: Any, probability: Any) -> Any:
    """Fraction of faces on the same side of 0.5 as the truth, which a teacher makes soft."""
    same = keras.ops.equal(truth > 0.5, probability[:, -1:] > 0.5)
    return keras.ops.mean(keras.ops.cast(same, "float32"), axis=-1)


def two_class_cross_entropy(smoothing: float) -> Callable[[Any, Any], Any]:
    """The loss of a softmax over two classes; `truth` is the probability of the second."""

    def cross_entropy(truth: Any, output: Any) -> Any:
        both = keras.ops.concatenate([1 - truth, truth], axis=-1)
        return keras.losses.categorical_crossentropy(both, output, label_smoothing=smoothing)

    return cross_entropy


def compile_model(
    model: keras.Model,
    heads: Sequence[str],
    *,
    hints: int,
    smoothing: float,
    rate: float,
    weight_decay: float,
    steps: int,
) -> tuple[keras.Model, list[str]]:
    """The network compiled with its losses and optimizer, and the names of its outputs.

    `smoothing` applies to the gender labels; `steps` is the number of batches in all epochs. If
    `hints` is not 0, one more output of this width learns the teacher's features; it is dropped
    when training ends.
    """
    losses: list[Any] = []
    metrics: list[Any] = []
    for head, output in zip(heads, model.outputs, strict=True):
        if head == "age":
            losses.append(keras.losses.CategoricalCrossentropy())
            metrics.append([keras.metrics.CategoricalAccuracy(name="accuracy")])
        else:
            sigmoid_loss = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
            is_sigmoid = output.shape[-1] == 1
            losses.append(sigmoid_loss if is_sigmoid else two_class_cross_entropy(smoothing))
            metrics.append([keras.metrics.MeanMetricWrapper(soft_label_accuracy, name="accuracy")])
    output_names = list(heads)
    if hints:
        features = model.get_layer(output_names[0]).input
        hint = keras.layers.Dense(hints, name="hint")(features)
        model = keras.Model(model.input, [*model.outputs, hint])
        output_names.append("hint")
        losses.append(keras.losses.CosineSimilarity())
        metrics.append([])
    # weights averaged over the last steps generalize better than the last weights alone
    averaged = min(AVERAGED_STEPS, max(1, steps // 5))
    model.compile(
        optimizer=keras.optimizers.AdamW(
            rate, weight_decay=weight_decay, use_ema=True, ema_momentum=1 - 1 / averaged
        ),
        loss=losses,
        loss_weights=[LOSS_WEIGHTS[name] for name in output_names],
        weighted_metrics=metrics,
    )
    # built within the first step, TensorFlow would trace a condition for each variable: slow
    model.optimizer.build(model.trainable_variables)
    return model, output_names


class CosineRate(keras.callbacks.Callback):  # type: ignore[misc]  # Keras carries no types
    """Sets the learning rate before each batch: a short linear rise, then half a cosine to 0.

    I. Loshchilov, F. Hutter: SGDR, ICLR 2017. A Keras schedule would be computed in the graph for
    each variable, which delays TensorFlow's start by half a minute.
    """

    def __init__(self, peak: float, epoch_steps: int, epochs: int) -> None:
        super().__init__()
        self._peak, self._epoch_steps = peak, epoch_steps
        self._steps = epoch_steps * epochs
        self._warmup = max(1, min(epoch_steps // 2, self._steps // 10))
        self._first_step = 0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._first_step = epoch * self._epoch_steps

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        step = self._first_step + batch
        if step < self._warmup:
            factor = (step + 1) / self._warmup
        else:
            progress = (step - self._warmup) / max(1, self._steps - self._warmup)
            factor = (1 + math.cos(math.pi * progress)) / 2
        self.model.optimizer.learning_rate = self._peak * factor
