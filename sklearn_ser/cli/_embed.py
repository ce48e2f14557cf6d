"""``sklearn-ser embed``, and ``sklearn-ser cache`` for the store that it fills."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import IO, Any

from sklearn_ser.cli._options import (
    add_backend,
    add_embedding,
    audio_files,
    check_out,
    embedding_parameters,
    on_backend,
)
from sklearn_ser.cli._process import uninterrupted

__all__ = ["add_cache", "add_embed"]


def add_embed(commands: Any) -> None:
    command = commands.add_parser("embed", help="write a matrix of features for a list of clips")
    command.add_argument("clips", nargs="+", metavar="CLIP", help="audio files, or folders of them")
    command.add_argument(
        "--features",
        required=True,
        metavar="NAME",
        help='one feature set, named as for compare; "+" joins several: "egemaps+nano"',
    )
    add_embedding(command, layer="middle")
    add_backend(command)
    command.add_argument(
        "--out", required=True, metavar="FILE", help="ends in .parquet, .csv or .npz"
    )
    command.set_defaults(run=_embed)


def _embed(options: argparse.Namespace) -> int:
    needs = "pyarrow:'sklearn-ser[parquet]'" if options.out.endswith(".parquet") else None
    out = check_out(options.out, ".parquet", ".csv", ".npz", needs=needs)

    from sklearn_ser._utils import printable, replacing
    from sklearn_ser.evaluation import as_embedders, embed_rows

    ((name, embedder),) = as_embedders(
        [options.features],
        defaults={"verbose": not options.quiet},
        needed=["get_feature_names_out"],
        **({} if options.jobs is None else {"n_jobs": options.jobs}),
        **embedding_parameters(options),
    ).items()
    clips = [path for clip in options.clips for path in audio_files(Path(clip))]
    with on_backend(options):
        matrix = embed_rows(name, embedder, clips, len(clips))
    names = embedder.get_feature_names_out()
    clips = [printable(clip) for clip in clips]
    with uninterrupted():
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary, open(temporary, "wb") as file:
            _write(file, out.suffix, matrix, clips, names)
        options.results = f"results are written to {out}"
    print(f"Written to {out}: {matrix.shape[0]} clips × {matrix.shape[1]} features")
    return 0


def _write(file: IO[bytes], suffix: str, matrix: Any, clips: list[str], names: Any) -> None:
    import numpy as np
    import pandas as pd

    if suffix == ".npz":
        np.savez_compressed(file, X=matrix, clips=np.array(clips), features=names.astype(str))
        return
    frame = pd.DataFrame(matrix, columns=names)
    frame.insert(0, "clip", clips)
    frame.to_parquet(file) if suffix == ".parquet" else frame.to_csv(file, index=False)


def add_cache(commands: Any) -> None:
    command = commands.add_parser("cache", help="show, reduce or clear the store of clip records")
    command.add_argument(
        "--cache", metavar="DIR", help="default: SKLEARN_SER_CACHE, or the platform's cache folder"
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "--drop",
        nargs="+",
        metavar=("NAME", "SETTING=VALUE"),
        help="delete the records of one model or feature set, as the table names it; of several "
        "settings, those with all that are given",
    )
    what.add_argument(
        "--max-size",
        metavar="SIZE",
        help='delete the least recently used records until the others fit, such as "10GB"; to keep '
        "to it always, set the environment variable SKLEARN_SER_CACHE_MAX_SIZE",
    )
    what.add_argument(
        "--clear", action="store_true", help="delete every record and every augmented copy"
    )
    command.set_defaults(run=_cache)


def _cache(options: argparse.Namespace) -> int:
    from sklearn_ser._store import Store
    from sklearn_ser.cli._tables import show, store_table

    store = Store(options.cache or "auto")
    if options.cache not in (None, "auto") and not store.folder.is_dir():
        raise FileNotFoundError(f"no such folder: {store.folder}")
    deleted = None
    if options.drop:
        name, *settings = options.drop
        if unclear := [word for word in settings if "=" not in word]:
            raise ValueError(f"--drop takes one name, and SETTING=VALUE after it, not {unclear}")
        deleted = store.drop(name, **dict(word.split("=", 1) for word in settings))
    elif options.max_size is not None:
        deleted = store.reduce_size(options.max_size)
    held = store_table(store)
    if options.clear:
        from sklearn_ser.preprocessing import AudioAugmenter

        store.clear()
        AudioAugmenter(cache=store.folder).clear_cache()
    show(held)
    if deleted is not None:
        print(f"Deleted: {deleted[0]} records, {deleted[1] / 1e6:.1f} MB.")
    if options.clear:
        print("Cleared.")
    return 0
