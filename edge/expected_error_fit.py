"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "1.0.0"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = 24, 72, 1473
"""Films of simulated crowds, how often they were counted, and people in all replays together."""
RANGES = {
    "fps": (3.125, 12.50),
    "light": (27.67, 188.4),
    "face_px": (26.86, 73.00),
    "crowding": (1.120, 7.694),
}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {"fps": 6.250, "light": 90.96, "face_px": 45.77, "crowding": 3.158}
"""Their geometric means."""
MISSED = {"fps": -0.2932, "light": -0.4402, "face_px": -0.6064, "crowding": 0.000}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = -2.562, 0.002023
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {"fps": -0.3145, "light": 0.2239, "face_px": 1.284, "crowding": 1.188}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = -3.462, 0.01348
