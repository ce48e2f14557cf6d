"""Corpora put together keep apart what must be kept apart."""

import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from sklearn_ser.datasets import make_emotional_speech, pool_corpora


@pytest.fixture
def two():
    """Two corpora of the same speakers', sentences' and sessions' names."""
    return {
        name: make_emotional_speech(2, 2, ["anger", "fear", "neutral"], random_state=seed)
        for seed, name in enumerate(["one", "two"])
    }


def test_clips_stay_with_their_emotions_and_speakers(two):
    pooled = pool_corpora(two)
    at = [(name, i) for name in two for i, y in enumerate(two[name].y) if y != "fear"]
    assert len(pooled.X) == len(at) == 16
    for clip, emotion, speaker, (name, i) in zip(
        pooled.X, pooled.y, pooled.groups, at, strict=True
    ):
        assert clip is two[name].X[i]
        assert emotion == two[name].y[i]
        assert speaker == f"{name}/{two[name].groups[i]}"
    assert pooled.frame["position"].tolist() == [i for _, i in at]
    assert pooled.frame["sentence"].tolist() == [
        f"{name}/{two[name].frame['sentence'][i]}" for name, i in at
    ]


@pytest.mark.parametrize("kind", ["series", "object", "frame"])
def test_clips_in_any_container(two, kind):
    names = [f"{i}.wav" for i in range(12)]
    X = {
        "series": pd.Series(names, index=range(11, -1, -1)),
        "object": np.array(names, dtype=object),
        "frame": pd.DataFrame({"path": names, "start": 0.5}, index=list("abcdefghijkl")),
    }[kind]
    one = Bunch(X=X, y=two["one"].y, groups=two["one"].groups)
    pooled = pool_corpora({"one": one, "two": two["two"]})
    kept = [name for name, y in zip(names, one.y, strict=True) if y != "fear"]
    found = pooled.X[:8]
    if kind == "frame":
        kept = [{"path": name, "start": 0.5} for name in kept]
    assert found == kept
    assert pooled.frame["speaker"].notna().all()
    assert pooled.frame["sentence"].isna().sum() == 8  # this corpus tells none


def test_labels_may_stay_as_they_are(two):
    assert set(pool_corpora(two, scheme=None).y) == {"anger", "fear", "neutral"}


def test_what_cannot_be_pooled_is_named(two):
    nobody = Bunch(X=["a.wav"], y=["anger"], groups=None)
    with pytest.raises(ValueError, match="two has no speaker labels"):
        pool_corpora({"one": two["one"], "two": nobody})
    bored = Bunch(X=["a.wav"], y=["boredom"], groups=["a"])
    with pytest.raises(ValueError, match=r"drops every clip of two: .*boredom"):
        pool_corpora({"one": two["one"], "two": bored})


@pytest.mark.parametrize("pooled", [True, False])
def test_a_corpus_shows_its_counts_in_ten_lines_at_most(two, pooled):
    corpus = pool_corpora(two) if pooled else two["one"]
    shown = repr(corpus).splitlines()
    assert len(shown) <= 10
    assert max(map(len, shown)) < 200
    assert shown[0].endswith("16 clips, 4 speakers" if pooled else "12 clips, 2 speakers")
    assert ("emotion: anger 8, neutral 8" if pooled else "sex: female 6, male 6") in shown
    assert copy.deepcopy(corpus).y.tolist() == corpus.y.tolist()
