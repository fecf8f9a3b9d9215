"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "1.0.0"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 24, 72, 1473
"""Films of made crowds, how often they were counted, and the people in all replays together."""
RANGES = {
    "fps": (3.125, 12.50),
    "light": (27.67, 187.9),
    "face_px": (28.53, 75.37),
    "crowding": (1.000, 7.722),
}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {"fps": 6.250, "light": 90.97, "face_px": 46.86, "crowding": 3.203}
"""Their geometric means."""
MISSED = {"fps": -0.7499, "light": -0.3469, "face_px": -1.412, "crowding": 0.000}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.201, 0.009929
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": -0.5588, "light": 0.2824, "face_px": 1.385, "crowding": 0.3619}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.227, 0.05270
