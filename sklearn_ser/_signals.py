"""Signals that ask to stop, Ctrl-C and SIGTERM: handled, or held back where they would be lost.

No other room is imported, as the command line handles signals before it imports any.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["handled_signals", "uninterrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def handled_signals(handler: Any) -> Iterator[None]:
    """Let a function handle the signals; only the main thread receives any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # One that was set outside of Python, which is None here, could not be put back.
    ours = [number for number in SIGNALS if signal.getsignal(number) is not None]
    previous = {number: signal.signal(number, handler) for number in ours}
    try:
        yield
    finally:
        for number, its in previous.items():
            signal.signal(number, its)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back a signal that comes meanwhile, and handle it at the end.

    For files that are written whole, and for calls of libraries in C that call Python back: what a
    callback raises is lost there, so that Ctrl-C would not stop anything, and what it was asked
    for, such as the bytes of a file, would be missing.
    """
    received: list[int] = []
    try:
        with handled_signals(lambda number, frame: received.append(number)):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])
