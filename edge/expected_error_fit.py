"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "1.0.0"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 24, 72, 1473
"""Films of made crowds, how often they were counted, and the people in all replays together."""
RANGES = {
    "fps": (3.125, 12.50),
    "light": (27.67, 187.9),
    "face_px": (28.53, 74.85),
    "crowding": (1.000, 7.922),
}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {"fps": 6.250, "light": 90.97, "face_px": 46.88, "crowding": 3.209}
"""Their geometric means."""
MISSED = {"fps": -0.6844, "light": -0.3051, "face_px": -1.607, "crowding": 0.000}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.390, 0.01077
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": -0.6147, "light": 0.4524, "face_px": 0.9073, "crowding": 0.2365}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.163, 0.04470
