"""Each planted defect is named, alone; healthy embeddings are left alone."""

import re
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import soundfile
from scipy.stats import spearmanr
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser.audit import diagnose
from sklearn_ser.datasets import load_emodb, load_folder

RATE = 16000


def synthetic():
    """Return embeddings with something of emotions, speakers, durations and levels in them."""
    rng = np.random.default_rng(0)
    y = np.tile(["anger", "fear", "neutral", "sadness"], 50)
    groups = np.repeat([f"s{i}" for i in range(10)], 20)
    lengths = rng.integers(1600, 6400, 200)
    levels = 10 ** rng.uniform(-2, -0.5, 200)
    noise = [rng.normal(size=n) for n in lengths]
    # Smoothed, as neighbouring samples of speech are alike.
    clips = [level * np.convolve(x, np.ones(8) / 8) for x, level in zip(noise, levels, strict=True)]
    X = rng.normal(size=(200, 64))
    for labels, size in ((y, 1.0), (groups, 0.3)):
        codes = np.unique(labels, return_inverse=True)[1]
        X += size * rng.normal(size=(codes.max() + 1, 64))[codes]
    X[:, 0] += lengths / 800
    X[:, 1] += 3 * np.log(levels)
    return SimpleNamespace(X=X, y=y, groups=groups, clips=[(x, RATE) for x in clips])


@pytest.fixture(scope="module")
def real(emodb):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # 339 of 535 clips
        corpus = load_emodb(emodb)
    X = MFCCEmbedder(cache=None).fit_transform(corpus.X)
    clips = [soundfile.read(path, dtype="float32") for path in corpus.X]
    return SimpleNamespace(X=X, y=corpus.y, groups=corpus.groups, clips=clips)


@pytest.fixture(params=["synthetic", "real"])
def case(request):
    given = synthetic() if request.param == "synthetic" else request.getfixturevalue("real")
    return SimpleNamespace(**{**vars(given), "X": np.array(given.X, dtype=float)})


def normalized(values):
    return (values - values.mean()) / values.std()


def durations_of(case):
    return np.array([len(x) / rate for x, rate in case.clips])


def levels_of(case):
    return np.array([20 * np.log10(np.sqrt(np.mean(np.square(x)))) for x, _ in case.clips])


def feature_extractor(case, **how):
    from transformers import Wav2Vec2FeatureExtractor

    waveforms = [np.asarray(x, dtype=np.float32) for x, _ in case.clips]
    extract = Wav2Vec2FeatureExtractor(**how)
    return extract(waveforms, sampling_rate=RATE, padding=True, return_tensors="np").input_values


def put_gaps(case):
    case.X[[5, 5, 9], [3, 4, 4]] = [np.nan, np.inf, -np.inf]


def pad_waveforms(case):
    case.X = feature_extractor(case, return_attention_mask=True)


def pad_waveforms_before_normalising(case):
    """What comes of it is not zero, and another value in each row."""
    case.X = feature_extractor(case, return_attention_mask=False)
    assert len(np.unique(case.X[:, -1])) > len(case.X) / 2


def cut_or_pad(case):
    """As librosa.util.fix_length does, at the median length."""
    length = int(np.median([len(x) for x, _ in case.clips]))
    case.X = np.array([np.pad(x[:length], (0, max(0, length - len(x)))) for x, _ in case.clips])


def cut_or_pad_clips(case):
    cut_or_pad(case)
    case.clips, case.X = [(x, RATE) for x in case.X], case.embeddings


