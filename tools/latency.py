"""How long a model takes for a face, and whether all runtimes say the same.

    python tools/latency.py models/gender.tflite

A program of its own, without TensorFlow: tflite-runtime fails in one process with it.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import ModelError
from edge.vision.classifier import Classifier
from edge.vision.tflite import RUNTIMES, Floats
from tools.cli.exit import add_verbose, leave

WARM_UP, CALLS = 5, 50
THREADS = (1, 2)


def measure(model: Path, crops: npt.NDArray[np.uint8] | None) -> list[str]:
    """A line for each runtime: median milliseconds for a face on 1 and 2 threads, and its labels.

    The runtimes take turns at each of `crops` (uint8 n x size x size x channels; noise where None
    is given), so that they meet the same machine. tflite-runtime has no XNNPACK for int8.

    Raises ModelError where none can use the model.
    """
    made: dict[tuple[str, bool], list[Classifier]] = {}
    lines = []
    for runtime in RUNTIMES:
        try:
            for xnnpack in (True, False):
                made[runtime, xnnpack] = [
                    Classifier(model, runtime=runtime, threads=threads, xnnpack=xnnpack)
                    for threads in THREADS
                ]
        except ModelError as error:
            lines.append(str(error))
    if not made:
        raise ModelError("; ".join(dict.fromkeys(lines)))
    entry = next(iter(made.values()))[0].preprocessing
    if crops is None:
        shape = (CALLS, entry.size, entry.size, entry.channels)
        crops = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    seconds = {key: np.zeros((len(THREADS), WARM_UP + CALLS)) for key in made}
    said: dict[tuple[str, bool], list[Floats]] = {key: [] for key in made}
    for call in range(WARM_UP + CALLS):
        for key, classifiers in made.items():
            for place, classifier in enumerate(classifiers):
                begin = time.perf_counter()
                looks = classifier([crops[call % len(crops)]])
                seconds[key][place, call] = time.perf_counter() - begin
                said[key] += [answer for answer in (looks.gender, looks.age) if answer is not None]
    for (runtime, xnnpack), taken in seconds.items():
        times = 1000 * np.median(taken[:, WARM_UP:], axis=1)
        speed = ", ".join(f"{ms:.2f} ms on {n}" for ms, n in zip(times, THREADS, strict=True))
        others = [key for key in made if key != (runtime, xnnpack) and not key[1]]
        same = all(all(map(np.array_equal, said[key], said[runtime, xnnpack])) for key in others)
        kernels = "default kernels" if xnnpack else "without XNNPACK"
        lines.append(
            f"{runtime:<15} {kernels:<16} {speed} thread(s) per face"
            + ("; outputs equal the others'" if others and same else "")
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a .tflite file with its JSON beside it")
    parser.add_argument("--crops", type=Path, help="faces to use, a .npy file of uint8 crops")
    add_verbose(parser)
    args = parser.parse_args()
    try:
        lines = measure(args.model, None if args.crops is None else np.load(args.crops))
    except (ModelError, OSError, EOFError, ValueError) as error:
        print(f"latency: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    leave(main)
