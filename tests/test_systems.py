"""The benchmarks of whole systems run, and score as scikit-learn does."""

import importlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_ser import MFCCEmbedder
from sklearn_ser.datasets import make_emotional_speech

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = [
    pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks are not here"),
    pytest.mark.filterwarnings("ignore:.*tqdm.*"),
]


@pytest.fixture
def script(monkeypatch):
    """Return a function that imports a benchmark."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return the CSV file of a small corpus of wav files."""
    folder = tmp_path_factory.mktemp("corpus")
    corpus = make_emotional_speech(n_speakers=5, n_sentences=2, random_state=0)
    rows = []
    for i, (waveform, rate) in enumerate(corpus.X):
        soundfile.write(folder / f"{i:02d}.wav", waveform, rate)
        rows.append({"path": f"{i:02d}.wav", "emotion": corpus.y[i], "speaker": corpus.groups[i]})
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    return folder / "clips.csv"


def rows_of(text):
    """Return the rows of a report's first table, by what is in their first cell."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    header = lines[0]
    stop = next((i for i, line in enumerate(lines[1:], 1) if len(line) != len(header)), None)
    return {line[0]: dict(zip(header, line, strict=True)) for line in lines[2:stop]}


def options_of(script, table, *more):
    systems = script("_systems")
    parser = systems.parser("")
    systems.add_training(parser)
    return parser.parse_args(["--corpus", "table", "--data", str(table), *more])


def test_scores_are_those_of_scikit_learn(script, table):
    systems, options = script("_systems"), options_of(script, table)
    corpus = systems.corpus_of(options)
    own = make_pipeline(MFCCEmbedder(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    system = systems.System("LDA", lambda seed: make_pipeline(systems.CLIPS, own), "nothing")
    row = rows_of(systems.compared([system], corpus, options))["LDA"]
    folds = {
        "": list(LeaveOneGroupOut().split(corpus.X, corpus.y, corpus.groups)),
        "random: ": StratifiedKFold(5, shuffle=True, random_state=0),
    }
    for start, cv in folds.items():
        for name, scoring in (("accuracy", "accuracy"), ("UAR", "balanced_accuracy")):
            expected = cross_val_score(own, corpus.X, corpus.y, cv=cv, scoring=scoring)
            assert row[start + name] == f"{expected.mean():.3f}"
    assert (row["folds"], row["its author got"]) == ("5", "nothing")
    low, high = map(float, row["95 %"].split("–"))
    assert low <= float(row["UAR"]) <= high


def test_networks_run_each_seed_on_the_folds_that_are_asked_for(script, table):
    systems = script("_systems")
    options = options_of(script, table, "--seeds", "2", "--folds", "1")
    made = []

    def make(seed):
        made.append(seed)
        return DummyClassifier(strategy="uniform", random_state=seed)

    network = systems.System("dice", make, network=True, random=False)
    plain = systems.System("one die", make)
    found = rows_of(systems.compared([network, plain], systems.corpus_of(options), options))
    assert made == [0, 1] + [0] * (5 + 5)
    assert [found[name]["folds"] for name in ("dice", "one die")] == ["1", "5"]
    assert found["dice"]["random: UAR"] == "not run"
    assert found["dice"]["95 %"] == "1 speaker(s)"
    assert found["dice"]["its author got"] == "not published"
    corpus = systems.corpus_of(options)
    tested = corpus.y[corpus.groups == "s01"]
    scores = [
        np.mean(make(seed).fit(corpus.X, corpus.y).predict(tested) == tested) for seed in (0, 1)
    ]
    assert found["dice"]["accuracy"] == f"{np.mean(scores):.3f} ± {np.std(scores):.3f}"


def test_padded_waveforms_are_what_the_feature_extractor_gives(script):
    from transformers import Wav2Vec2FeatureExtractor

    corpus = make_emotional_speech(n_speakers=1, n_sentences=1, random_state=0)
    waveforms = [waveform for waveform, _ in corpus.X]
    expected = Wav2Vec2FeatureExtractor()(
        waveforms, sampling_rate=16000, padding=True, return_tensors="np"
    ).input_values
    found = script("system_padded_waveform").padded_waveforms(corpus.X, max(map(len, waveforms)))
    np.testing.assert_array_equal(found, expected)


EXPECTED = {
    "system_padded_waveform": {
        "padded waveform, SVC as it comes": "15–30 %",
        "MFCC, SVC as it comes": "70 %",
        "layer middle, scaled, SVC(C=10)": "not published",
        "layer middle, frames, LSTM": "not published",
    },
    "system_convolutional_head": {
        "random forest on eGeMAPS": ".525 (random: .557)",
        "convolutional head; noise, stretch, balanced": ".72 (fine-tuned)",
        "last 1 layers trained": ".68 (fine-tuned)",
    },
    "system_dropout_network": {"nano and nano, MLPHead": "not published"},
    "system_ready_model": {
        "random weights: chance": "0.656 accuracy on IEMOCAP (SUPERB's wav2vec2-large)"
    },
}
TRAINING = ["--seeds", "1", "--folds", "1", "--epochs", "2"]
OPTIONS = {
    "system_padded_waveform": TRAINING,
    "system_convolutional_head": [*TRAINING, "--fine-tune", "1"],
    "system_dropout_network": [*TRAINING, "--models", "nano", "nano"],
    "system_ready_model": [],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_each_script_prints_what_its_author_got(script, table, tmp_path, capsys, name):
    if name == "system_convolutional_head":
        pytest.importorskip("audiomentations")
    out = tmp_path / "report.md"
    corpus = ["--corpus", "table", "--data", str(table), "--out", str(out)]
    script(name).main([*corpus, *OPTIONS[name]])
    text = out.read_text()
    assert text in capsys.readouterr().out
    found = rows_of(text)
    assert EXPECTED[name].items() <= {k: row["its author got"] for k, row in found.items()}.items()
    for row in found.values():
        assert 0 <= float(re.match(r"[\d.]+", row["UAR"])[0]) <= 1
    assert "Chance is a UAR of 0.250" in text
    assert str(tmp_path) not in text


def test_clips_of_emotions_that_a_ready_model_does_not_know_are_left_out(script, table):
    ready = script("system_ready_model")
    corpus = script("_systems").corpus_of(options_of(script, table))

    class Knows:
        classes_ = np.array(["anger", "sadness", "surprise"])

    known = ready.known_to(Knows(), corpus)
    assert sorted(set(known.y)) == ["anger", "sadness"]
    assert len(known.X) == len(known.groups) == len(known.frame) == len(corpus.y) / 2
    assert [str(path) for path in known.frame["path"]] == known.X