def pad_frames(case):
    """Flattened frames of five features, a hundred a second."""
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=5 * (len(x) // (RATE // 100))) for x, _ in case.clips]
    case.X = np.zeros((len(frames), max(map(len, frames))))
    for row, given in zip(case.X, frames, strict=True):
        row[: len(given)] = given


def make_constant(case):
    case.X[:, 10:15] = [0, 1, -1, 1e6, 0.1]
    case.X[3:, 15] = 0.0


def unscale(case):
    case.X[:, ::4] *= 1000


def unscale_one(case):
    case.X[:, 7] *= 1e4


def repeat_rows(case):
    case.X[20:25] = case.X[:5]
    case.X[30] = case.X[0] * (1 + 1e-9)


def sum_over_frames(case):
    case.X += 3 * case.X.std(axis=0) * normalized(durations_of(case))[:, np.newaxis]


def leave_levels(case):
    case.X += 3 * case.X.std(axis=0) * normalized(levels_of(case))[:, np.newaxis]


def offset_speakers(case):
    names, codes = np.unique(case.groups, return_inverse=True)
    offsets = np.random.default_rng(0).normal(size=(len(names), case.X.shape[1]))
    case.X += case.X.std(axis=0) * offsets[codes]


def shuffle_labels(case):
    case.y = np.random.default_rng(1).permutation(case.y)


def transpose(case):
    case.X = case.X.T


PLANTED = {
    put_gaps: ("not-finite", "error", r"3 of .* values are NaN or infinite, in 2 rows \(rows 5, 9"),
    pad_waveforms: ("padded", "error", "look like padded waveforms, not embeddings"),
    pad_waveforms_before_normalising: ("padded", "error", "look like padded waveforms, not emb"),
    pad_frames: ("padded", "error", "look like padded waveforms or frames, not embeddings"),
    cut_or_pad: ("one-length", "error", "were cut or padded to one length"),
    cut_or_pad_clips: ("one-length", "warning", r"(200 of 200|339 of 339) last .* end in"),
    make_constant: ("constant-columns", "warning", r"6 of \d+ columns hold one value .*, 5 in all"),
    unscale: ("unscaled", "warning", "hold 90 % of the variance"),
    unscale_one: (
        "unscaled",
        "warning",
        "1 of .* columns hold 90 % of the variance, the .* column 7",
    ),
    repeat_rows: ("duplicates", "error", r"6 of \d+ rows are copies of others, in 5 groups"),
    sum_over_frames: ("duration", "warning", "The duration of clips explains"),
    leave_levels: ("loudness", "warning", "The loudness of clips explains"),
    offset_speakers: ("speakers", "warning", "cluster by speaker: their silhouette is"),
    shuffle_labels: ("chance", "warning", r"with a UAR of 0\.[123].* chance 0\.25"),
    transpose: ("transposed", "error", "is features × clips"),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_named_and_nothing_else(plant, case):
    code, severity, problem = PLANTED[plant]
    case.embeddings = case.X
    healthy = diagnose(case.X, case.y, case.groups, clips=case.clips)
    assert healthy.findings == []
    assert healthy.not_checked == {}
    plant(case)
    found = diagnose(case.X, case.y, case.groups, clips=case.clips)
    assert found.codes == [code], str(found)
    (finding,) = found.findings
    assert finding.severity == severity
    assert re.search(problem, finding.problem), finding.problem
    assert finding.remedy
    assert f"{severity.upper()} ({code}): {finding.problem}" in str(found)


@pytest.mark.slow
def test_the_padded_waveform_is_told_to_be_embedded(case):
    pad_waveforms(case)
    found = diagnose(case.X)
    assert found.codes == ["padded"]
    assert "SSLEmbedder" in found.findings[0].remedy
    assert "Wav2Vec2FeatureExtractor" in found.findings[0].remedy
    assert found.not_checked == {"all else": "columns are no features"}
    ends = {len(x) for x, _ in case.clips}
    assert f"{max(ends) - min(ends):,} of {max(ends):,} columns" in found.findings[0].problem


@pytest.mark.parametrize("fill", [0.0, -100.0, np.nan], ids=str)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_found_on_either_side_whatever_it_is_filled_with(side, fill):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 300))
    for row, length in zip(X, rng.integers(100, 300, 40), strict=True):
        row[length:] = fill
    found = diagnose(X if side == "right" else X[:, ::-1])
    assert found.codes == (["not-finite"] if np.isnan(fill) else []) + ["padded"]
    assert f"rows {'end' if side == 'right' else 'begin'} in a run" in found.findings[-1].problem


def test_sparse_and_one_hot_features_are_no_padding():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 200)) * (rng.random((100, 200)) < 0.15)
    assert diagnose(X).findings == []
    assert (
        diagnose(np.hstack([rng.normal(size=(100, 5)), np.eye(10)[np.arange(100) % 10]])).codes
        == []
    )


def test_waveforms_that_all_fill_their_rows_are_no_embeddings():
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.normal(size=(20, 2500)), axis=1)
    assert diagnose(X).codes == ["waveforms"]
    assert diagnose(rng.normal(size=(20, 2500))).codes == []


