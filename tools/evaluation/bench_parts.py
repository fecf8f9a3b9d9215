"""The parts of the figures of tools/bench.py: what a recording or drawn scenes take."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from edge import wiring
from edge.config import Config
from tools.evaluation import baselines
from tools.evaluation.scene_cost import Scene, SceneCost, fitted, frames_of, measure_scene
from tools.evaluation.speed import measure, rounded

SCENES = {"still": 0, "busy": 4, "crowded": 20}
"""People in each scene."""
FACES = (1, 2, 4, 7, 10, 15, 20)
"""People in the scenes that show how the cost grows."""
THREADS = (1, 2)

Scenes = Callable[[int], Scene]
"""Makes a scene with this many people."""


def clip_speed(config: Config) -> dict[str, Any]:
    """What the configured recording takes. Raises EdgeError."""
    name, threads = Path(config.source).name, config.detector.threads
    return {"name": name, "threads": threads} | measure(config).as_json()


def by_scene(config: Config, scenes: Scenes, seconds: int) -> dict[str, dict[str, Any]]:
    """What each of `SCENES` takes."""
    costs = {name: _cost(config, scenes, faces, seconds) for name, faces in SCENES.items()}
    return {name: cost.as_json() for name, cost in costs.items()}


def by_threads(config: Config, scenes: Scenes, seconds: int) -> Iterator[dict[str, Any]]:
    """The crowded scene with each number of threads."""
    for threads in THREADS:
        cv2.setNumThreads(threads)
        cost = _cost(config, scenes, SCENES["crowded"], seconds)
        yield {"threads": threads} | cost.as_json()
    cv2.setNumThreads(config.detector.threads)


def by_faces(config: Config, scenes: Scenes, seconds: int) -> dict[str, Any]:
    """Costs by the number of faces, and the line through them."""
    costs = [_cost(config, scenes, faces, seconds) for faces in FACES]
    return {"costs": [cost.as_json() for cost in costs], "line": rounded(asdict(fitted(costs)))}


def beside_others(
    config: Config, speed: dict[str, Any] | None, scenes: Scenes, seconds: int
) -> dict[str, Any]:
    """Baselines on the recording that took `speed`, or on the crowded scene without one."""
    frames: baselines.Frames
    if speed is None:
        faces = SCENES["crowded"]
        frames = functools.partial(frames_of, scenes(faces), config, seconds)
        own: dict[str, Any] = _cost(config, scenes, faces, seconds).as_json()
        what = "the crowded scene"
    else:
        frames, own, what = functools.partial(wiring.frames, config), speed, speed["name"]
    figures = [
        one if isinstance(one, str) else one.as_json()
        for one in baselines.measured(frames, config.detector.threads)
    ]
    same = {"cpu_ms": own["cpu_ms"], "people": own["people"], "followed": own.get("followed")}
    return {"what": what, **same, "baselines": figures}


def _cost(config: Config, scenes: Scenes, faces: int, seconds: int) -> SceneCost:
    return measure_scene(config, scenes(faces), faces, seconds)
