"""Audits before a score is believed: splits, copies of audio, pipelines, embeddings.

What is imported as itself is for displays, and not public.
"""

from sklearn_ser.audit._diagnose import Diagnosis, Finding, diagnose
from sklearn_ser.audit._duplicates import find_duplicates
from sklearn_ser.audit._pipeline import PipelineAudit, audit_pipeline
from sklearn_ser.audit._probes import Probe as Probe
from sklearn_ser.audit._probes import probe_labels as probe_labels
from sklearn_ser.audit._probes import probe_values as probe_values
from sklearn_ser.audit._probes import silhouettes as silhouettes
from sklearn_ser.audit._probes import standardized as standardized
from sklearn_ser.audit._split import SplitAudit, audit_split

__all__ = [
    "Diagnosis",
    "Finding",
    "PipelineAudit",
    "SplitAudit",
    "audit_pipeline",
    "audit_split",
    "diagnose",
    "find_duplicates",
]
