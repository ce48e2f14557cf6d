"""scikit-learn's global settings, which are the user's and must not change what is computed."""

from __future__ import annotations

from typing import Any

import sklearn

__all__ = ["default_settings"]


def default_settings() -> Any:
    """Return a context in which transformers give arrays, and metadata is not routed.

    Whatever fits or runs estimators for a user does so in it. Workers of joblib do not inherit
    the user's settings, so that results would depend on ``n_jobs`` otherwise.
    """
    return sklearn.config_context(transform_output="default", enable_metadata_routing=False)
