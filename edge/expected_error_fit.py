"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "1.0.0"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 20, 60, 1191
"""Films of made crowds, how often they were counted, and the people in all replays together."""
RANGES = {
    "fps": (3.125, 12.50),
    "light": (27.67, 187.9),
    "face_px": (28.53, 75.37),
    "crowding": (1.000, 7.722),
}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {"fps": 6.250, "light": 88.02, "face_px": 46.96, "crowding": 3.136}
"""Their geometric means."""
MISSED = {"fps": -0.8060, "light": -0.3543, "face_px": -1.540, "crowding": 0.000}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.180, 0.01465
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": -0.5991, "light": 0.4887, "face_px": 1.113, "crowding": 0.2891}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.200, 0.05471
