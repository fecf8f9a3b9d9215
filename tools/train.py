"""Train a network that estimates gender, age or both, and save it as a Keras model.

    python tools/train.py --data faces.zip --start imagenet --out build/gender.keras

tools/quantize.py then makes the file that the daemon runs.
"""

import argparse
import sys
from pathlib import Path

from edge.errors import EdgeError
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import at_least, fraction, not_negative, output_file, positive
from tools.datasets import dataset, readers
from tools.datasets.archive import DataError
from tools.networks.names import DEFAULTS, HEADS, IMAGENET, NETWORKS


def check_outputs(args: argparse.Namespace) -> None:
    """Raises ConfigError or DataError if a file that would be written is there or is read."""
    if not args.resume:
        outputs.need_free("--out", args.out, force=args.force)
    tables = [readers.beside(path) for path in args.data]
    outputs.need_other("--out", args.out, [Path(args.start), *args.view_teacher])
    dataset.make_folder(args.out.parent, f"--out {args.out}")
    outputs.need_other("the log of --out,", args.out.with_suffix(".csv"), tables)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    dataset.add_arguments(parser, "--data", several=True)
    parser.add_argument(
        "--estimate",
        type=lambda text: text.split(","),
        default=["gender"],
        metavar="HEADS",
        help="gender (the default), age, or gender,age",
    )
    parser.add_argument(
        "--only",
        choices=HEADS,
        help="train only this head; everything else stays exactly as in --start",
    )
    parser.add_argument("--arch", choices=NETWORKS, default="mobilenetv2")
    parser.add_argument(
        "--start",
        metavar="WEIGHTS",
        help="imagenet (downloaded by Keras; the default if Keras has it), none, a .keras file "
        "of tools/train.py, or, for mobilenetv2, an int8 .tflite or a wider .keras",
    )
    parser.add_argument("--out", type=output_file(".keras"), default=Path("build/gender.keras"))
    outputs.add_arguments(parser)
    parser.add_argument(
        "--size", type=at_least(32), help="side of the input, pixels; default: the network's own"
    )
    parser.add_argument("--alpha", type=positive, default=1.0, help="width of mobilenetv2")
    parser.add_argument("--epochs", type=at_least(1), default=10)
    parser.add_argument("--batch", type=at_least(2), default=64, help="faces in a batch")
    parser.add_argument("--rate", type=positive, default=1e-3, help="peak learning rate")
    parser.add_argument("--weight-decay", type=not_negative, default=1e-2)
    parser.add_argument("--smoothing", type=fraction, default=0.03, help="label smoothing")
    parser.add_argument(
        "--shear",
        type=not_negative,
        default=0.0,
        help="slant faces at random, standard deviation in degrees",
    )
    parser.add_argument(
        "--mixup",
        type=not_negative,
        default=0.0,
        help="strength with which faces are mixed; 0.1 to 0.4 is usual",
    )
    parser.add_argument(
        "--balance",
        action="store_true",
        help="let women and men weigh the same in each data set and age group",
    )
    parser.add_argument(
        "--freeze",
        metavar="LAYER",
        help="keep this layer and all before it as they are, which makes steps cheaper",
    )
    parser.add_argument(
        "--warm-up",
        type=at_least(0),
        default=1,
        metavar="EPOCHS",
        help="train only the head of a vgg, resnet or googlenet this long, then its last stage too",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="NPZ",
        help="a larger model's predictions for the training faces, from tools/distill.py: arrays "
        "files, male (0 to 1) and, optionally, features",
    )
    parser.add_argument(
        "--view-teacher",
        type=Path,
        action="append",
        default=[],
        metavar="KERAS",
        help="a larger model of tools/train.py, asked about each face as augmented; may be "
        "repeated",
    )
    parser.add_argument(
        "--infant-weight", type=fraction, default=0.3, help="weight of faces below 6 years"
    )
    parser.add_argument(
        "--patience",
        type=at_least(1),
        default=5,
        help="stop after this many epochs without progress",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue a stopped training after its last whole epoch",
    )
    parser.set_defaults(**DEFAULTS.get(parser.parse_args().arch, {}))
    args = parser.parse_args()
    if args.start is None:
        args.start = "imagenet" if args.arch in IMAGENET else "none"
    if args.estimate not in (["gender"], ["age"], ["gender", "age"]):
        parser.error(f"--estimate {','.join(args.estimate)}: must be gender, age or gender,age")
    if args.only and (args.only not in args.estimate or not args.start.endswith(".keras")):
        parser.error(f"--only {args.only}: needs a .keras file to --start from, and --estimate it")
    if args.start not in ("imagenet", "none") and not Path(args.start).is_file():
        parser.error(f"--start {args.start}: must be imagenet, none, or a .tflite or .keras file")
    if args.start.endswith(".tflite") and args.arch != "mobilenetv2":
        parser.error(
            f"--start {args.start}: {args.arch} starts from imagenet, none or a .keras file"
        )
    try:
        check_outputs(args)
        # TensorFlow takes seconds to import: mistakes of use need not wait for it
        from tools.training.training import train

        train(args)
    except (DataError, EdgeError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: stopped; the same command with --resume continues after the last whole epoch")
        return 130
    return 0


if __name__ == "__main__":
    run_command(main)
