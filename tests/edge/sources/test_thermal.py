"""The frame rate follows the machine's temperature."""

from edge.sources.thermal import MIN_FPS, READ_EVERY_S, ThermalThrottle


class Board:
    """A machine whose temperature is set by its frame rate, and time."""

    def __init__(self, ambient_c: float, per_frame_c: float) -> None:
        self.ambient, self.per_frame = ambient_c, per_frame_c
        self.degrees, self.bits, self.now = ambient_c, 0, 0.0

    def run(self, throttle: ThermalThrottle, minutes: float) -> float:
        """The highest temperature on the way; a case follows the rate within minutes."""
        highest = self.degrees
        for _ in range(round(60 * minutes / READ_EVERY_S)):
            aim = self.ambient + self.per_frame * throttle()
            self.degrees += 0.15 * (aim - self.degrees)
            self.now += READ_EVERY_S
            highest = max(highest, self.degrees)
        return highest

    def throttle(self, fps: float, limit_c: float | None = 75) -> ThermalThrottle:
        return ThermalThrottle(
            fps,
            limit_c,
            temperature_c=lambda: self.degrees,
            throttled=lambda: self.bits,
            clock=lambda: self.now,
        )


def test_a_cool_machine_takes_every_frame() -> None:
    board = Board(ambient_c=40, per_frame_c=2)
    throttle = board.throttle(10)
    board.run(throttle, 60)
    assert throttle.fps == 10


def test_a_hot_one_settles_below_what_throttles_it() -> None:
    board = Board(ambient_c=50, per_frame_c=4)  # 90 degrees at full rate
    throttle = board.throttle(10)
    board.run(throttle, 20)
    assert board.run(throttle, 120) < 80  # at 80 a Raspberry Pi begins to throttle
    assert 4 < throttle.fps < 8
    board.ambient = 20
    board.run(throttle, 60)
    assert throttle.fps == 10


def test_it_never_stops_counting() -> None:
    board = Board(ambient_c=90, per_frame_c=1)
    throttle = board.throttle(10)
    board.run(throttle, 60)
    assert throttle.fps == MIN_FPS
    slow = board.throttle(1)
    board.run(slow, 60)
    assert slow.fps == 1


def test_what_the_firmware_says_counts_as_heat() -> None:
    board = Board(ambient_c=40, per_frame_c=0)
    throttle = board.throttle(10)
    board.bits = 0x4  # throttled now
    board.run(throttle, 2)
    assert throttle.fps < 10
    board.bits = 0x40000  # it was, since boot
    board.run(throttle, 10)
    assert throttle.fps == 10


def test_too_little_power_is_not_heat() -> None:
    board = Board(ambient_c=40, per_frame_c=0)
    throttle = board.throttle(10)
    board.bits = 0x50005  # the firmware throttles for it too
    board.run(throttle, 10)
    assert throttle.fps == 10
    board.bits = 0x5000D  # too warm besides
    board.run(throttle, 2)
    assert throttle.fps < 10


def test_without_a_limit_or_a_thermometer_nothing_changes() -> None:
    hot = Board(ambient_c=95, per_frame_c=0)
    unlimited = hot.throttle(10, None)
    hot.run(unlimited, 10)
    assert unlimited.fps == 10
    assert ThermalThrottle(10, 75, temperature_c=lambda: None, throttled=lambda: 0xF)() == 10
