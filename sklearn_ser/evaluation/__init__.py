"""Which features recognise emotion best, for speakers who are not in the training set.

What is imported as itself is for recognizers and the command line, and not public.
"""

from sklearn_ser.evaluation._classifiers import check_classifier as check_classifier
from sklearn_ser.evaluation._classifiers import check_fits as check_fits
from sklearn_ser.evaluation._classifiers import fit_classifier as fit_classifier
from sklearn_ser.evaluation._compare import compare
from sklearn_ser.evaluation._concordance import ccc_score, concordance_interval
from sklearn_ser.evaluation._confidence import Confident as Confident
from sklearn_ser.evaluation._confidence import confident_rows as confident_rows
from sklearn_ser.evaluation._confidence import reliability as reliability
from sklearn_ser.evaluation._confidence import risk_coverage as risk_coverage
from sklearn_ser.evaluation._corpora import CorporaComparison, compare_corpora
from sklearn_ser.evaluation._cross import compare_across
from sklearn_ser.evaluation._cross_results import CrossComparison
from sklearn_ser.evaluation._features import as_embedders as as_embedders
from sklearn_ser.evaluation._features import effective_parameters as effective_parameters
from sklearn_ser.evaluation._features import embed_rows as embed_rows
from sklearn_ser.evaluation._features import feature_name as feature_name
from sklearn_ser.evaluation._features import feature_sets as feature_sets
from sklearn_ser.evaluation._formats import describe_nested as describe_nested
from sklearn_ser.evaluation._intervals import speaker_interval
from sklearn_ser.evaluation._metrics import fold_average, uar_score
from sklearn_ser.evaluation._nested import Nested, RatingNested
from sklearn_ser.evaluation._ranks import Ranks
from sklearn_ser.evaluation._recipes import installed_versions as installed_versions
from sklearn_ser.evaluation._repeats import differences_of_runs as differences_of_runs
from sklearn_ser.evaluation._results import Comparison
from sklearn_ser.evaluation._rows import RatingRow, Row
from sklearn_ser.evaluation._rows import best_with_features as best_with_features
from sklearn_ser.evaluation._rows import row_name as row_name
from sklearn_ser.evaluation._targets import scores as scores
from sklearn_ser.evaluation._targets import target_of as target_of
from sklearn_ser.evaluation._targets import units_of as units_of
from sklearn_ser.exceptions import LeakageWarning

__all__ = [
    "Comparison",
    "CorporaComparison",
    "CrossComparison",
    "LeakageWarning",
    "Nested",
    "Ranks",
    "RatingNested",
    "RatingRow",
    "Row",
    "ccc_score",
    "compare",
    "compare_across",
    "compare_corpora",
    "concordance_interval",
    "fold_average",
    "speaker_interval",
    "uar_score",
]
