"""Charts as PNG files: the course of a training, the quality of a model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("agg")  # files only: there may not be a screen


@contextmanager
def _chart(path: Path, title: str, x: str, y: str) -> Iterator[Axes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x, ylabel=y)
    yield axes
    figure.savefig(path, dpi=120)


def save_training(history: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """Loss and accuracy on training and validation faces by epoch, a row for each head."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(9, 4 * len(history)), layout="constrained")
    rows = figure.subplots(len(history), 2, squeeze=False)
    for row, (head, figures) in zip(rows, history.items(), strict=True):
        for axes, name in zip(row, ("loss", "accuracy"), strict=True):
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                values = figures[key]
                axes.plot(range(1, len(values) + 1), values, marker=".", label=label)
            axes.set(title=f"{head}: {name}", xlabel="epoch")
            axes.legend()
    figure.savefig(path, dpi=120)


def save_evaluation(result: Mapping[str, Any], folder: Path) -> None:
    """`calibration.png`, `confusion.png`, `abstention.png` and `groups.png` in `folder`."""
    _calibration(result, folder / "calibration.png")
    save_confusion(result["confusion"], folder / "confusion.png")
    _abstention(result["abstention"], folder / "abstention.png")
    _groups(result, folder / "groups.png")


def _calibration(result: Mapping[str, Any], path: Path) -> None:
    title = f"Calibration (ECE {result['ece']:.3f}, {result['n']} faces)"
    with _chart(path, title, "confidence", "accuracy") as axes:
        bins = result["calibration"]
        axes.plot([0.5, 1], [0.5, 1], color="grey", linestyle=":", label="ideal")
        axes.plot(
            [b["confidence"] for b in bins],
            [b["accuracy"] for b in bins],
            marker="o",
            label="model",
        )
        for b in bins:
            axes.annotate(
                str(b["n"]), (b["confidence"], b["accuracy"]), (4, -10), textcoords="offset points"
            )
        axes.legend()


def save_confusion(table: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Number of faces by true and predicted label: `table[true][predicted]`."""
    with _chart(path, "Confusion", "predicted", "true") as axes:
        names = list(table)
        counts = [list(row.values()) for row in table.values()]
        fractions = [[n / max(1, sum(row)) for n in row] for row in counts]
        axes.imshow(fractions, "Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        for i, row in enumerate(counts):
            for j, (n, fraction) in enumerate(zip(row, fractions[i], strict=True)):
                color = "white" if fraction > 0.6 else "black"
                axes.text(j, i, f"{n}\n{fraction:.1%}", ha="center", va="center", color=color)


def _abstention(curve: Sequence[Mapping[str, float]], path: Path) -> None:
    with _chart(path, "Abstention", "left unknown, %", "accuracy on the rest, %") as axes:
        unknown, accuracy = ([100 * p[key] for p in curve] for key in ("unknown", "accuracy"))
        axes.plot(unknown, accuracy, marker="o")


def _groups(result: Mapping[str, Any], path: Path) -> None:
    with _chart(path, "Accuracy by group (95 % intervals)", "accuracy, %", "") as axes:
        rows = [("all", result)] + [
            (f"{name} ({group['n']})", group)
            for groups in result["groups"].values()
            for name, group in groups.items()
        ]
        for y, (_, group) in enumerate(reversed(rows)):
            low, high = group["interval"]
            axes.plot([100 * low, 100 * high], [y, y], color="tab:blue")
            axes.plot(100 * group["accuracy"], y, "o", color="tab:blue")
        axes.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
        axes.grid(axis="x", alpha=0.3)


def save_costs(figures: Mapping[str, Any], path: Path) -> None:
    """Processor time per frame by the number of faces, with the line through it."""
    costs, line = figures["costs"], figures["line"]
    with _chart(path, "Cost of faces", "faces followed", "processor time, ms per frame") as axes:
        followed = [cost["followed"] for cost in costs]
        axes.plot(followed, [cost["cpu_ms"] for cost in costs], "o", label="measured")
        ends = [0, max(followed)]
        axes.plot(
            ends,
            [line["constant_ms"] + line["per_face_ms"] * faces for faces in ends],
            label=f"{line['constant_ms']:.1f} ms + {line['per_face_ms']:.2f} ms per face",
        )
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.legend()
