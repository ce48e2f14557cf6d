"""Which features recognise emotion best, for speakers never heard before."""

from sklearn_ser.evaluation._compare import compare
from sklearn_ser.evaluation._cross import compare_across
from sklearn_ser.evaluation._intervals import speaker_interval
from sklearn_ser.evaluation._metrics import fold_average, uar_score
from sklearn_ser.evaluation._results import Comparison, CrossComparison, Nested, Row
from sklearn_ser.exceptions import LeakageWarning

__all__ = [
    "Comparison",
    "CrossComparison",
    "LeakageWarning",
    "Nested",
    "Row",
    "compare",
    "compare_across",
    "fold_average",
    "speaker_interval",
    "uar_score",
]
