"""What a network learns by: the losses and figures of its answers, the optimizer and its rate."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

AVERAGED_STEPS = 500
LOSS_WEIGHTS = {"gender": 1.0, "age": 0.4, "hint": 0.5}
"""Of the answers and of a teacher's features. Cross-entropy over eight ages is about ten times as
large as over two genders; in the sum it should lead no more than gender does."""


def accuracy(truth: Any, probability: Any) -> Any:
    """Whether both lie on the same side of one half; a teacher's truth is soft."""
    same = keras.ops.equal(truth > 0.5, probability[:, -1:] > 0.5)
    return keras.ops.mean(keras.ops.cast(same, "float32"), axis=-1)


def two_sided(smoothing: float) -> Callable[[Any, Any], Any]:
    """The loss of a softmax over both labels, `truth` being the probability of the second."""

    def cross_entropy(truth: Any, answer: Any) -> Any:
        both = keras.ops.concatenate([1 - truth, truth], axis=-1)
        return keras.losses.categorical_crossentropy(both, answer, label_smoothing=smoothing)

    return cross_entropy


def objective(
    model: keras.Model,
    heads: Sequence[str],
    *,
    hints: int,
    smoothing: float,
    rate: float,
    weight_decay: float,
    steps: int,
) -> tuple[keras.Model, list[str]]:
    """The network with its losses and optimizer, and the names of its outputs.

    `smoothing` is that of the labels of gender, `steps` the number of batches of all epochs. With
    `hints` it has one more output, so wide, that learns the teacher's features and is dropped when
    training ends.
    """
    losses: list[Any] = []
    metrics: list[Any] = []
    for head, answer in zip(heads, model.outputs, strict=True):
        if head == "age":
            losses.append(keras.losses.CategoricalCrossentropy())
            metrics.append([keras.metrics.CategoricalAccuracy(name="accuracy")])
        else:
            one = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
            losses.append(one if answer.shape[-1] == 1 else two_sided(smoothing))
            metrics.append([keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")])
    ends = list(heads)
    if hints:
        features = model.get_layer(ends[0]).input
        hint = keras.layers.Dense(hints, name="hint")(features)
        model = keras.Model(model.input, [*model.outputs, hint])
        ends.append("hint")
        losses.append(keras.losses.CosineSimilarity())
        metrics.append([])
    # the average of the weights over the last steps generalises better than the last ones
    averaged = min(AVERAGED_STEPS, max(1, steps // 5))
    model.compile(
        optimizer=keras.optimizers.AdamW(
            rate, weight_decay=weight_decay, use_ema=True, ema_momentum=1 - 1 / averaged
        ),
        loss=losses,
        loss_weights=[LOSS_WEIGHTS[end] for end in ends],
        weighted_metrics=metrics,
    )
    # within the first step TensorFlow would make each of its variables under a condition, for long
    model.optimizer.build(model.trainable_variables)
    return model, ends


class CosineRate(keras.callbacks.Callback):  # type: ignore[misc]  # Keras carries no types
    """Sets the learning rate before each batch: a short rise, then half a cosine down to 0.

    I. Loshchilov, F. Hutter: SGDR, ICLR 2017. As a schedule within the optimizer it would be
    computed for each variable, and TensorFlow would take half a minute to begin.
    """

    def __init__(self, peak: float, epoch_steps: int, epochs: int) -> None:
        super().__init__()
        self._peak, self._epoch_steps = peak, epoch_steps
        self._steps = epoch_steps * epochs
        self._warmup = max(1, min(epoch_steps // 2, self._steps // 10))
        self._first = 0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._first = epoch * self._epoch_steps

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        step = self._first + batch
        if step < self._warmup:
            share = (step + 1) / self._warmup
        else:
            done = (step - self._warmup) / max(1, self._steps - self._warmup)
            share = (1 + math.cos(math.pi * done)) / 2
        self.model.optimizer.learning_rate = self._peak * share
