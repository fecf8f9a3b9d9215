"""Turn a trained model into the full-int8 TFLite file, and its JSON, that the daemon runs.

    python tools/quantize.py build/gender.keras --calibrate faces.zip

Without --out they are written beside the model, as build/gender.tflite and build/gender.json.
"""

import argparse
import re
import sys
from pathlib import Path

from edge.errors import EdgeError
from edge.types import LABELS
from edge.vision.model_card import MODEL_NAME
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import at_least, not_zero, numbers, output_file
from tools.conversion import formats
from tools.conversion.formats import ConversionError, RefusedError
from tools.datasets import dataset
from tools.datasets.archive import DataError


def model_name(text: str) -> str:
    """An argparse type: a name that windows may carry."""
    if not re.fullmatch(MODEL_NAME, text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: use only letters, digits, dots, dashes and _, 64 at most"
        )
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help=f"{formats.MODELS}; or a .caffemodel")
    dataset.add_arguments(parser, "--calibrate")
    parser.add_argument(
        "--out",
        type=output_file(".tflite"),
        metavar="TFLITE",
        help="default: beside the model, with its name",
    )
    outputs.add_arguments(parser)
    parser.add_argument("--type", choices=formats.TYPES, default="int8")
    parser.add_argument(
        "--ends",
        choices=("int8", "uint8"),
        default="int8",
        help="type of the input and outputs of an int8 model",
    )
    parser.add_argument(
        "--name", type=model_name, help="default: what the model estimates and its network"
    )
    parser.add_argument(
        "--labels",
        default=",".join(LABELS),
        choices=[",".join(LABELS), ",".join(reversed(LABELS))],
        help="order of the outputs; a single sigmoid output is the second label",
    )
    parser.add_argument(
        "--prototxt", type=Path, metavar="FILE", help="deploy.prototxt of a .caffemodel"
    )
    parser.add_argument(
        "--mean",
        type=numbers,
        default=[],
        help="input = (pixel - mean) / std; a .caffemodel may have three: blue, green and red",
    )
    parser.add_argument(
        "--std",
        type=not_zero,
        help="default of --mean and --std: as in training, else 127.5; 0 and 1 for a .caffemodel",
    )
    parser.add_argument("--calibration-faces", type=at_least(len(LABELS)), default=500)
    parser.add_argument("--test-faces", type=at_least(len(LABELS)), default=1000)
    parser.add_argument(
        "--max-drop",
        type=float,
        default=1.0,
        help="largest loss of accuracy, percentage points; with 50 or more a model may even guess",
    )
    parser.add_argument("--seed", type=at_least(0), default=1)
    args = parser.parse_args()
    if not args.model.name:  # "." has no name to derive others from
        args.model = args.model.resolve()
    if args.out is None:
        name = args.model.name if args.model.is_dir() else args.model.stem
        args.out = args.model.with_name(f"{name}.tflite")
        if args.out.is_dir():
            parser.error(f"--out {args.out}: is a folder; name a file that ends in .tflite")
    if (args.model.suffix == ".caffemodel") != (args.prototxt is not None):
        parser.error(
            f"{args.model}: a .caffemodel needs its --prototxt, and only a .caffemodel has one"
        )
    if len(args.mean) not in ((0, 1, 3) if args.prototxt else (0, 1)):
        parser.error(f"--mean: {len(args.mean)} numbers; needs one, or three for a .caffemodel")
    try:
        for file in (args.out, args.out.with_suffix(".json")):
            outputs.need_free("--out", file, force=args.force)
        dataset.make_folder(args.out.parent, f"--out {args.out}")
        # TensorFlow takes seconds to import: mistakes of use need not wait for it
        from tools.conversion.quantization import quantize

        return quantize(args)
    except RefusedError as error:
        print(f"quantize: {error}; {args.out} was not changed", file=sys.stderr)
        return 1
    except ConversionError as error:
        print(f"quantize: {args.model}: {error}", file=sys.stderr)
        return 2
    except (DataError, EdgeError) as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    run_command(main)
