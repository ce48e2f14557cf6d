"""The store of clip records, where a user wants to see or empty it.

Embedders open it by themselves; the code is in ``sklearn_ser._store``.
"""

from sklearn_ser._store import Store
from sklearn_ser.exceptions import StoreWarning

__all__ = ["Store", "StoreWarning"]
