"""The simulator's clock: real time plus what was advanced, so that 40 minutes or 30
days pass in no time.
"""

from datetime import UTC, datetime, timedelta


class Clock:
    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s

    def now(self) -> datetime:
        """Return the virtual time, aware, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_s)

    def advance(self, seconds: float) -> None:
        """Move forward; a negative step raises ValueError: tokens and feeds only know
        the future.
        """
        if seconds < 0:
            raise ValueError(f"the clock cannot go back ({seconds} s); give a positive number of seconds")
        self.offset_s += seconds


def graph_time(moment: datetime) -> str:
    """Write a moment as Graph does: whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
