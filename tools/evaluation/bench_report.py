"""The figures of tools/bench.py in words: lines for the terminal, a page to send in."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from tools.evaluation.machine import condition_line, machine_lines

COMPARED = {"ratio": "of a plain search", "cpu_ms": "ms per frame", "peak_mb": "MB"}
"""Figures that are compared with an earlier run, and their units."""


def speed_lines(speed: Mapping[str, Any]) -> list[str]:
    """Time per frame of the whole pipeline, beside a plain search, and of each stage."""
    lines = [
        f"clip      {speed['name']}: {speed['frames']} frames, {speed['people']} people",
        f"speed     {1000 / speed['wall_ms']:.1f} fps with {speed['threads']} thread(s) for Haar",
        f"cpu       {speed['cpu_ms']:.2f} ms per frame, {speed['ratio']:.1%} of a plain Haar "
        f"search ({speed['plain_ms']:.2f} ms)",
    ]
    for stage, ms in speed["stages"].items():
        percentiles = ", ".join(f"{value:.2f} {p}" for p, value in ms.items() if p != "mean")
        lines.append(f"          {stage:<9} {ms['mean']:7.2f} ms per frame; {percentiles}")
    rest = speed["cpu_ms"] - sum(ms["mean"] for ms in speed["stages"].values())
    lines.append(f"          {'rest':<9} {rest:7.2f} ms per frame")
    kernels = ", ".join(f"{name} {ms:.2f}" for name, ms in speed["kernels"].items())
    share = speed["outside_ms"] / speed["cpu_ms"]
    lines.append(
        f"outside   {speed['outside_ms']:.2f} ms per frame, {share:.1%}; within: {kernels}"
    )
    lines.append(f"peak      {speed['peak_mb']:.0f} MB resident")
    return lines


def threads_lines(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"threads   {run['threads']}: {run['cpu_ms']:.2f} ms of processor time, "
        f"{run['wall_ms']:.2f} ms by the clock per frame, stages alone"
        for run in runs
    ]


def scenes_lines(scenes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"{name:<9} {cost['cpu_ms']:.2f} ms per frame ({cost['p95_ms']:.2f} p95), "
        f"{cost['followed']:.1f} faces followed, {cost['people']} people counted, "
        f"{cost['outside_ms']:.2f} ms outside"
        for name, cost in scenes.items()
    ]


def faces_lines(figures: Mapping[str, Any]) -> list[str]:
    lines = [
        f"faces     {cost['faces']:2d} in the scene, {cost['followed']:4.1f} followed: "
        f"{cost['cpu_ms']:.2f} ms per frame"
        for cost in figures["costs"]
    ]
    line = figures["line"]
    return [
        *lines,
        f"fit       {line['constant_ms']:.2f} ms + {line['per_face_ms']:.2f} ms per face followed; "
        f"at most {line['worst_ms']:.2f} ms off",
    ]


def baselines_lines(figures: Mapping[str, Any]) -> list[str]:
    """Each baseline in multiples of the daemon's time for the same frames."""
    own, faces = figures["cpu_ms"], figures["followed"]
    followed = "" if faces is None else f", {faces:.1f} faces followed"
    lines = [
        f"baseline  the daemon: {own:.2f} ms per frame{followed}; on {figures['what']}; "
        f"{figures['people']} people counted"
    ]
    for baseline in figures["baselines"]:
        if isinstance(baseline, str):
            lines.append(f"baseline  {baseline}")
        else:
            lines.append(
                f"baseline  {baseline['name']}: {baseline['cpu_ms']:.2f} ms per frame, "
                f"{baseline['cpu_ms'] / own:.1f} times; {baseline['faces']:.1f} faces per frame"
            )
    return lines


def daemon_lines(daemon: Mapping[str, Any]) -> list[str]:
    return [
        f"start     {daemon['first_frame_s']:.2f} s to the first frame, "
        f"{daemon['first_frame_cpu_s']:.2f} s of processor time",
        f"memory    {daemon['steady_mb']:.0f} MB resident after {daemon['seconds']:.0f} s on the "
        f"demo scene, at most {daemon['peak_mb']:.0f} MB",
    ]


SECTIONS: dict[str, Callable[[Any], list[str]]] = {
    "machine": machine_lines,
    "command": lambda command: [f"command   {' '.join(['bench.py', *command])}"],
    "before": lambda facts: [condition_line(facts)],
    "speed": speed_lines,
    "threads": threads_lines,
    "scenes": scenes_lines,
    "faces": faces_lines,
    "baselines": baselines_lines,
    "models": lambda lines: [f"model     {line}" for line in lines],
    "daemon": daemon_lines,
    "after": lambda facts: [condition_line(facts)],
}
"""How each part of the figures is put into words."""


def compared_lines(old: Mapping[str, float], new: Mapping[str, float]) -> list[str]:
    """How the figures changed; those of one machine at one time are comparable."""
    lines = []
    for name, unit in COMPARED.items():
        change = f"{new[name] / old[name]:.2f} times" if old[name] else "new"
        lines.append(f"compared  {name:<9} {old[name]:.2f} -> {new[name]:.2f} {unit}: {change}")
    return lines


def page(figures: Mapping[str, Any]) -> str:
    """A page in Markdown with all figures, to send in."""
    facts = figures["machine"]
    board = facts["board"] or facts["processor"]
    lines = [line for name, part in figures.items() for line in SECTIONS[name](part)]
    return "\n".join(
        [
            f"# Edge Tally on {board}",
            "",
            f"{date.today()}. Times are processor time; shares and ratios are of one run.",
            "",
            "```",
            *lines,
            "```",
            "",
        ]
    )
