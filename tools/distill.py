"""Distill: let larger networks predict the training faces, for a smaller one to learn from.

    python tools/distill.py big.keras other.keras --data faces.zip --out build/teacher.npz

A new classifier is fitted to the networks' features, the inputs of their last layers. It is cross-
fitted: each face is predicted by a fit that has not seen its label. tools/train.py --teacher
build/teacher.npz then trains with the result.
"""

import argparse
import sys
from pathlib import Path

from edge.errors import EdgeError
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import not_zero, output_file
from tools.datasets import dataset
from tools.datasets.archive import DataError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="NETWORK",
        help="a .keras or .h5 file, a SavedModel folder, or another program's features of the "
        "faces: a .npz file with the arrays files and features",
    )
    dataset.add_arguments(parser, "--data", several=True)
    parser.add_argument("--out", type=output_file(".npz"), default=Path("build/teacher.npz"))
    outputs.add_arguments(parser)
    parser.add_argument("--mean", type=float, default=127.5, help="input = (pixel - mean) / std")
    parser.add_argument("--std", type=not_zero, default=127.5)
    parser.add_argument(
        "--wrong",
        type=float,
        default=0.05,
        help="assumed fraction of wrong labels, between 0 and 0.5",
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if not 0 < args.wrong < 0.5:
        parser.error(f"--wrong {args.wrong}: must lie between 0 and 0.5")
    try:
        outputs.need_free("--out", args.out, force=args.force)
        outputs.need_other("--out", args.out, args.sources)
        dataset.make_folder(args.out.parent, f"--out {args.out}")
        # TensorFlow takes seconds to import: mistakes of use need not wait for it
        from tools.training.distillation import distill

        distill(args)
    except (DataError, EdgeError) as error:
        print(f"distill: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run_command(main)
