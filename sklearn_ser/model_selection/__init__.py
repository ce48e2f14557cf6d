"""Protocols of the field as scikit-learn splitters, by name too."""

from typing import Any

from sklearn_ser.model_selection._check_cv import check_cv, corpus_folds
from sklearn_ser.model_selection._emobox import EmoBoxFolds
from sklearn_ser.model_selection._protocols import (
    BalancedSpeakerKFold,
    LeaveOneCorpusOut,
    LeaveOneSentenceOut,
    LeaveOneSessionOut,
    LeaveOneSpeakerOut,
    Protocol,
    RAVDESSSplit,
)

__all__ = [
    "BalancedSpeakerKFold",
    "EmoBoxFolds",
    "LeaveOneCorpusOut",
    "LeaveOneSentenceOut",
    "LeaveOneSessionOut",
    "LeaveOneSpeakerOut",
    "Protocol",
    "RAVDESSSplit",
    "check_cv",
    "corpus_folds",
]

_AUDITS = ("PipelineAudit", "SplitAudit", "audit_pipeline", "audit_split", "find_duplicates")


def __getattr__(name: str) -> Any:
    """Return an audit, which was here until sklearn_ser.audit was made."""
    if name in _AUDITS:
        from sklearn_ser import audit
        from sklearn_ser._utils import warn

        warn(f"{name} is in sklearn_ser.audit now", FutureWarning)
        return getattr(audit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