def test_measures_are_those_of_other_libraries():
    case = synthetic()
    found = diagnose(case.X, case.y, case.groups, clips=case.clips).measures
    Z = StandardScaler().fit_transform(case.X)
    assert found["silhouette_emotion"] == pytest.approx(silhouette_score(Z, case.y), abs=1e-5)
    assert found["silhouette_speaker"] == pytest.approx(silhouette_score(Z, case.groups), abs=1e-5)
    for name, values in (("duration", durations_of(case)), ("loudness", levels_of(case))):
        r = [spearmanr(column, values).statistic for column in case.X.T]
        assert found[f"{name}_share"] == pytest.approx(np.mean(np.square(r)), abs=1e-5)
    scale = case.X.std(axis=0)
    high, low = scale.max() / np.median(scale), np.median(scale) / np.quantile(scale, 0.1)
    assert found["scale_ratio"] == pytest.approx(max(high, low))
    assert found["chance"] == 0.25


def test_a_probe_of_emotions_is_tested_on_other_speakers():
    """Each speaker has emotions in directions of their own, which clips in other folds share."""
    rng = np.random.default_rng(0)
    y, groups = np.tile(["a", "b"], 80), np.repeat(np.arange(8), 20)
    X = rng.normal(size=(160, 60))
    X += 4 * rng.normal(size=(16, 60))[2 * groups + (y == "b")]
    assert diagnose(X, y).measures["emotion_uar"] > 0.9
    found = diagnose(X, y, groups)
    assert "chance" in found.codes
    assert found.measures["emotion_uar"] < 0.75


@pytest.mark.slow
def test_the_chance_finding_is_rare_with_signal_and_common_without():
    def has_finding(seed, signal):
        rng = np.random.default_rng(seed)
        y, groups = np.tile(["a", "b", "c"], 40), np.repeat(np.arange(10), 12)
        X = rng.normal(size=(120, 10))
        X[:, 0] += signal * (y == "a")
        X[:, 1] += signal * (y == "b")
        return "chance" in diagnose(X, y, groups).codes

    assert sum(has_finding(seed, 0.0) for seed in range(40)) >= 36
    assert sum(has_finding(seed, 1.5) for seed in range(40)) == 0


def test_speakers_with_one_emotion_each_are_confounded():
    case = synthetic()
    groups = np.char.add(case.y.astype("U8"), np.tile(np.repeat(["1", "2", "3"], [4, 4, 2]), 20))
    found = diagnose(case.X, case.y, groups)
    assert "confounded" in found.codes
    assert "UAR of 1.00 (chance 0.25)" in next(
        each.problem for each in found.findings if each.code == "confounded"
    )


def test_rows_of_clips_that_could_not_be_used_are_only_that():
    case = synthetic()
    case.X[[3, 8, 50]] = np.nan
    case.X[:, 5] = np.nan
    found = diagnose(case.X, case.y, case.groups, durations=durations_of(case))
    assert found.codes == ["not-finite"]
    assert "in 200 rows" in found.findings[0].problem
    everything = diagnose(np.full((20, 4), np.nan))
    assert everything.codes == ["not-finite"]
    assert "all else" in everything.not_checked


def test_copies_say_whether_their_labels_differ():
    case = synthetic()
    case.X[4] = case.X[0]  # both anger, of s0
    found = diagnose(case.X, case.y, case.groups).findings[0]
    assert (found.code, found.severity) == ("duplicates", "warning")
    assert "different" not in found.problem
    case.X[21] = case.X[0]  # fear, of s1
    found = diagnose(case.X, case.y, case.groups).findings[0]
    assert found.severity == "error"
    assert "1 of them with different emotions, 1 of them with different speakers" in found.problem
    assert "rows 0, 4, 21" in found.problem


def test_equal_durations_are_clips_of_one_length():
    case = synthetic()
    found = diagnose(case.X, durations=np.full(200, 3.0))
    assert found.codes == ["one-length"]
    assert "200 of 200 last 3 s." in found.findings[0].problem
    assert found.not_checked["duration"] == "clips last equally long"


@pytest.mark.parametrize("labels", [["anger"] * 200, [f"clip {i}" for i in range(200)]])
def test_labels_that_are_no_emotions_are_named(labels):
    case = synthetic()
    assert diagnose(case.X, labels, case.groups).codes == ["labels"]


def test_what_is_not_checked_is_said():
    case = synthetic()
    found = diagnose(case.X)
    assert found.findings == []
    assert set(found.not_checked) == {"duration", "loudness", "speakers", "emotions"}
    assert "Not checked: duration: neither durations nor clips are given" in str(found)
    one = diagnose(case.X, case.y, ["s1"] * 200)
    assert one.not_checked["speakers"] == "there is one only"


