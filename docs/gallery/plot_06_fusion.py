"""
Learned and handcrafted features together
=========================================

Columns of several feature sets, side by side.
"""

# %%
# In ``compare``, a plus sign joins the columns of feature sets; of a speech model with several
# layers, in turn. In a pipeline of one's own, scikit-learn's FeatureUnion does.
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare
from sklearn_ser.plotting import ComparisonDisplay

corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
comparison = compare(
    corpus, ["egemaps", "nano", "egemaps+nano"], layer="middle", classifier="lda", audit=False
)
comparison

# %%
ComparisonDisplay.from_comparison(comparison)
