"""OpenCV's cascade files: stages of stumps over Haar features."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

from edge.vision.cascade import FACE
from tools.datasets.archive import DataError


class Part(NamedTuple):
    """A weighted rectangle of a feature, pixels of the window."""

    left: int
    top: int
    width: int
    height: int
    weight: float


Feature = tuple[Part, ...]
"""The sum of the pixels of each part times its weight."""


class Stump(NamedTuple):
    """A vote by one feature, in units of the window's standard deviation times its pixels."""

    feature: Feature
    threshold: float
    below: float
    above: float


class Stage(NamedTuple):
    """What the window must pass to get to the next stage: a sum of votes."""

    stumps: tuple[Stump, ...]
    threshold: float


def read_cascade(path: Path) -> tuple[str, list[Stage]]:
    """The file's first comment, which has its license, and its stages.

    Raises DataError if it is not a cascade of upright features and stumps for faces of `FACE`
    pixels.
    """
    try:
        text = path.read_text("utf-8")
        cascade = ET.fromstring(text).find("cascade")  # noqa: S314 (a file that the user names)
        if cascade is None or [cascade.findtext(k) for k in ("width", "height")] != [str(FACE)] * 2:
            raise ValueError(f"it is not a cascade for faces of {FACE} pixels")
        if cascade.find("features/_/tilted") is not None:
            raise ValueError("it has tilted features")
        features = [_feature(node) for node in cascade.iterfind("features/_")]
        stages = [_stage(node, features) for node in cascade.iterfind("stages/_")]
    except (OSError, ValueError, IndexError, ET.ParseError) as error:
        raise DataError(f"cascade {path}: {error}") from error
    notice = re.search(r"<!--(.*?)-->", text, re.DOTALL)
    return notice[1] if notice else "", stages


def _feature(node: ET.Element) -> Feature:
    parts = []
    for rectangle in node.iterfind("rects/_"):
        left, top, width, height, weight = _numbers(rectangle)
        parts.append(Part(int(left), int(top), int(width), int(height), weight))
    return tuple(parts)


def _stage(node: ET.Element, features: list[Feature]) -> Stage:
    stumps = []
    for weak in node.iterfind("weakClassifiers/_"):
        nodes, votes = _numbers(weak.find("internalNodes")), _numbers(weak.find("leafValues"))
        if len(nodes) != 4:
            raise ValueError("it has trees instead of stumps")
        stumps.append(Stump(features[int(nodes[2])], nodes[3], votes[0], votes[1]))
    return Stage(tuple(stumps), _numbers(node.find("stageThreshold"))[0])


def _numbers(node: ET.Element | None) -> list[float]:
    return [float(word) for word in ((node.text or "") if node is not None else "").split()]


def cascade_text(notice: str, stages: list[Stage]) -> str:
    """The content of a cascade file."""
    features = list(dict.fromkeys(stump.feature for stage in stages for stump in stage.stumps))
    numbers = {feature: number for number, feature in enumerate(features)}
    most = max(len(stage.stumps) for stage in stages)
    lines = [
        '<?xml version="1.0"?>',
        f"<!--{notice}-->",
        "<opencv_storage>",
        '<cascade type_id="opencv-cascade-classifier">',
        f"<stageType>BOOST</stageType><featureType>HAAR</featureType><height>{FACE}</height>"
        f"<width>{FACE}</width><stageParams><maxWeakCount>{most}</maxWeakCount></stageParams>"
        f"<featureParams><maxCatCount>0</maxCatCount></featureParams>"
        f"<stageNum>{len(stages)}</stageNum>",
        "<stages>",
    ]
    for stage in stages:
        lines.append(
            f"<_><maxWeakCount>{len(stage.stumps)}</maxWeakCount>"
            f"<stageThreshold>{stage.threshold:.9g}</stageThreshold><weakClassifiers>"
        )
        lines += [
            f"<_><internalNodes>0 -1 {numbers[stump.feature]} {stump.threshold:.9g}</internalNodes>"
            f"<leafValues>{stump.below:.9g} {stump.above:.9g}</leafValues></_>"
            for stump in stage.stumps
        ]
        lines.append("</weakClassifiers></_>")
    lines += ["</stages>", "<features>"]
    for feature in features:
        parts = "".join("<_>{} {} {} {} {:g}</_>".format(*part) for part in feature)
        lines.append(f"<_><rects>{parts}</rects></_>")
    return "\n".join([*lines, "</features>", "</cascade>", "</opencv_storage>", ""])
