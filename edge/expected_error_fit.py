"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "1.0.0"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 18, 54, 1119
"""Films of made crowds, how often they were counted, and the people in all replays together."""
RANGES = {
    "fps": (3.125, 12.50),
    "light": (27.67, 187.9),
    "face_px": (28.53, 58.76),
    "crowding": (1.000, 7.722),
}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {"fps": 6.250, "light": 87.05, "face_px": 44.76, "crowding": 3.104}
"""Their geometric means."""
MISSED = {"fps": -0.8037, "light": -0.3572, "face_px": -1.025, "crowding": 0.000}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.092, 0.01633
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": -0.6856, "light": 0.4294, "face_px": 0.7897, "crowding": 0.4205}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.303, 0.06292
