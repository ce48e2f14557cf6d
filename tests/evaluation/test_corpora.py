"""Several corpora side by side, and ranks over them."""

import json

import numpy as np
import pandas as pd
import pytest

from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import CorporaComparison, compare, compare_corpora
from sklearn_ser.evaluation._ranks import rank

# Demšar (2006), table 6: AUC of C4.5 and of three variants with tuned parameters.
DEMSAR = {
    "C4.5": "763 599 954 628 882 936 661 583 775 1. 940 619 972 957",
    "C4.5+m": "768 591 971 661 888 931 668 583 838 1. 962 666 981 978",
    "C4.5+cf": "771 590 968 654 886 916 609 563 866 1. 965 614 9751 946",
    "C4.5+m+cf": "798 569 967 657 898 931 685 625 875 1. 962 669 975 970",
}


def demsar():
    """Return his scores: a line each classifier, a column each data set."""
    values = [
        [1.0 if digits == "1." else float(f".{digits}") for digits in line.split()]
        for line in DEMSAR.values()
    ]
    return pd.DataFrame(values, index=list(DEMSAR))


def test_notes_name_each_corpus_once():
    each = {f"lab {k}": make_emotional_speech(3, 1, random_state=k) for k in range(2)}
    found = compare_corpora(each, ["mfcc"], classifier="lda", audit=False)
    assert "lab 0: 12 clips of 3 speakers" in found.to_latex()
    assert found["lab 0"].title.startswith(f"{found['lab 0'].corpus}: 12 clips of 3 speakers")


def test_ranks_are_those_of_a_published_example():
    found = rank(demsar())
    published = {"C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143}
    assert found.mean_ranks.index.tolist() == list(published)
    np.testing.assert_allclose(found.mean_ranks, list(published.values()), atol=5e-4)
    assert found.n_corpora == 14
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)  # Nemenyi, his figure
    assert found.p_value < 0.05
    assert found.groups == [list(published)]


def test_groups_are_the_longest_runs_that_are_not_told_apart():
    # Always in the same order: mean ranks are 1, 2, …, 6.
    scores = pd.DataFrame(np.repeat(np.arange(6.0)[::-1, None], 12, axis=1), index=list("abcdef"))
    found = rank(scores)
    width = int(found.critical_difference)
    assert width == 2
    assert found.groups == [list(group) for group in ("abc", "bcd", "cde", "def")]
    assert found.p_value == pytest.approx(0)


def test_scores_that_are_all_equal_share_ranks_and_do_not_differ():
    found = rank(pd.DataFrame(np.ones((3, 5)), index=list("abc")))
    assert found.mean_ranks.tolist() == [2, 2, 2]
    assert found.p_value == 1
    assert found.groups == [list("abc")]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 1), (4, 1)])
def test_too_few_to_be_tested_have_ranks_only(shape):
    found = rank(pd.DataFrame(np.random.default_rng(0).random(shape)))
    assert sorted(found.mean_ranks) == list(range(1, shape[0] + 1))
    assert np.isnan([found.p_value, found.critical_difference]).any()
    assert "nan" not in str(found)


@pytest.mark.parametrize("scores", [pd.DataFrame(), pd.DataFrame({"a": [0.1, np.nan]})])
def test_ranks_need_scores(scores):
    with pytest.raises(ValueError, match="ranks need a score of everything"):
        rank(scores)


def corpora():
    return {f"speech {k}": make_emotional_speech(4, 1, random_state=k) for k in range(2)}


@pytest.fixture(scope="module")
def found():
    return compare_corpora(corpora(), ["mfcc", "nano"], layer=[0, 2], classifier="lda", audit=False)


def test_each_corpus_has_the_comparison_that_it_has_alone(found):
    assert list(found) == ["speech 0", "speech 1"]
    corpus = corpora()["speech 1"]
    alone = compare(corpus, ["mfcc", "nano"], layer=[0, 2], classifier="lda", audit=False)
    assert [row.uar for row in found["speech 1"].rows] == [row.uar for row in alone.rows]


def test_tables_have_a_line_a_row_and_a_line_a_feature_set(found):
    uars = [[row.uar for row in each.rows] for each in found.values()]
    np.testing.assert_array_equal(found.frame.to_numpy(), np.transpose(uars))
    assert len(found.frame) == 3
    chosen = found.chosen
    assert chosen.index.tolist() == ["mfcc", "nano, nested"]
    for name, each in found.items():
        assert chosen.loc["mfcc", name] == each.rows[0].uar
        assert chosen.loc["nano, nested", name] == each.nested[0].uar
    assert found.ranks().mean_ranks.sum() == 3
    assert found.ranks(found.frame).mean_ranks.sum() == 6


@pytest.mark.slow
def test_what_is_saved_is_read_again(found, tmp_path):
    names = found.save(tmp_path)
    assert all((tmp_path / name).is_file() for name in names)
    assert CorporaComparison.load(tmp_path) == found
    index = tmp_path / "corpora.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "schema": 0}))
    with pytest.raises(ValueError, match="no comparison on several corpora by schema"):
        CorporaComparison.load(tmp_path)


def test_an_error_says_of_which_corpus_it_is():
    broken = {**corpora(), "third": {"X": [1], "y": ["anger"], "groups": None}}
    with pytest.raises(ValueError, match="needs speaker labels, and the corpus has none") as caught:
        compare_corpora(dict(reversed(broken.items())), ["mfcc"])
    assert caught.value.__notes__ == ["while comparing on third"]
    with pytest.raises(ValueError, match="corpora is empty"):
        compare_corpora({}, ["mfcc"])
