"""
Across corpora
==============

Train on one corpus, test on another: what was learned carries less far than a score within a corpus
says. Aligning the features to the test corpus brings some of it back.
"""

# %%
# Two synthetic corpora stand for recordings by different people; labels are harmonised to four
# emotions that both have.
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare_across

corpora = {
    f"corpus {seed}": make_emotional_speech(n_speakers=4, n_sentences=3, random_state=seed)
    for seed in range(2)
}
comparison = compare_across(
    corpora, ["mfcc"], classifier="lda", alignment=[None, "standardize", "coral"], audit=False
)
comparison.matrix("mfcc").round(3)

# %%
comparison.matrix("mfcc", alignment="standardize").round(3)
