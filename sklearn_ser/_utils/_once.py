"""What is made once in a process, for models, which take seconds to load and gigabytes to keep."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["once"]

T = TypeVar("T")


def once(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that keeps a function's latest results, and makes each only once.

    Unlike :func:`functools.lru_cache` alone, by which threads that ask at the same time all make
    it: here they wait for the first one.

    Parameters
    ----------
    maxsize : int
        Number of results that are kept.
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
