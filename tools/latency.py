"""Measure a model's time per face, and whether all runtimes give the same output.

    python tools/latency.py models/gender.tflite

This program imports no TensorFlow, with which tflite-runtime fails in one process.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError, ModelError
from edge.vision.classifier import Classifier
from edge.vision.tflite import RUNTIMES, Floats
from tools.cli.exit import add_verbose, run_command

WARM_UP_CALLS, TIMED_CALLS = 5, 50
ENOUGH_S = 20.0
"""After this long a model is timed on fewer calls, but on as many as warm it up."""
THREADS = (1, 2)


def measure(model: Path, crops: npt.NDArray[np.uint8] | None) -> list[str]:
    """A line for each runtime: median milliseconds per face on 1 and on 2 threads, of 50 calls.

    The runtimes take turns on each of `crops` (uint8 n x size x size x channels; noise if None), so
    that the machine's other load affects all alike. tflite-runtime has no XNNPACK for int8.

    Raises ModelError if no runtime can use the model.
    """
    classifiers: dict[tuple[str, bool], list[Classifier]] = {}
    lines = []
    for runtime in RUNTIMES:
        try:
            for xnnpack in (True, False):
                classifiers[runtime, xnnpack] = [
                    Classifier(model, runtime=runtime, threads=threads, xnnpack=xnnpack)
                    for threads in THREADS
                ]
        except ModelError as error:
            lines.append(str(error))
    if not classifiers:
        raise ModelError("; ".join(dict.fromkeys(lines)))
    preprocessing = next(iter(classifiers.values()))[0].preprocessing
    shape = (TIMED_CALLS, preprocessing.size, preprocessing.size, preprocessing.channels)
    if crops is None:
        crops = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    elif crops.shape[1:] != shape[1:]:
        raise ConfigError(f"--crops: must be {shape[1:]} for this model, not {crops.shape[1:]}")
    seconds: dict[tuple[str, bool], list[list[float]]] = {key: [] for key in classifiers}
    outputs: dict[tuple[str, bool], list[Floats]] = {key: [] for key in classifiers}
    start = time.perf_counter()
    for call in range(WARM_UP_CALLS + TIMED_CALLS):
        if call >= 2 * WARM_UP_CALLS and time.perf_counter() - start > ENOUGH_S:
            break
        for key, by_threads in classifiers.items():
            seconds[key].append([])
            for classifier in by_threads:
                begin = time.perf_counter()
                predictions = classifier([crops[call % len(crops)]])
                seconds[key][-1].append(time.perf_counter() - begin)
                heads = (predictions.gender, predictions.age)
                outputs[key] += [head for head in heads if head is not None]
    for (runtime, xnnpack), times_s in seconds.items():
        medians_ms = 1000 * np.median(times_s[WARM_UP_CALLS:], axis=0)
        speed = ", ".join(f"{ms:.2f} ms on {n}" for ms, n in zip(medians_ms, THREADS, strict=True))
        others = [key for key in classifiers if key != (runtime, xnnpack) and not key[1]]
        own = outputs[runtime, xnnpack]
        equal = all(all(map(np.array_equal, outputs[key], own)) for key in others)
        kernels = "default kernels" if xnnpack else "without XNNPACK"
        lines.append(
            f"{runtime:<15} {kernels:<16} {speed} thread(s) per face"
            + ("; outputs equal the others'" if others and equal else "")
        )
    return lines


def read_crops(path: Path) -> npt.NDArray[np.uint8]:
    """Crops from a file of NumPy's. Raises ConfigError."""
    try:
        crops: npt.NDArray[np.uint8] = np.load(path)
    except (OSError, EOFError, ValueError) as error:
        raise ConfigError(f"--crops {path}: is no .npy file that can be read ({error})") from error
    if not (isinstance(crops, np.ndarray) and crops.ndim == 4 and crops.dtype == np.uint8):
        raise ConfigError(f"--crops {path}: must hold uint8 crops: number, height, width, channels")
    if not len(crops):
        raise ConfigError(f"--crops {path}: must hold uint8 crops, and holds none")
    return crops


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a .tflite file with its JSON beside it")
    parser.add_argument(
        "--crops", type=Path, help="faces to measure on, a .npy file of uint8 crops; default: noise"
    )
    add_verbose(parser)
    args = parser.parse_args()
    try:
        lines = measure(args.model, None if args.crops is None else read_crops(args.crops))
    except ConfigError as error:
        print(f"latency: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    run_command(main)
