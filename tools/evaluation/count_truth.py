"""What is known about the people in a clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edge.errors import ConfigError
from edge.sources.recordings import natural
from edge.types import LABELS, UNKNOWN, People

FILES = ("clips.yaml", "truth.yaml")
"""Files with the truth about all clips of a folder."""
VIDEOS = frozenset(
    (".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm")
)
"""Lower-case suffixes of clips whose truth may lie beside them; any other needs an entry."""
FORMAT = (
    "must hold whole numbers of female, male and perhaps unsure people, and perhaps visits: for "
    "each its gender, first_s, a later last_s, and perhaps attention_s, face_px and path"
)


@dataclass(frozen=True, slots=True)
class Truth:
    """The people who are in a clip."""

    people: People
    visits: tuple[dict[str, Any], ...] = ()
    """`gender`, `first_s`, `last_s` and perhaps `attention_s`, `face_px` and `path` of each visit;
    empty if not known. A path is a list of seconds, x and y of the middle of the face and side of
    its box."""

    @property
    def has_paths(self) -> bool:
        """Whether it is known at each moment where everybody's face is."""
        return all("path" in visit for visit in self.visits)

    @property
    def has_attention(self) -> bool:
        """Whether it is known for how long everybody's face is turned to the camera."""
        return all("attention_s" in visit for visit in self.visits)


def read_truth(path: Path, clip: str) -> Truth:
    """The truth about one clip: from its own YAML file, or from a folder's `FILES`.

    Raises ConfigError if it is missing or invalid.
    """
    if path.is_dir():
        path = _file_in(path, clip)
    content = _load(path)
    if isinstance(content, dict) and Path(clip).name in content:
        content = content[Path(clip).name]
    if not isinstance(content, dict) or not {"female", "male"} & set(content):
        raise ConfigError(f"truth {path}: says nothing about {Path(clip).name}")
    try:
        people = People(*(_number(content.get(key, 0)) for key in (*LABELS, "unsure")))
        visits = tuple(content.get("visits", ()))
        for visit in visits:
            _check(visit)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"truth {path}: {FORMAT}") from error
    return Truth(people, visits)


def clips_in(folder: Path) -> list[Path]:
    """The clips of a folder that have a truth, in natural order.

    Raises ConfigError if there are none, or one with a truth is missing.
    """
    try:
        names = {file.name for file in folder.iterdir() if file.is_file()}
    except OSError as error:
        raise ConfigError(f"clips {folder}: cannot be read ({error.strerror})") from error
    clips = {
        name
        for name in names
        if Path(name).suffix.lower() in VIDEOS and f"{Path(name).stem}.yaml" in names
    }
    for file in names.intersection(FILES):
        content = _load(folder / file)
        listed = {str(name) for name in content} if isinstance(content, dict) else set()
        if missing := sorted(listed - names):
            raise ConfigError(f"clips {folder}: {missing[0]}, named in {file}, is not there")
        clips |= listed
    if not clips:
        raise ConfigError(
            f"clips {folder}: holds no clip with a truth: NAME.mp4 needs NAME.yaml, or an entry in "
            f"{' or '.join(FILES)}"
        )
    return [folder / name for name in sorted(clips, key=natural)]


def _file_in(folder: Path, clip: str) -> Path:
    """The file in a folder that should have the truth about a clip."""
    candidates = [folder / f"{Path(clip).stem}.yaml", *(folder / name for name in FILES)]
    return next((file for file in candidates if file.exists()), candidates[1])


def _load(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ConfigError(f"truth {path}: cannot be read ({error})") from error


def _number(value: object) -> int:
    """A number of people. Raises ValueError."""
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value


def _check(visit: Mapping[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError for a visit that cannot be compared."""
    known = visit["gender"] in (*LABELS, UNKNOWN)
    if not known or min(visit["last_s"] - visit["first_s"], visit.get("face_px", 1)) <= 0:
        raise ValueError(visit)
    if not visit.get("attention_s", 0) >= 0:
        raise ValueError(visit)
    path = visit.get("path", [[0, 0, 0, 1]])
    rising = [moment for moment, _, _, _ in path]
    if not rising or rising != sorted(rising) or min(side for *_, side in path) <= 0:
        raise ValueError(visit)
