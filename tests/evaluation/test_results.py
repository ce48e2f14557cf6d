"""Results are a schema: what is written is read again, and nothing else is."""

import json

import pandas as pd
import pytest

from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import Comparison, CrossComparison, compare, compare_across


def corpus(seed):
    return make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)


@pytest.fixture(scope="module")
def found():
    one, two = corpus(0), corpus(1)
    settings = {"features": ["mfcc"], "classifier": "lda", "cache": None}
    return {
        "one": compare(one, **settings),
        "two": compare(train=one, test=two, alignment="coral", **settings),
        "given": compare(one, cv=[(range(8), range(8, 12))], **settings),
        "across": compare_across({"a": one, "b": two}, alignment=[None, "coral"], **settings),
    }


@pytest.mark.parametrize("form", ["one", "two", "given", "across"])
def test_what_is_saved_is_read_again(found, form, tmp_path):
    comparison = found[form]
    comparison.save(tmp_path)
    again = type(comparison).load(tmp_path)
    assert again == comparison
    assert (
        again.to_dict() == comparison.results == json.loads((tmp_path / "results.json").read_text())
    )
    pd.testing.assert_frame_equal(again.predictions, comparison.predictions, check_dtype=False)
    assert again.frame["uar"].tolist() == [row.uar for row in comparison.rows]


def test_rows_of_one_runner_have_the_same_fields(found):
    keys = [set(row) for comparison in found.values() for row in comparison.results["rows"]]
    assert all(each == keys[0] for each in keys)
    (row,) = found["two"].rows
    assert row.crosses
    assert (row.n_train, row.n_test, row.chance) == (12, 12, 0.25)
    (row,) = found["given"].rows
    assert (row.train, row.test, row.n_train, row.n_test) == ("synthetic", "synthetic", 8, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 0}, "by schema 0; Comparison reads"),
        ({"kind": "compare_across"}, "kind 'compare_across'"),
        ({"unheard": 1}, "results: fields that are missing or unknown: unheard"),
        ({"corpus": ...}, "results: fields that are missing or unknown: corpus"),
        ({"rows": [{"uar": 1.0}]}, "a row: fields that are missing or unknown: accuracy, "),
    ],
)
def test_other_results_are_refused(found, change, message):
    results = {**found["one"].to_dict(), **change}
    results = {key: value for key, value in results.items() if value is not ...}
    with pytest.raises(ValueError, match=message):
        Comparison.from_dict(results, found["one"].predictions)


def test_results_of_before_there_was_a_schema_are_refused(found):
    results = found["across"].to_dict()
    del results["schema"]
    with pytest.raises(ValueError, match="by schema None"):
        CrossComparison.from_dict(results, found["across"].predictions)
