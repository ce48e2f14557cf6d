"""Audits before a score is believed: splits, copies of audio, pipelines that saw the test fold."""

from sklearn_ser.audit._duplicates import find_duplicates
from sklearn_ser.audit._pipeline import PipelineAudit, audit_pipeline
from sklearn_ser.audit._split import SplitAudit, audit_split

__all__ = ["PipelineAudit", "SplitAudit", "audit_pipeline", "audit_split", "find_duplicates"]
