"""Files that are complete or absent: records, packs, augmented clips, checkpoints, recognizers.

Other processes may read and write the same file, and any of them may be killed at any time.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

__all__ = ["delete_files", "write_atomically"]


def write_atomically(
    path: str | os.PathLike[str], *parts: bytes | memoryview, sync: bool = False
) -> None:
    """Write a temporary file beside `path`, ``{path}.*.tmp``, and rename it.

    Whoever may read new files may read it, unlike those of the module `tempfile`.

    Parameters
    ----------
    path : str or path-like
        In a folder that exists.
    *parts : bytes-like
        The content, in order.
    sync : bool
        Whether it has to outlast a power failure.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is still there.
    """
    temporary = f"{os.fspath(path)}.{uuid.uuid4().hex}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.writelines(parts)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C among them
        with suppress(OSError):
            os.unlink(temporary)
        raise


def delete_files(folder: Path, *patterns: str) -> None:
    """Delete the files in a folder that fit any pattern, and all folders left empty."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        with suppress(OSError):
            path.unlink()
    for emptied in [*folder.glob("*"), folder]:
        with suppress(OSError):
            emptied.rmdir()
