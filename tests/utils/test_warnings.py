"""A warning names the user's line, however many calls of this package and others lie between."""

import ast
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

import sklearn_ser
from sklearn_ser.audit import find_duplicates
from sklearn_ser.classifiers import MLPHead
from sklearn_ser.datasets import (
    load_cremad,
    load_emodb,
    load_folder,
    load_ravdess,
    load_table,
    make_emotional_speech,
    pool_corpora,
)
from sklearn_ser.embedders import MFCCEmbedder
from sklearn_ser.evaluation import compare
from sklearn_ser.preprocessing import AudioAugmenter, SpeakerScaler

RATE = 16000
LABELS = ["anger", "neutral", "anger", "neutral", "anger"]
FILES = {
    "emodb": ["03a01Wa.wav", "03a01Nc.wav"],
    "ravdess": ["03-01-05-01-01-01-01.wav", "03-01-01-01-01-01-01.wav"],
    "cremad": ["1001_DFA_ANG_XX.wav", "1001_DFA_NEU_XX.wav"],
    "folder": ["anger/1.wav", "neutral/2.wav", "3.wav"],
}
ROW = pd.DataFrame({"path": ["a.wav"], "emotion": ["anger"], "speaker": ["1"]})


def embedder():
    return MFCCEmbedder(cache=None, on_error="warn")


def cross_validate(clips, _):
    pipe = make_pipeline(embedder(), MLPHead(max_epochs=2))
    cross_val_score(pipe, [clips[i] for i in (0, 1, 2, 3) * 3], LABELS[:4] * 3, cv=2)


def compare_with_leakage(*_):
    corpus = make_emotional_speech(2, 2, random_state=0)
    cv = KFold(2, shuffle=True, random_state=0)
    compare(corpus, ["mfcc"], cv=cv, classifier="lda", cache=None)


WARN = {
    "load_emodb": lambda _, files: load_emodb(files / "emodb"),
    "load_ravdess": lambda _, files: load_ravdess(files / "ravdess"),
    "load_cremad": lambda _, files: load_cremad(files / "cremad"),
    "load_folder": lambda _, files: load_folder(files / "folder"),
    "load_table": lambda *_: load_table(pd.concat([ROW, ROW])),
    "pool_corpora": lambda *_: pool_corpora({"one": load_table(ROW), "two": load_table(ROW)}),
    "transform": lambda clips, _: embedder().transform(clips),
    "pipeline": lambda clips, _: make_pipeline(embedder(), "passthrough").fit_transform(clips),
    "cross_val_score": cross_validate,
    "find_duplicates": lambda clips, _: find_duplicates(
        [*clips, "missing.wav"], on_error="warn", cache=None
    ),
    "augmenter": lambda clips, _: AudioAugmenter(on_error="warn").fit_resample(clips, LABELS),
    "speaker_scaler": lambda *_: SpeakerScaler(0, min_clips=2).fit([[1, 5], [2, 6], [1, 7]]),
    "compare": compare_with_leakage,
}


@pytest.mark.parametrize("name", WARN)
def test_a_warning_names_the_users_line(name, speech, tmp_path):
    clips = [*((speech(i, 0.3), RATE) for i in range(4)), (np.zeros(4000, np.float32), RATE)]
    for folder, wanted in FILES.items():
        for i, file in enumerate(wanted):
            path = tmp_path / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, clips[i][0], RATE, format="WAV")
    with pytest.warns() as caught:
        WARN[name](clips, tmp_path)
    assert {warning.filename for warning in caught} == {__file__}


def test_no_module_warns_by_itself():
    package = Path(sklearn_ser.__file__).parent
    calls = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("warn", "warn_explicit")
        if ast.unparse(node.value) == "warnings"
    ]
    assert [call for call in calls if not call.startswith(f"_utils{os.sep}_warnings")] == []


def test_warnings_can_be_filtered_by_the_users_module():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=__name__)
        SpeakerScaler(0, min_clips=2).fit([[1, 5], [2, 6], [1, 7]])
    assert not caught
