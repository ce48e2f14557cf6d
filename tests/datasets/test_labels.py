from importlib import import_module

import numpy as np
import pytest

from sklearn_ser.datasets import harmonize_labels

CORPORA = ["cremad", "emodb", "esd", "iemocap", "meld", "ravdess", "savee", "tess"]


def emotions_of(corpus):
    emotions = import_module(f"sklearn_ser.datasets._{corpus}").EMOTIONS
    return sorted(emotions.values() if isinstance(emotions, dict) else emotions)


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("scheme", ["four", "ekman", "arousal", "valence", "quadrants"])
def test_every_corpus_has_every_class_that_it_can_have(corpus, scheme):
    emotions = emotions_of(corpus)
    found = set(harmonize_labels(emotions, scheme)) - {""}
    expected = {
        "four": {"anger", "happiness", "neutral", "sadness"},
        "ekman": {"anger", "happiness", "neutral", "sadness"} | (set(emotions) & EKMAN),
        "arousal": {"high", "low"},
        "valence": {"negative", "positive"},
        "quadrants": {"high negative", "high positive", "low negative", "low positive"},
    }
    assert found == expected[scheme]


EKMAN = {"disgust", "fear", "surprise"}


def test_what_is_merged_and_what_is_dropped():
    emotions = np.array(["excitement", "calm", "boredom", "frustration", "surprise", "other"])
    four = harmonize_labels(emotions)
    assert four.tolist() == ["happiness", "neutral", "", "", "", ""]
    assert emotions[four != ""].tolist() == ["excitement", "calm"]
    assert harmonize_labels(emotions, "ekman").tolist()[2:] == ["", "", "surprise", ""]
    assert harmonize_labels(emotions, "quadrants")[3] == "high negative"


@pytest.mark.parametrize("name", ["Angry", "ANG", " anger ", "rage"])
def test_usual_names(name):
    assert harmonize_labels([name]).tolist() == ["anger"]


def test_unknown_labels_are_not_dropped_silently():
    with pytest.raises(ValueError, match=r"unknown emotions \['hmm'\]; known are \['anger'"):
        harmonize_labels(["anger", "hmm"])
    with pytest.raises(ValueError, match="'scheme' parameter of harmonize_labels"):
        harmonize_labels(["anger"], scheme="seven")
