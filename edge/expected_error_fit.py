"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "1.0.0"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 24, 72, 1473
"""Films of simulated crowds, how often they were counted, and people in all replays together."""
RANGES = {
    "fps": (3.125, 12.50),
    "light": (27.67, 187.6),
    "face_px": (28.03, 73.75),
    "crowding": (1.169, 7.722),
}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {"fps": 6.250, "light": 90.94, "face_px": 45.89, "crowding": 3.168}
"""Their geometric means."""
MISSED = {"fps": -0.3845, "light": -0.6742, "face_px": -1.431, "crowding": 0.000}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.650, 0.01395
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": -0.1652, "light": 0.1832, "face_px": 0.6884, "crowding": 0.8113}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.369, 0.01901
