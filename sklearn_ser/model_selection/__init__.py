"""Protocols of the field as scikit-learn splitters, and audits of splits and pipelines."""

from sklearn_ser.model_selection._audit_pipeline import PipelineAudit, audit_pipeline
from sklearn_ser.model_selection._audit_split import SplitAudit, audit_split
from sklearn_ser.model_selection._balanced import BalancedSpeakerKFold
from sklearn_ser.model_selection._duplicates import find_duplicates
from sklearn_ser.model_selection._emobox import EmoBoxFolds
from sklearn_ser.model_selection._leave_one_out import (
    LeaveOneCorpusOut,
    LeaveOneSentenceOut,
    LeaveOneSessionOut,
    LeaveOneSpeakerOut,
)
from sklearn_ser.model_selection._protocol import Protocol
from sklearn_ser.model_selection._ravdess import RAVDESSSplit

__all__ = [
    "BalancedSpeakerKFold",
    "EmoBoxFolds",
    "LeaveOneCorpusOut",
    "LeaveOneSentenceOut",
    "LeaveOneSessionOut",
    "LeaveOneSpeakerOut",
    "PipelineAudit",
    "Protocol",
    "RAVDESSSplit",
    "SplitAudit",
    "audit_pipeline",
    "audit_split",
    "find_duplicates",
]
