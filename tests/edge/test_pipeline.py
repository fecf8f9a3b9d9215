"""The loop with its real tracker and counter, and a camera that dies under it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from edge.counting import Counter
from edge.errors import SourceError
from edge.health import Health
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import AGE_GROUPS, AGES, Box, Face, Frame, Image, NoFrame, People, Visit, Window
from edge.vision.classifier import Predictions

UTC = 1_700_000_000.0
PICTURE = np.zeros((90, 160, 3), np.uint8)


class Cutter:
    def __init__(self) -> None:
        self.rolls: list[float] = []

    def crop(self, image: Image, box: Box, roll: float) -> Image:
        self.rolls.append(roll)
        return image


class Guess:
    """A classifier that says the same of every face."""

    def __init__(self, male: float | None, group: str | None, face: float | None = None) -> None:
        self.preprocessing = Cutter()
        self._male, self._group, self._face = male, group, face

    def __call__(self, crops: Sequence[Image]) -> Predictions:
        gender = None if self._male is None else np.array([(1 - self._male, self._male)])
        ages = [float(group == self._group) for group in AGE_GROUPS]
        return Predictions(
            gender,
            None if self._group is None else np.array([ages]),
            None if self._face is None else np.array([self._face], np.float32),
        )


@pytest.mark.parametrize(
    ("classify", "classify_age", "expected"),
    [
        (Guess(0.1, None), None, ("female", "unknown")),
        (Guess(0.9, "8-13"), None, ("male", "8-13")),
        (Guess(None, "8-13"), None, ("unknown", "8-13")),
        (Guess(0.1, None), Guess(None, "57+"), ("female", "57+")),
        (None, Guess(None, "57+"), ("unknown", "57+")),
        (None, None, ("unknown", "unknown")),
    ],
)
def test_one_model_or_two_say_gender_and_age(
    classify: Guess | None, classify_age: Guess | None, expected: tuple[str, str]
) -> None:
    visits: list[Visit] = []
    windows: list[Window] = []
    Pipeline(
        detect=lambda frame, expected: [Face(Box(60, 30, 30, 30), 1.0)],
        tracker=Tracker(ages=True),
        classify=classify,
        classify_age=classify_age,
        counter=Counter(min_people=1, ages=True),
        health=Health(),
        on_window=windows.append,
        on_visit=visits.append,
    ).run(Frame(n, n / 10, UTC + n / 10, PICTURE, PICTURE[:, :, 0]) for n in range(31))
    assert [(visit.label, visit.age) for visit in visits] == [expected]
    (window,) = windows
    assert window.people == People(**{expected[0]: 1})
    assert window.ages == tuple(int(age == expected[1]) for age in AGES)


@pytest.mark.parametrize(
    ("first", "second", "people"),
    [(None, None, 0), (0.9, None, 1), (None, 0.9, 1), (0.1, 0.9, 0)],
)
def test_the_first_model_that_knows_says_whether_it_is_a_face(
    first: float | None, second: float | None, people: int
) -> None:
    """Of what the verifier is not sure about."""
    visits: list[Visit] = []
    Pipeline(
        detect=lambda frame, expected: [Face(Box(60, 30, 30, 30), 1.0)],
        face_evidence=lambda frame, box, hits, view: 0.2,
        tracker=Tracker(ages=True),
        classify=Guess(0.1, None, first),
        classify_age=Guess(None, "57+", second),
        counter=Counter(min_people=1, ages=True),
        health=Health(),
        on_window=lambda window: None,
        on_visit=visits.append,
    ).run(Frame(n, n / 10, UTC + n / 10, PICTURE, PICTURE[:, :, 0]) for n in range(31))
    assert len(visits) == people


def test_what_the_verifier_does_not_see_again_is_not_counted() -> None:
    """A shelf that it took for a face once, beside a person."""
    person, shelf = Box(60, 30, 30, 30), Box(10, 30, 30, 30)
    visits: list[Visit] = []
    asked: list[tuple[Box, float, int]] = []

    def face_evidence(_frame: Frame, box: Box, hits: float, view: int) -> float:
        asked.append((box, hits, view))
        return 1.0 if box == person else -1.0

    Pipeline(
        detect=lambda frame, expected: [Face(shelf, 1.0), Face(person, 7.0)],
        face_evidence=face_evidence,
        tracker=Tracker(),
        classify=Guess(0.1, None),
        counter=Counter(min_people=1),
        health=Health(),
        on_window=lambda window: None,
        on_visit=visits.append,
    ).run(Frame(n, n / 10, UTC + n / 10, PICTURE, PICTURE[:, :, 0]) for n in range(31))
    assert [visit.label for visit in visits] == ["female"]
    assert {hits for box, hits, _ in asked if box == person} == {7.0}
    views = [view for box, _, view in asked if box == person]
    assert views == list(range(len(views)))
    assert len(views) > 10


def test_people_in_view_when_the_camera_dies_are_counted_and_windows_go_on() -> None:
    windows: list[Window] = []
    visits: list[tuple[Visit, float]] = []
    moments: list[NoFrame] = []
    health = Health()
    pipeline = Pipeline(
        detect=lambda frame, expected: [Face(Box(60, 30, 30, 30), 1.0)],
        tracker=Tracker(patience=2),
        classify=Guess(0.0, None),
        counter=Counter(seconds=10, min_people=1),
        health=health,
        on_window=windows.append,
        on_visit=lambda visit: visits.append((visit, moments[-1].mono)),
        on_no_frame=moments.append,
    )
    frames: list[Frame | NoFrame] = [
        Frame(n, n / 10, UTC + n / 10, PICTURE, PICTURE[:, :, 0]) for n in range(31)
    ]
    frames += [NoFrame(3 + n, UTC + 3 + n, 1.0, "lost") for n in range(1, 28)]
    pipeline.run(frames)
    # waited for as long as if the person had left, and stayed until last seen
    ((visit, reported_s),) = visits
    assert (visit.start, visit.end, visit.label, reported_s) == (0, 3, "female", 5)
    assert [window.people.total for window in windows] == [1, 0, 0]
    assert [round(window.coverage, 2) for window in windows] == [0.45, 0, 0]
    assert (health.frames_total, health.camera) == (31, "lost")


def test_what_was_counted_before_the_camera_failed_is_given_out() -> None:
    windows: list[Window] = []
    classify = Guess(0.9, None)
    health = Health()

    def frames() -> Iterator[Frame]:
        for n in range(200):
            yield Frame(n, n / 10, UTC + n / 10, PICTURE, PICTURE[:, :, 0])
        raise SourceError("cut")

    def detect(frame: Frame, _expected: Sequence[Box]) -> list[Face]:
        poster = Face(Box(10, 30, 30, 30), 1.0)
        return [poster, Face(Box(90, 30, 30, 30), 1.0, roll=25.0)] if frame.mono > 17 else [poster]

    pipeline = Pipeline(
        detect=detect,
        tracker=Tracker(static_after=10),
        classify=classify,
        counter=Counter(min_people=1),
        health=health,
        on_window=windows.append,
    )
    with pytest.raises(SourceError, match="cut"):
        pipeline.run(frames())
    assert [window.people for window in windows] == [People(male=1)]
    assert classify.preprocessing.rolls[-1] == 25.0
    assert health.report()["static_faces"] == 1


def test_a_face_is_classified_once_a_frame_even_if_it_is_asked_whose_it_is() -> None:
    """A woman and a man come so near that only their genders tell them apart, and vote there."""
    middles = [125 + 30 * step for step in (*range(6), *reversed(range(5)))]
    picture = np.zeros((360, 640, 3), np.uint8)
    classified: dict[int, list[Box]] = {}
    frames = [Frame(n, n / 4, UTC + n / 4, picture, picture[:, :, 0]) for n in range(len(middles))]
    showing: list[Frame] = []

    class Marker:
        def crop(self, image: Image, box: Box, roll: float) -> Image:
            classified.setdefault(showing[-1].seq, []).append(box)
            return np.full_like(image, 1 if box.cx < 300 else 255)

    class Reader:
        preprocessing = Marker()

        def __call__(self, crops: Sequence[Image]) -> Predictions:
            male = float(crops[0].max() > 1)
            return Predictions(np.array([(1 - male, male)], np.float32), None)

    def detect(frame: Frame, _predicted: Sequence[Box]) -> list[Face]:
        showing.append(frame)
        x = middles[frame.seq]
        return [Face(Box(cx - 25, 125, 50, 50), 5.0) for cx in (x, 600 - x)]

    visits: list[Visit] = []
    Pipeline(
        detect=detect,
        tracker=Tracker(votes=99, ages=True),
        classify=Reader(),
        counter=Counter(),
        health=Health(),
        on_window=lambda window: None,
        on_visit=visits.append,
    ).run(frames)
    assert sorted(visit.label for visit in visits) == ["female", "male"]
    assert classified[6]  # asked, right after they met
    assert all(len(set(boxes)) == len(boxes) for boxes in classified.values())
