"""Train a MobileNetV2 that tells women from men, and save it as a Keras model.

    python tools/train.py --data aligned:faces.zip --start imagenet --out build/gender.keras

Then make the file that the daemon runs: tools/quantize.py.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import facedata
import keras
import numpy as np
from augment import augment
from facedata import DataError, Sample
from imagenet import start_from_tflite

from edge.classify import Preprocessing
from edge.errors import ModelError
from edge.records import LABELS

INFANT_YEARS = 6
"""Below this age, people label gender little better than by chance, so such faces weigh less."""


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras carries no types
    """Batches of prepared faces; a training set is augmented and shuffled anew each epoch."""

    def __init__(
        self,
        samples: list[Sample],
        preprocessing: Preprocessing,
        *,
        batch: int,
        training: bool,
        seed: int,
        infant_weight: float,
    ) -> None:
        super().__init__(workers=2, max_queue_size=16)
        self.samples, self.preprocessing = samples, preprocessing
        self.batch, self.training, self.seed = batch, training, seed
        self.infant_weight = infant_weight
        self.epoch = 0
        self._shuffle()

    def _shuffle(self) -> None:
        self.order = np.arange(len(self.samples))
        if self.training:
            np.random.default_rng((self.seed, self.epoch)).shuffle(self.order)

    def __len__(self) -> int:
        # a training batch is always full: batch normalisation suffers from a rest of a few
        whole, rest = divmod(len(self.samples), self.batch)
        return whole if self.training else whole + (rest > 0)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        rows = self.order[index * self.batch : (index + 1) * self.batch]
        chosen = [self.samples[row] for row in rows]
        crops = np.stack([self._crop(sample, rng) for sample in chosen])
        labels = np.array([[sample.label] for sample in chosen], np.float32)
        weights = np.array([self._weight(sample) for sample in chosen], np.float32)
        return self.preprocessing.normalise(crops), labels, weights

    def _crop(self, sample: Sample, rng: np.random.Generator) -> Any:
        image = sample.image()
        if image is None:
            raise DataError(f"{sample.name} cannot be read any more")
        box = sample.face(image, self.preprocessing)
        if self.training:
            return augment(image, box, self.preprocessing, rng)
        return self.preprocessing.crop(image, box)

    def _weight(self, sample: Sample) -> float:
        infant = sample.age is not None and sample.age < INFANT_YEARS
        return self.infant_weight if infant and self.training else 1.0

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()


def build(preprocessing: Preprocessing, alpha: float, start: str) -> keras.Model:
    """MobileNetV2 with one sigmoid output: the probability of `LABELS[1]`.

    M. Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018.
    """
    body = keras.applications.MobileNetV2(
        input_shape=(preprocessing.size, preprocessing.size, preprocessing.channels),
        alpha=alpha,
        include_top=False,
        weights="imagenet" if start == "imagenet" else None,
        pooling="avg",
    )
    x = keras.layers.Dropout(0.2)(body.output)
    # one output: tflite-runtime 2.14 crashes on aarch64 with two or three int8 ones
    x = keras.layers.Dense(1, activation="sigmoid", name="male")(x)
    return keras.Model(body.input, x, name="gender-mobilenetv2")


def read_data(sources: list[str], split: str) -> list[Sample]:
    """All usable samples of one split, with a line on stderr for each source."""
    samples: list[Sample] = []
    for source in sources:
        usable, unseen = facedata.find_faces(facedata.load(source, split))
        print(f"{source} {split}: {len(usable)} faces, {len(unseen)} not found", file=sys.stderr)
        samples += usable
    return samples


def train(args: argparse.Namespace) -> None:
    keras.utils.set_random_seed(args.seed)
    preprocessing = Preprocessing(size=args.size)
    settings = {"batch": args.batch, "seed": args.seed, "infant_weight": args.infant_weight}
    train_set = Batches(read_data(args.data, "train"), preprocessing, training=True, **settings)
    val_set = Batches(read_data(args.data, "val"), preprocessing, training=False, **settings)

    model = build(preprocessing, args.alpha, args.start)
    if args.start.endswith(".tflite"):
        start_from_tflite(model, Path(args.start), next(iter(train_set))[0])
    elif args.start not in ("imagenet", "none"):
        try:
            earlier = keras.models.load_model(args.start, compile=False)
            model.set_weights(earlier.get_weights())
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"--start {args.start}: does not fit this network ({reason})"
            ) from error
    steps = len(train_set) * args.epochs
    warmup = min(len(train_set) // 2, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        args.rate / 100, steps - warmup, warmup_target=args.rate, warmup_steps=warmup
    )
    model.compile(
        # the average of the weights over about the last 500 steps generalises better than the last
        optimizer=keras.optimizers.AdamW(
            rate, weight_decay=args.weight_decay, use_ema=True, ema_momentum=0.998
        ),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=args.smoothing),
        weighted_metrics=[keras.metrics.BinaryAccuracy(name="accuracy")],
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    history = model.fit(
        train_set,
        validation_data=val_set,
        epochs=args.epochs,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[
            keras.callbacks.BackupAndRestore(str(args.out.with_suffix(".checkpoint"))),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.CSVLogger(str(args.out.with_suffix(".csv")), append=True),
        ],
    )
    model.save(args.out)
    report = {
        "settings": {name: _shown(value) for name, value in sorted(vars(args).items())},
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "labels": LABELS,
        "preprocessing": asdict(preprocessing),
        "history": {name: [float(v) for v in values] for name, values in history.history.items()},
    }
    args.out.with_suffix(".training.json").write_text(json.dumps(report, indent=1) + "\n")
    print(f"saved {args.out}")


def _shown(value: Any) -> Any:
    """A setting without the folders of this machine: the report travels with the model."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, str | Path):
        layout, colon, path = str(value).rpartition(":")
        return f"{layout}{colon}{Path(path).name}"
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="LAYOUT:PATH",
        help=facedata.LAYOUTS + "; may be repeated",
    )
    parser.add_argument(
        "--start",
        default="imagenet",
        metavar="WEIGHTS",
        help="imagenet (downloaded by Keras), none, an int8 ImageNet MobileNetV2 .tflite, "
        "or a .keras file to train further",
    )
    parser.add_argument("--out", type=Path, default=Path("build/gender.keras"))
    parser.add_argument("--size", type=int, default=112, help="side of the input, pixels")
    parser.add_argument("--alpha", type=float, default=1.0, help="width of the network")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    parser.add_argument("--smoothing", type=float, default=0.03, help="label smoothing")
    parser.add_argument("--infant-weight", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for name, least in (("size", 32), ("epochs", 1), ("batch", 2)):
        if getattr(args, name) < least:
            parser.error(f"--{name} must be {least} or more")
    for name in ("alpha", "rate"):
        if getattr(args, name) <= 0:
            parser.error(f"--{name} must be more than 0")
    if args.start not in ("imagenet", "none") and not Path(args.start).is_file():
        parser.error(f"--start {args.start}: must be imagenet, none, or a .tflite or .keras file")
    try:
        train(args)
    except (DataError, ModelError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: stopped; the same command goes on after the last whole epoch")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
