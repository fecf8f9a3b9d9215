"""The values that flow from frame to window, each made by one module and read by the next."""

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""uint8 picture: H x W x 3 in OpenCV's order (B, G, R), or H x W in gray."""

LABELS = ("female", "male")
"""The two classes, in the order of every probability vector."""

AGE_GROUPS = ("0-3", "4-7", "8-13", "14-20", "21-35", "36-45", "46-56", "57+")
"""Years of age, in the order of every vector of age probabilities.

The groups of E. Eidinger, R. Enbar, T. Hassner: Age and Gender Estimation of Unfiltered Faces,
IEEE TIFS 2014 (0-2, 4-6, 8-12, 15-20, 25-32, 38-43, 48-53, 60 and over), with 21-32 for 25-32 as
is usual in training, and each gap between two groups halved.
"""

UNKNOWN = "unknown"
"""The label of a visit whose evidence stayed too weak."""

AGES = (*AGE_GROUPS, UNKNOWN)
"""All ages of a visit, in the order in which a window counts them."""


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """How a source is to capture pictures."""

    width: int = 640
    height: int = 480
    """Size requested from a camera, pixels, before rotation; files keep their own."""
    fps: float = 10.0
    """Most frames per second from a camera; the frame rate of a folder of pictures."""
    gray_width: int = 640
    """Largest width of `Frame.gray`, pixels."""
    flip_horizontal: bool = False
    flip_vertical: bool = False
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise by which the picture is turned, after flipping."""
    exposure_ms: float | None = None
    """Exposure of a Raspberry Pi camera, milliseconds; None lets the camera choose."""
    gain: float | None = None
    """Analog gain of its sensor; None lets the camera choose."""
    timeout: float = 10.0
    """Seconds without a picture after which a camera is opened again."""
    give_up: float = 0.0
    """Seconds for which a lost camera is retried; 0 ends with its first failure."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in image pixels: left, top, width, height."""

    x: float
    y: float
    w: float
    h: float

    @property
    def cx(self) -> float:
        return self.x + self.w / 2

    @property
    def cy(self) -> float:
        return self.y + self.h / 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and when it was taken."""

    seq: int
    mono: float
    """Seconds on the monotonic clock; durations come from it."""
    utc: float
    """Seconds since 1970; used only to stamp windows."""
    image: Image
    """H x W x 3, B G R."""
    gray: Image
    """h x w, the same view as `image`, at most as large; the detector searches it."""


@dataclass(frozen=True, slots=True)
class NoFrame:
    """A moment at which a live source has no frame, so that time passes all the same."""

    mono: float
    """Seconds, as `Frame.mono`."""
    utc: float
    seconds: float
    """Seconds since the frame or the `NoFrame` before this one."""
    camera: Literal["ok", "lost", "resting"]
    """`ok`: a frame is only late; `lost`: the camera has failed or is silent for too long;
    `resting`: it is closed on purpose."""


Frames = Generator[Frame | NoFrame, None, None]
"""Frames as they come; closing the generator releases the camera."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face that the detector found in one frame."""

    box: Box
    score: float
    """Haar's overlapping hits; of a face that was only verified or recovered, the verifier's
    probability, 0 to 1."""
    roll: float = 0.0
    """Tilt of the head, degrees clockwise; 0 if unknown."""
    recovered: bool = False
    """Found only because a track predicted it there: it continues a track but begins none."""


MIN_EVIDENCE_FOLLOWED = -math.log(2)
"""Least mean evidence of a face at which something is followed: odds of 1 to 2."""
MIN_EVIDENCE_COUNTED = math.log(2)
"""Least mean evidence at which it is counted: odds of 2 to 1."""


