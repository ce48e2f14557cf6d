"""Files that are complete or absent, for records, packs, augmented clips, checkpoints, recognizers.

Other processes may read and write the same file, and any of them may be killed at any time.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress

__all__ = ["write_atomically"]


def write_atomically(
    path: str | os.PathLike[str], *parts: bytes | memoryview, sync: bool = False
) -> None:
    """Write a temporary file beside `path`, then rename it, which all file systems do at once.

    The modules of the standard library that make temporary files make them readable by their owner
    alone, which a store that several users share must not be.

    Parameters
    ----------
    path : str or path-like
        Its folder has to exist. What a killed process leaves is called ``{path}.*.tmp``.
    *parts : bytes-like
        The content, in order.
    sync : bool
        Whether to wait until the content is on the disk, so that it outlasts a power failure.

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
