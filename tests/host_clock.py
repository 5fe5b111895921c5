"""How far this computer's wall clock is moved: simulated clocks run on RAW, and do not follow it."""

from runtime.clock import SystemClock, read


class HostClock:
    """Made before the clocks that a test compares with the wall clock."""

    def __init__(self):
        self._clock = SystemClock()
        self._before_ns = self._clock_difference_ns()

    def moved_ns(self):
        """By slews and steps since, in either direction."""
        return abs(self._clock_difference_ns() - self._before_ns)

    def _clock_difference_ns(self):
        return read(self._clock).realtime_minus_raw_ns
