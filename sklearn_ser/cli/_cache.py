"""``sklearn-ser cache``."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_cache"]


def add_cache(commands: Any) -> None:
    command = commands.add_parser("cache", help="show or clear the store of clip records")
    command.add_argument(
        "--cache", metavar="DIR", help="default: SKLEARN_SER_CACHE, or the platform's cache folder"
    )
    command.add_argument(
        "--clear", action="store_true", help="delete every record and every augmented copy"
    )
    command.set_defaults(run=_cache)


def _cache(options: argparse.Namespace) -> int:
    from sklearn_ser._store import Store
    from sklearn_ser.cli._tables import print_store

    store = Store(options.cache or "auto")
    if options.cache not in (None, "auto") and not store.folder.is_dir():
        raise FileNotFoundError(f"no such folder: {store.folder}")
    print_store(store)
    if options.clear:
        from sklearn_ser.preprocessing import AudioAugmenter

        store.clear()
        AudioAugmenter(cache=store.folder).clear_cache()
        print("Cleared.")
    return 0
