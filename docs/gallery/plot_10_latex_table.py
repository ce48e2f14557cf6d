"""
A table for a paper
===================

Feature sets, classifiers and corpora at once, with intervals and ranks, as LaTeX.
"""

# %%
# Each corpus is compared by itself. "nested" is the score with the layer and the classifier chosen
# inside the training folds.
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare_corpora
from sklearn_ser.plotting import RanksDisplay

corpora = {
    f"corpus {seed}": make_emotional_speech(n_speakers=4, n_sentences=2, random_state=seed)
    for seed in range(3)
}
found = compare_corpora(
    corpora, ["mfcc", "egemaps", "nano"], layer=[0, 2], classifier="lda", audit=False
)
found

# %%
print(found.to_latex(label="tab:features"))

# %%
# Mean ranks over corpora; a line joins what is not told apart. Three corpora tell little.
RanksDisplay.from_comparison(found)
