"""What is made once in a process, for models, which take seconds to load and gigabytes to keep."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["once"]

T = TypeVar("T")


def once(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator like :func:`functools.lru_cache`, but for threads that ask at once.

    They wait for the first of them, and get what it gets, where each would make its own.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        kept, making = functools.lru_cache(maxsize)(function), threading.Lock()

        @functools.wraps(function)
        def shared(*arguments: Any) -> T:
            with making:
                return kept(*arguments)

        shared.cache_clear = kept.cache_clear  # type: ignore[attr-defined]
        return shared

    return decorate