def test_a_diagnosis_shows_itself_as_text_table_and_html():
    frame = pd.DataFrame(synthetic().X).rename(columns={7: "<b>energy</b>"})
    frame.columns = frame.columns.astype(str)
    frame["<b>energy</b>"] *= 1e4
    found = diagnose(frame)
    assert str(found).startswith("200 clips × 64 features: 1 finding.\nWARNING (unscaled): ")
    assert "<b>energy</b>" in found.findings[0].problem
    table = found.to_frame()
    assert table.columns.tolist() == ["code", "severity", "problem", "remedy"]
    assert table.iloc[0].tolist() == list(found.findings[0])
    shown = found._repr_html_()
    assert "&lt;b&gt;energy" in shown
    assert "<b>" not in shown
    assert found.findings[0].remedy.split(":")[0] in shown
    assert "<table" not in diagnose(synthetic().X)._repr_html_()


@pytest.mark.parametrize(
    ("X", "given", "message"),
    [
        (np.zeros((20, 3, 4)), {}, r"X has 3 dimension\(s\), \(20, 3, 4\)"),
        (np.zeros(20), {}, "X has 1 dimension"),
        (scipy.sparse.eye_array(20), {}, r"pass X\.toarray\(\)"),
        ([["a.wav"]] * 20, {}, "X is no matrix of numbers"),
        (np.zeros((20, 2), complex), {}, "X is no matrix of numbers"),
        (np.ma.masked_equal(np.eye(20), 0), {}, "masked values"),
        (np.zeros((9, 2)), {}, "9 rows and 2 columns; 10 clips"),
        (np.zeros((20, 0)), {}, "20 rows and 0 columns"),
        (np.eye(20), {"y": ["a"] * 19}, "X has 20, y has 19 rows"),
        (np.eye(20), {"y": np.linspace(0, 1, 20)}, "targets of a regression"),
        (np.eye(20), {"y": ["a", None] * 10}, "10 of 20 clips have no label"),
        (np.eye(20), {"groups": [np.nan] * 20}, "20 of 20 clips have no speaker"),
        (np.eye(20), {"durations": [1.0] * 19 + [0.0]}, "1 of 20 are no positive number"),
        (np.eye(20), {"durations": [1.0] * 20, "clips": ["a"] * 20}, "no effect with clips"),
        (np.eye(20), {"waveform_rate": 16000}, "no effect without clips"),
    ],
)  # fmt: skip
def test_what_is_no_matrix_of_embeddings_is_refused(X, given, message):
    with pytest.raises(ValueError, match=message):
        diagnose(X, **given)


def test_what_is_given_is_not_changed():
    case = synthetic()
    case.X[3, 4] = np.nan
    before = case.X.copy()
    diagnose(case.X, case.y, case.groups, clips=case.clips)
    np.testing.assert_array_equal(case.X, before)


@pytest.fixture(scope="module")
def whisper_base(shared, tmp_path_factory):
    build = shared / "tools" / "build_whisper_base.py"
    folder = tmp_path_factory.mktemp("models") / "whisper-base"
    done = subprocess.run(
        [sys.executable, str(build), str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"Whisper base cannot be built here: {done.stderr.splitlines()[-1:]}")
    return str(folder)


EMBEDDERS = {
    "Whisper layer 3": lambda get: SSLEmbedder(get("whisper_base"), layer=3),
    "eGeMAPS scaled": lambda get: EGeMAPSEmbedder(),
    "nano": lambda get: SSLEmbedder("nano"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDERS)
def test_nothing_is_wrong_with_embeddings_of_real_speech(name, real, request):
    every = 3 if "Whisper" in name else 1  # it takes seconds a clip
    clips, y, groups = real.clips[::every], real.y[::every], real.groups[::every]
    X = EMBEDDERS[name](request.getfixturevalue).fit_transform(clips)
    if "scaled" in name:
        assert diagnose(X).codes == ["unscaled"]
        X = StandardScaler().fit_transform(X)
    found = diagnose(X, y, groups, clips=clips)
    assert found.findings == []
    assert found.not_checked == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:samples beyond full scale")
@pytest.mark.parametrize("name", ["eGeMAPS scaled", "nano"])
def test_urdu_is_confounded_and_nothing_else(name, shared, request):
    folder = shared / "corpora" / "urdu"
    if not folder.is_dir():
        pytest.skip("URDU is not in ../shared/corpora")
    corpus = load_folder(folder, speaker=r"(S[MF]\d+)_")
    X = EMBEDDERS[name](request.getfixturevalue).fit_transform(corpus.X)
    if "scaled" in name:
        X = StandardScaler().fit_transform(X)
    found = diagnose(X, corpus.y, corpus.groups, clips=corpus.X)
    assert found.codes == ["confounded"]
