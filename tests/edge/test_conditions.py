"""Conditions are those while somebody is in view, of the people who were counted."""

from dataclasses import astuple

import numpy as np
import pytest

from edge import conditions
from edge.conditions import ConditionMeter
from edge.types import Box, Frame, Image, Track, Visit


def picture(tone: int) -> Image:
    return np.full((60, 160), tone, np.uint8)


def frame(mono: float, tone: int = 80) -> Frame:
    image = np.zeros((120, 320, 3), np.uint8)
    return Frame(0, mono, mono, image, picture(tone))


def track(number: int, width: float, *, confirmed: bool = True) -> Track:
    return Track(number, Box(10, 10, width, width), 0.0, 0.0, confirmed=confirmed)


def visit(number: int) -> Visit:
    return Visit(0.0, 1.0, "female", 0.9, number)


def values(meter: ConditionMeter) -> tuple[float, ...]:
    """People, frames per second, light, width of faces and crowding."""
    measured = meter.read()
    assert measured is not None
    return astuple(measured)


def test_conditions_while_somebody_is_in_view() -> None:
    meter = ConditionMeter()
    meter.update(frame(0.0, tone=255), [], 0)
    meter.update(frame(0.1, tone=255), [], 0)  # an empty view is none of them
    meter.update(frame(0.35, tone=60), [track(1, 100)], 1)
    meter.update(frame(0.60, tone=100), [track(1, 140), track(2, 60)], 2)
    meter.update(frame(99.0, tone=200), [track(3, 40), track(4, 500, confirmed=False)], 3)
    for number in (1, 2, 3):
        meter.add(visit(number))
    # as wide in the picture that is searched, which is half as large
    assert values(meter) == pytest.approx((3, 4, 80, 30, 1.5))


def test_nobody_has_no_conditions() -> None:
    meter = ConditionMeter()
    assert meter.read() is None
    meter.update(frame(0.0), [track(1, 50)], 1)
    meter.add(visit(1))
    assert meter.read() is None  # a single frame has no rate
    meter.update(frame(0.1), [], 1)
    assert meter.read() is not None


def test_faces_that_are_never_counted_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Posters, for months: the newest face is still known."""
    monkeypatch.setattr(conditions, "MAX_FOLLOWED", 20)
    meter = ConditionMeter()
    for number in range(500):
        meter.update(frame(number / 10), [track(number, 100 + number)], 1)
    meter.add(visit(0))
    meter.add(visit(499))
    assert values(meter)[3] == pytest.approx((100 + 499) / 2)
    assert len(meter._widths) < 20


def test_conditions_begin_again() -> None:
    meter = ConditionMeter()
    for number in range(3):
        meter.update(frame(number / 10), [track(1, 100)], 1)
    meter.add(visit(1))
    meter.clear()
    assert meter.read() is None
    for number in range(3, 6):
        meter.update(frame(number / 10, tone=20), [track(2, 60)], 2)
    meter.add(visit(2))
    assert values(meter) == pytest.approx((1, 10, 20, 30, 2))
