"""Parts of recordings: from when to when, and which channel."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

from sklearn_ser._utils import is_missing, is_number

__all__ = ["SEGMENT_FIELDS", "WHOLE", "Segment", "as_segment"]

SEGMENT_FIELDS = ("start", "end", "channel")
# Tables round, so an end may lie this far behind the recording's own.
TOLERANCE = 0.1  # seconds
LONGEST = 1e9  # seconds


class Segment(NamedTuple):
    """A part of a recording.

    Parameters
    ----------
    start : float
        Seconds.
    end : float or None
        Seconds; None is the recording's end.
    channel : int or None
        Counted from 0; None is the mean of all.
    """

    start: float = 0.0
    end: float | None = None
    channel: int | None = None

    def bounds(self, n_samples: int, rate: float) -> tuple[int, int]:
        """Return the first sample of the segment and the one behind its last.

        Raises
        ------
        ValueError
            If the recording is shorter than that.
        """
        seconds = n_samples / rate
        end = seconds if self.end is None else self.end
        if self.start >= seconds or end > seconds + TOLERANCE:
            raise ValueError(f"its segment ({self}) is not inside of its {seconds:.4g} s")
        return round(self.start * rate), min(n_samples, round(end * rate))

    def __reduce__(self) -> str | tuple[type[Segment], tuple[Any, ...]]:
        # A pickle of WHOLE has to come back as WHOLE itself: clips are compared with it by `is`.
        return "WHOLE" if self is WHOLE else (Segment, tuple(self))

    def __str__(self) -> str:
        end = "its end" if self.end is None else f"{self.end:g} s"
        channel = "" if self.channel is None else f", channel {self.channel}"
        return f"{self.start:g} s to {end}{channel}"


WHOLE = Segment()


def as_segment(value: Mapping[str, Any]) -> Segment:
    """Return the segment that a dict asks for, all of the recording where it says nothing.

    Raises
    ------
    ValueError
        If its start, end and channel are no segment.
    """
    start, end, channel = (_given(value.get(field)) for field in SEGMENT_FIELDS)
    for field, number in (("start", start), ("end", end)):
        seconds: Any = number if is_number(number) else -1.0
        if number is not None and not 0 <= seconds < LONGEST:
            raise ValueError(f"its {field} is {number!r}, not seconds from 0 on")
    whole = is_number(channel, Integral) or (isinstance(channel, float) and channel.is_integer())
    if channel is not None and not (whole and channel >= 0):
        raise ValueError(f"its channel is {channel!r}, not a whole number from 0 on")
    start = 0.0 if start is None else float(start)
    if end is not None and end <= start:
        raise ValueError(f"its segment ends at {end:g} s, before it starts at {start:g} s")
    return Segment(
        start, None if end is None else float(end), None if channel is None else int(channel)
    )


def _given(value: Any) -> Any:
    """Return a value, or None where a table has a hole."""
    return None if value is None or is_missing([value])[0] else value
