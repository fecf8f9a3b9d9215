"""The dashboard's colors can be told apart, as WCAG 2.2 asks for (1.4.3 and 1.4.11)."""

import re

import pytest

from tools.webpage.app import FILES

TEXT = ("ink", "soft", "faint", "accent", "good", "bad")
"""Written on cards."""
SHAPES = ("women", "men", "untold", "good", "warn", "bad", "calm", "accent")
"""Bars, and lights of devices."""
THEMES = [
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root[^{]*\{([^}]*--ground[^}]*)\}", (FILES / "page.css").read_text())
    if "--card: #" in block
]


def luminance(color: str) -> float:
    """As WCAG defines it, 0 to 1."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Between two colors, 1 to 21."""
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert len(THEMES) == 3, "light, dark by the reader's system, dark by the address"
    assert THEMES[1] == THEMES[2]


@pytest.mark.parametrize("theme", THEMES[:2], ids=["light", "dark"])
def test_text_is_read_and_shapes_are_seen(theme: dict[str, str]) -> None:
    for name in TEXT:
        assert contrast(theme[name], theme["card"]) >= 4.5, name
    for name in ("ink", "soft", "faint"):
        assert contrast(theme[name], theme["ground"]) >= 4.5, name
    for name in SHAPES:
        assert contrast(theme[name], theme["card"]) >= 3, name
