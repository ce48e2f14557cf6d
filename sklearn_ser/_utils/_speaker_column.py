"""The column of X that holds speaker labels."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["find_speaker_column"]


def find_speaker_column(speaker: int | str, n_columns: int, names: Sequence[str]) -> int:
    """Return the position of the column, from 0.

    Parameters
    ----------
    speaker : int or str
        Its position; or its name, or what its name ends in after the ``__`` that ColumnTransformer
        puts there.
    n_columns : int
        Number of columns of X.
    names : sequence of str
        Their names, if they have any.
    """
    if isinstance(speaker, str):
        found = [i for i, name in enumerate(names) if name.rpartition("__")[2] == speaker]
        found = found or [i for i, name in enumerate(names) if name == speaker]
        if len(found) != 1:
            raise ValueError(
                f"X has {len(found) or 'no'} columns called {speaker!r}, only one would do: it "
                f"has {list(names)[:5] or 'no names'}."
            )
        speaker = found[0]
    if not -n_columns <= speaker < n_columns or n_columns < 2:
        raise ValueError(
            f"speaker={speaker!r} is no column of X beside features: X has {n_columns} feature(s)."
        )
    return speaker % n_columns
