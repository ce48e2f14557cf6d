"""Which features recognise emotion best, for speakers never heard before."""

from sklearn_ser.evaluation._compare import Comparison, LeakageWarning, compare
from sklearn_ser.evaluation._intervals import speaker_interval
from sklearn_ser.evaluation._metrics import fold_average, uar_score

__all__ = [
    "Comparison",
    "LeakageWarning",
    "compare",
    "fold_average",
    "speaker_interval",
    "uar_score",
]
