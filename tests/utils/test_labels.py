"""Labels and speakers are taken whole, or refused with the rows that are at fault."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_ser._utils import as_classes, as_labels, as_speakers, is_missing

NAMES = ["anger", "sadness", "neutral"]
CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": lambda names: np.array(names, dtype=object),
    "str array": lambda names: np.array(names, dtype=str),
    "StringDType": lambda names: np.array(names, dtype=np.dtypes.StringDType()),
    "column vector": lambda names: np.array(names, dtype=object)[:, None],
    "Series": pd.Series,
    "Series of objects": lambda names: pd.Series(names, dtype=object),
    "categories": lambda names: pd.Series(names, dtype="category"),
    "pyarrow Series": lambda names: pd.Series(names, dtype="string[pyarrow]"),
    "one-column frame": lambda names: pd.DataFrame({"name": names}),
    "polars": pl.Series,
    "pyarrow": pa.array,
    "bytes": lambda names: np.array([name.encode() for name in names]),
}
MISSING = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")]
MISSING += [np.ma.masked, "", "  ", "nan", "None", "<NA>", "NaT", " nan", b"nan", b" "]


@pytest.mark.parametrize("convert", [as_labels, as_speakers])
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_names_are_whole_whatever_holds_them(convert, container):
    names = convert(container(NAMES))
    assert names.tolist() == NAMES
    assert names.dtype.kind == "U"


@pytest.mark.parametrize("convert", [as_labels, as_speakers])
@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_a_missing_value_is_refused_with_its_row(convert, value):
    with pytest.raises(ValueError, match=r"there: 2 of 4 clips have no .*rows 1, 3, counted"):
        convert(["longer than one letter", value, "b", value], "there")
    assert is_missing(["longer than one letter", value]).tolist() == [False, True]


@pytest.mark.parametrize("name", ["NA", "N/A", "null", "none", "nano", "0", "True"])
def test_names_that_look_missing_are_names(name):
    assert as_speakers([name, "b"])[0] == as_labels([name, "b"])[0] == name


@pytest.mark.parametrize(
    "values",
    [[0, 1], [0.1, 3.5], np.array([1, 2]), pd.Series([0.5, 1]), [np.float32(1)], [1j], ["a", 3]],
    ids=repr,
)
def test_numbers_are_no_emotions(values):
    with pytest.raises(ValueError, match=r"as label .*regression"):
        as_labels(values)


@pytest.mark.parametrize("ratings", [["0.1", "3.5"], ["1", "0.5"], ["0,5", "1,5"], ["-1", "2"]])
def test_ratings_are_no_emotions_as_text_either(ratings):
    with pytest.raises(ValueError, match="regression"):
        as_labels(ratings)
    assert as_labels(["01", "3"]).tolist() == ["01", "3"]


@pytest.mark.parametrize("value", [["a", "b"], np.array(["a", "b"]), ("a",), {"a": 1}], ids=repr)
def test_several_emotions_of_a_clip_are_refused(value):
    with pytest.raises(ValueError, match=r"several values as label .row 1"):
        as_labels(["a", value])


def test_speakers_may_be_whole_numbers():
    values = [3, 3.0, np.int8(3), np.float32(3), "3", 2**60 + 1]
    assert as_speakers(values).tolist() == ["3"] * 5 + [str(2**60 + 1)]


@pytest.mark.parametrize("value", [1.5, float("inf"), "1.5", "0,25", "1e-3"])
def test_speakers_are_no_fractions(value):
    with pytest.raises(ValueError, match=r"1 of 2 .* not whole as speaker .row 0"):
        as_speakers([value, 1])
    with pytest.raises(ValueError, match=r"1 of 3 .* not whole as speaker .row 2"):
        as_speakers([None, "1", value], unknown=True)


def test_a_speaker_is_the_same_however_a_column_with_gaps_was_read():
    values = [3, 3.0, "3", "3.0", " 3.00 ", np.float32(3), b"3.0"]
    assert as_speakers(values).tolist() == ["3"] * len(values)
    assert as_speakers(["3.0", None, 3], unknown=True).tolist() == ["3", None, "3"]
    names = ["s3.0", "3.0.1", "3.", "1e0", "03", "v1.5"]
    assert as_speakers(names).tolist() == names


def test_sessions_may_be_fractions_and_dates():
    values = [1.5, "1.5", pd.Timestamp("2020-01-02"), 2.0, "2.0"]
    expected = ["1.5", "1.5", "2020-01-02 00:00:00", "2", "2"]
    assert as_speakers(values, fractions=True).tolist() == expected


@pytest.mark.parametrize("convert", [as_labels, as_speakers, as_classes])
def test_what_is_masked_is_missing(convert):
    values = np.ma.array(["a", "b", "a", "b"], mask=[False, True, False, True])
    for given in (values, values[:, None], values.astype(object), [*values]):
        with pytest.raises(ValueError, match=r"2 of 4 clips have no .*rows 1, 3, counted"):
            convert(given)
    whole = convert(np.ma.array(["a", "b"], mask=False))
    assert whole.tolist() == ["a", "b"]
    assert type(whole) is np.ndarray


def test_unicode_is_composed_and_white_space_stripped():
    assert as_labels(["A\u0308rger", " \u00c4rger\t"]).tolist() == ["\u00c4rger"] * 2


@pytest.mark.parametrize("values", [{"anger": 1}, {"anger"}, "anger", None, 3, np.array("anger")])
def test_one_value_is_no_column(values):
    with pytest.raises(ValueError, match="one value a clip"):
        as_labels(values)


@pytest.mark.filterwarnings("ignore:A column-vector y")  # scikit-learn's, of two of them
@pytest.mark.parametrize("container", [name for name in CONTAINERS if name != "bytes"])
def test_classes_are_what_was_given(container):
    names = [" Anger ", "A\u0308rger", "a name that is much longer"]
    assert as_classes(CONTAINERS[container](names)).tolist() == names


@pytest.mark.parametrize("y", [[3, 1, 3], [True, False], np.int8([1, 2]), [1.0, 2.0]], ids=repr)
def test_codes_are_classes(y):
    assert as_classes(y).tolist() == list(y)
    assert as_classes(y).dtype == np.array(y).dtype


@pytest.mark.parametrize(
    "y", [["0", "1", "2"], ["-1", "1"], ["01", "1"], ["1.0", "2.0"], ["0.5", "sad"], ["1.5.2"]]
)
def test_codes_are_classes_as_text_too(y):
    assert as_classes(y).tolist() == y


@pytest.mark.parametrize(
    "y", [["0.1", "1.5"], ["0,5", "1"], [" 1", "2.5 "], [b"0.5", b"1"], ["1e-3", "2"], ["-.5", "1"]]
)
def test_ratings_are_no_classes_as_text_either(y):
    with pytest.raises(ValueError, match=r"all 2 clips have a number as label.*regression"):
        as_classes(y)


@pytest.mark.parametrize("convert", [as_labels, as_classes])
def test_one_number_in_two_spellings_is_refused(convert):
    with pytest.raises(ValueError, match=r"the labels '1' and '1\.0' are the same number"):
        convert(["sad", "1", "2", "1.0"])


@pytest.mark.parametrize(
    "y", [[0.5, 1.0], [[1], [1, 2]], [[0, 1], [1, 1]], [1.0, np.inf]], ids=repr
)
def test_other_targets_are_no_classes(y):
    with pytest.raises(ValueError, match=r"regression|several values|infinity"):
        as_classes(y)
