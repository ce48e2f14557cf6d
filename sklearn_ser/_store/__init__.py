"""The on-disk store of clip records.

A record is first a file of its own. Files were chosen over a database or a chunked array store
because a rename is atomic on every file system (a record is complete or absent), and processes on
several machines need nothing but a shared folder. Once there are many, they are joined to packs,
in which the same row of all clips lies side by side: that is what a search reads.
"""

from sklearn_ser._store._lock import RecordLock, renewing
from sklearn_ser._store._records import Records
from sklearn_ser._store._store import Store

__all__ = ["RecordLock", "Records", "Store", "renewing"]
