"""The model card: figures that a reader can check."""

import pytest

from edge.audit.report import Share
from tools.conversion.markdown_card import difference_interval


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [  # R. G. Newcombe 1998, table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_of_a_difference(
    a: tuple[int, int], b: tuple[int, int], low: float, high: float
) -> None:
    figures = [
        {"accuracy": right / number, "interval": Share(right, number).interval}
        for right, number in (a, b)
    ]
    assert difference_interval(*figures) == pytest.approx((low, high), abs=1e-4)