@dataclass(slots=True)
class Track:
    """One person followed over frames."""

    id: int
    box: Box
    first: float
    """`Frame.mono` of the first sighting, seconds."""
    last: float
    """`Frame.mono` of the latest sighting, seconds."""
    last_look: float = -math.inf
    """`Frame.mono` when it was last looked for where it should be, seconds."""
    facing: float = 0.0
    """`Frame.mono` of the latest sighting that was not only recovered, seconds."""
    attention_s: float = 0.0
    """How long the face was towards the camera so far, seconds."""
    roll: float = 0.0
    """Tilt of the head at the latest sighting, degrees clockwise."""
    hidden: bool = False
    """Whether another face was so near then that it may hide a part of this one."""
    haar_hits: float = 0.0
    """`Face.score` at the latest sighting; 0 if it was only recovered."""
    hits: int = 1
    """Frames in which the face was seen."""
    confirmed: bool = False
    """Whether it was seen often enough to be a person rather than a false alarm."""
    settled: bool = False
    """Whether it is known by now that it continues no track that was lost."""
    doubtful: bool = False
    """Whether somebody was out of sight when it began in the middle of the view."""
    counted: bool = False
    """Whether it is of a person whose visit has ended already."""
    votes: int = 0
    last_vote: float = 0.0
    """`Frame.mono` of the latest vote, seconds."""
    weight: float = 0.0
    """Sum of the votes' weights, each at most 1."""
    log_odds: float = 0.0
    """Weighted sum over votes of ln(p(male) / p(female))."""
    log_ages: tuple[float, ...] = (0.0,) * len(AGE_GROUPS)
    """Weighted sums over votes of ln(p), one per group of `AGE_GROUPS`."""
    stationary: bool = False
    """Whether it has kept still for so long that it is a picture of a face."""
    checks: int = 0
    """How often the verifier looked again at what is followed."""
    evidence: float = 0.0
    """Weighted sum of its evidence of a face, each the natural logarithm of the odds."""
    evidence_weight: float = 0.0
    """Sum of the weights of these looks, each at most 1."""
    face_log_odds: float = 0.0
    """Weighted sum over votes of the classifier's evidence of a face; 0 if it gives none."""
    last_check: float = 0.0
    """`Frame.mono` of the latest check, seconds."""
    failed: int = 0
    """Checks without a face since the latest with one."""
    failed_since: float = 0.0
    """`Frame.mono` of the first of them, seconds."""
    failed_attention_s: float = 0.0
    """`attention_s` at that moment."""

    def extend(self, later: "Track") -> None:
        """Go on as `later`, which follows the same person."""
        self.box, self.roll, self.hidden = later.box, later.roll, later.hidden
        self.haar_hits = later.haar_hits
        self.last, self.last_vote, self.last_check = later.last, later.last_vote, later.last_check
        self.hits += later.hits
        self.votes += later.votes
        self.weight += later.weight
        self.log_odds += later.log_odds
        self.log_ages = tuple(a + b for a, b in zip(self.log_ages, later.log_ages, strict=True))
        self.checks += later.checks
        self.evidence += later.evidence
        self.evidence_weight += later.evidence_weight
        self.face_log_odds += later.face_log_odds
        self.failed, self.failed_since = later.failed, later.failed_since
        self.failed_attention_s = self.attention_s + later.failed_attention_s
        self.facing, self.attention_s = later.facing, self.attention_s + later.attention_s

    @property
    def may_be_face(self) -> bool:
        """Whether the evidence suffices to go on; true until the verifier was asked."""
        return self._has_evidence(MIN_EVIDENCE_FOLLOWED)

    @property
    def is_face(self) -> bool:
        """Whether the evidence suffices to count it."""
        return self._has_evidence(MIN_EVIDENCE_COUNTED)

    @property
    def is_visitor(self) -> bool:
        """Whether it counts as a person, from what is known so far."""
        return self.confirmed and self.is_face and not self.stationary

    def _has_evidence(self, least: float) -> bool:
        """Whether the means of the verifier's looks and of the votes together reach `least`."""
        voted = self.face_log_odds / self.weight if self.weight else 0.0
        return self.evidence >= (least - voted) * self.evidence_weight

    @property
    def age(self) -> str:
        """The likeliest of `AGE_GROUPS`; `unknown` without a vote."""
        if not any(self.log_ages):  # each log-probability is below 0
            return UNKNOWN
        return AGE_GROUPS[self.log_ages.index(max(self.log_ages))]


@dataclass(frozen=True, slots=True)
class Visit:
    """One person's time in view of the camera."""

    start: float
    """`Frame.mono` of the first sighting, seconds."""
    end: float
    """`Frame.mono` of the last sighting, seconds."""
    label: str
    """`female`, `male` or `unknown`."""
    confidence: float
    """Probability of the likelier class, 0.5 to 1."""
    track: int = 0
    """Id of its track within this run; it never leaves the process."""
    age: str | None = None
    """One of `AGE_GROUPS`, or `unknown`; None if ages are not counted."""
    attention_s: float = 0.0
    """How long the face was towards the camera, seconds; at most from `start` to `end`."""


@dataclass(frozen=True, slots=True)
class People:
    """A number of people by label."""

    female: int = 0
    male: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        return self.female + self.male + self.unknown

    def __add__(self, other: "People") -> "People":
        return People(
            self.female + other.female, self.male + other.male, self.unknown + other.unknown
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """Everybody counted so far, including this window's people."""

    ever: People
    """Since the outbox was created."""
    day: str
    """The day that the window belongs to, in the device's time zone: 2026-11-21."""
    today: People
    """On that day."""
    ages: tuple[int, ...] | None = None
    """Per group of `AGES`, since ages were first counted; None if they are not."""


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted in one stretch of time, fit to be published."""

    start: float
    """Seconds since 1970."""
    end: float
    seconds: float
    """Length on the monotonic clock."""
    people: People
    broken_down: bool
    """False if the people are too few to be broken down: only their total is published."""
    dwell_mean: float | None
    """Mean time in view, seconds; None if nobody was counted or `broken_down` is false."""
    dwell_bins: tuple[int, ...]
    """People per bin of `counting.DWELL_EDGES`; all zero if `broken_down` is false."""
    presence_peak: int
    presence_mean: float
    coverage: float
    """Fraction of the window's time that was really analyzed, 0 to 1."""
    ages: tuple[int, ...] | None = None
    """People per group of `AGES`; None if ages are not counted or `broken_down` is false."""
    attention_mean: float | None = None
    """Mean time with the face towards the camera, seconds; None if `dwell_mean` is."""
    attention_bins: tuple[int, ...] = (0, 0, 0, 0, 0)
    """As `dwell_bins`, by that time."""


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message."""

    topic: str
    payload: str
    qos: int = 0
    retain: bool = False
    key: int | None = field(default=None, compare=False)
    """The outbox row to delete once the broker has acknowledged it; None for other messages."""


@dataclass(frozen=True, slots=True)
class AckResult:
    """Keys of messages whose fate is known by now."""

    delivered: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    """Refused, or lost with the connection: yet to be delivered."""
