import html
import json
import re
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import soundfile

from sklearn_ser import MFCCEmbedder
from sklearn_ser._utils import FORMATS
from sklearn_ser.cli import NAMED, main
from sklearn_ser.cli._predict import _draw
from sklearn_ser.cli._train import _parts
from sklearn_ser.datasets import make_emotional_speech, pool_corpora
from sklearn_ser.evaluation import compare
from sklearn_ser.exceptions import LeakageWarning
from sklearn_ser.recognition import EmotionRecognizer, OutOfDomainDetector, load_recognizer


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    for i, ((waveform, rate), emotion, speaker) in enumerate(
        zip(corpus.X, corpus.y, corpus.groups, strict=True)
    ):
        (folder / emotion).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / emotion / f"{speaker}_{i:02d}.flac", waveform, rate)
    return folder


def test_compare_writes_table_json_and_figures(clips, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = f"compare --corpus folder --data {clips} --features mfcc egemaps --out {out} "
    assert main([*arguments.split(), "--speaker", "^(s[0-9]+)_", "--classifier", "lda"]) == 0
    results = json.loads((out / "results.json").read_text())
    assert [row["features"] for row in results["rows"]] == ["mfcc", "egemaps"]
    assert results["n_speakers"] == 4
    printed = capsys.readouterr().out
    assert f"{results['rows'][0]['uar']:.3f}" in printed
    for name in ("uar.png", "differences.png", "confusion_matrix.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
        assert name in printed
    assert "report.html" in printed
    page = (out / "report.html").read_text()
    assert f"sklearn-ser compare --corpus folder --data {clips}" in html.unescape(page)


def test_compare_says_for_whom_its_scores_hold(clips, tmp_path, capsys):
    arguments = f"compare --corpus folder --data {clips} --features mfcc --classifier lda --quiet"
    arguments += f" --out {tmp_path / 'out'} --speaker-scaling own"
    assert main([*arguments.split(), "--speaker", "^(s[0-9]+)_"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "scaled per speaker (transductive)" in printed
    assert "Audit: Speaker-independent" in printed


def test_audit_exits_with_what_it_found(clips, tmp_path, capsys):
    out = tmp_path / "audit"
    arguments = ["audit", "--corpus", "folder", "--data", str(clips), "--speaker", "^(s[0-9]+)_"]
    assert main([*arguments, "--no-audio"]) == 0
    assert "No audio" not in capsys.readouterr().out
    copy = clips / "anger" / "s09_copy.wav"
    soundfile.write(copy, *soundfile.read(sorted((clips / "anger").iterdir())[0]))
    assert main([*arguments, "--out", str(out)]) == 1
    assert "LEAK: the audio of 2 test clips" in " ".join(capsys.readouterr().out.split())
    pairs = pd.read_csv(out / "pairs.csv")
    assert pairs["kind"].tolist() == ["identical"] * 2
    assert str(copy) in pairs["test_path"].tolist()
    assert set(pairs["test_speaker"]) == set(pairs["train_speaker"])
    assert pd.read_csv(out / "folds.csv")["n_identical"].sum() == 2


@pytest.mark.slow
def test_cross_takes_a_name_and_a_place(clips, tmp_path, capsys):
    arguments = ["cross", "synthetic", f"folder={clips}", "--speaker", "^(s[0-9]+)_", "--quiet"]
    arguments += ["--features", "mfcc", "--classifier", "lda", "--align", "none", "standardize"]
    with warnings.catch_warnings():
        # These clips are some of the synthetic corpus's own.
        warnings.simplefilter("default", LeakageWarning)
        assert main([*arguments, "--out", str(tmp_path / "cross")]) == 0
    rows = json.loads((tmp_path / "cross" / "results.json").read_text())["rows"]
    assert sum(row["transductive"] for row in rows) == 2
    printed = capsys.readouterr()
    assert all(f"{row['uar']:.3f}" in printed.out for row in rows)
    (warning,) = printed.err.splitlines()
    assert re.match("warning: synthetic speech → .*LEAK: the audio of 32 test", warning)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_embed_writes_the_matrix(clips, tmp_path, suffix):
    out = tmp_path / f"matrix{suffix}"
    assert main(["embed", str(clips), "--features", "mfcc", "--out", str(out), "--quiet"]) == 0
    paths = sorted(str(path) for path in clips.rglob("*.flac"))
    embedder = MFCCEmbedder()
    expected = embedder.fit_transform(paths)
    if suffix == ".npz":
        with np.load(out) as written:
            assert written["clips"].tolist() == paths
            matrix, names = written["X"], written["features"].tolist()
    else:
        frame = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
        assert frame.pop("clip").tolist() == paths
        matrix, names = frame.to_numpy(), frame.columns.tolist()
    np.testing.assert_allclose(matrix, expected, rtol=1e-6)
    assert names == embedder.get_feature_names_out().tolist()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "model.skops"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_SER_CACHE", str(tmp_path_factory.mktemp("records")))
        arguments = ["train", "synthetic", "--features", "mfcc", "--classifier", "lda", "--quiet"]
        assert main([*arguments, "--no-audio-audit", "--out", str(out)]) == 0
    return out


def test_a_card_says_what_was_trained(trained, capsys):
    assert main(["card", str(trained)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    card = load_recognizer(trained).card_
    assert f"UAR {card.new_speakers['uar']:.3f}" in printed
    assert "trained on synthetic speech" in printed
    assert "mfcc" in printed


def test_a_card_counts_the_clips_that_were_trained_on():
    one = make_emotional_speech(3, 1, ["anger", "fear", "neutral"], random_state=0)
    two = make_emotional_speech(2, 1, ["anger", "sadness"], random_state=1)
    parts = _parts(pool_corpora({"one": one, "two": two}, "four"))
    counts = [(part.name, sorted(part.y), len(set(part.groups))) for part in parts]
    assert counts == [
        ("one", ["anger"] * 3 + ["neutral"] * 3, 3),
        ("two", ["anger"] * 2 + ["sadness"] * 2, 2),
    ]


def test_recordings_of_one_name_are_drawn_apart(tmp_path):
    rows = {"start": [0.0, 1.0] * 2, "end": [1.0, 2.0] * 2, "emotion": "a", "a": 1.0}
    rows |= {"recording": ["x/r.wav"] * 2 + ["y/r.wav"] * 2, "out_of_domain": 0.5}
    _draw(pd.DataFrame(rows), ["a"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.wav-2.png", "r.wav.png"]


def test_predict_prints_a_table_and_draws_long_recordings(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    corpus = make_emotional_speech(n_speakers=2, n_sentences=3, random_state=5)
    soundfile.write(tmp_path / "long.mp3", np.concatenate([x for x, _ in corpus.X]), 16000)
    soundfile.write(tmp_path / "short.wav", *corpus.X[0])
    arguments = ["predict", str(trained), str(tmp_path), "--timeline", str(tmp_path / "png")]
    assert main([*arguments, "--abstain", "never", "--hop", "1"]) == 0
    printed = capsys.readouterr()
    assert "short.wav" in printed.out
    assert "recognize: " in printed.err
    assert "of 1 of 2 recordings: they have fewer than two windows" in printed.err
    assert [path.name for path in (tmp_path / "png").iterdir()] == ["long.mp3.png"]
    assert (tmp_path / "png" / "long.mp3.png").read_bytes().startswith(b"\x89PNG")


def test_predict_that_draws_no_timeline_says_so_and_leaves_no_earlier_one(
    trained, tmp_path, capsys
):
    corpus = make_emotional_speech(n_speakers=2, n_sentences=3, random_state=5)
    speech = np.concatenate([x for x, _ in corpus.X])
    pictures = tmp_path / "png"
    arguments = ["predict", str(trained), str(tmp_path / "a.wav"), "--timeline", str(pictures)]
    statuses = []
    for seconds in (8, 1):
        soundfile.write(tmp_path / "a.wav", speech[: seconds * 16000], 16000)
        statuses.append(main([*arguments, "--abstain", "never", "--quiet"]))
        if seconds == 8:
            (pictures / "b.wav.png").write_bytes((pictures / "a.wav.png").read_bytes())
    assert statuses == [0, 1]
    assert "No timeline was drawn" in capsys.readouterr().err
    # That of another recording is no remainder of this one.
    assert [path.name for path in pictures.iterdir()] == ["b.wav.png"]


@pytest.mark.slow
def test_results_are_not_mixed_with_earlier_ones(clips, tmp_path):
    out, names = tmp_path / "out", ["results.json", "predictions.csv"]
    drawn = ["uar", "recall", "speakers", "confusion_matrix", "reliability", "risk_coverage"]
    drawn += ["embedding_map"]
    figures = ["report.html", *(f"{name}.{suffix}" for name in drawn for suffix in FORMATS)]
    given = ["--speaker", "^(s[0-9]+)_", "--classifier", "lda", "--quiet", "--no-audio-audit"]
    given += ["--features", "mfcc", "--out", str(out)]
    compared = ["compare", "--corpus", "folder", "--data", str(clips), *given]
    compared += ["--format", *FORMATS]

    def files():
        return {path.name: path.read_bytes() for path in out.iterdir() if path.name != "fits"}

    assert main(compared) == 0
    first = files()
    assert set(first) == {*names, *figures}
    assert main([*compared, "--pooling", "max"]) == 0
    second = files()
    assert set(second) == set(first)
    assert all(first[name] != second[name] for name in first if name != "predictions.csv")
    (out / "notes.txt").write_text("mine")
    assert main(["cross", "synthetic", f"folder={clips}", *given]) == 0
    assert set(files()) == {*names, "notes.txt"}
    # A figure of the user's own is no earlier result, whatever it is called.
    (out / "uar.png").write_bytes(b"mine")
    corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    compare(corpus, ["mfcc"], classifier="lda", audit=False).save(out)
    assert set(files()) == {*names, "report.html", "notes.txt", "uar.png"}
    assert files()["uar.png"] == b"mine"


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_predict_writes_rows_and_says_what_could_not_be_used(trained, tmp_path, capsys, suffix):
    corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=5)
    folder = tmp_path / "clips"
    folder.mkdir()
    for i, (waveform, rate) in enumerate(corpus.X[:3]):
        soundfile.write(folder / f"{i}.wav", waveform, rate)
    (folder / "3.wav").write_bytes(b"")
    out = tmp_path / "out" / f"rows{suffix}"
    arguments = ["predict", str(trained), str(folder), "--abstain", "never", "--quiet"]
    assert main([*arguments, "--out", str(out)]) == 1
    assert "clip 3 (3.wav): empty, 0 bytes" in capsys.readouterr().err
    read = {".csv": pd.read_csv, ".json": pd.read_json, ".jsonl": pd.read_json}[suffix]
    rows = read(out, lines=True) if suffix == ".jsonl" else read(out)
    expected = load_recognizer(trained, cache=None).recognize(
        sorted(map(str, folder.iterdir())), abstain=None
    )
    assert rows["emotion"].tolist()[:3] == expected["emotion"].tolist()[:3]
    np.testing.assert_allclose(rows["anger"], expected["anger"], rtol=1e-5)
    assert rows["note"].iloc[3] == expected["note"].iloc[3]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_predict_that_fails_before_its_first_row_leaves_an_earlier_file(
    trained, tmp_path, speech, monkeypatch, suffix
):
    soundfile.write(tmp_path / "a.wav", speech(0), 16000)
    out = tmp_path / f"rows{suffix}"
    out.write_text("earlier")
    monkeypatch.setattr(EmotionRecognizer, "predict_proba", lambda _, X: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["predict", str(trained), str(tmp_path / "a.wav"), "--out", str(out), "--quiet"])
    assert out.read_text() == "earlier"


def test_predict_counts_features_that_are_not_finite_as_unusable_and_abstentions_not(
    trained, tmp_path, capsys, monkeypatch
):
    (waveform, rate), *_ = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=5).X
    soundfile.write(tmp_path / "a.wav", waveform, rate)
    arguments = ["predict", str(trained), str(tmp_path / "a.wav"), "--quiet", "--abstain"]
    monkeypatch.setattr(OutOfDomainDetector, "quantiles", lambda _, X: np.full(len(X), 0.5))
    assert main([*arguments, "0.4"]) == 0
    assert "abstained" in capsys.readouterr().out
    monkeypatch.setattr(
        EmotionRecognizer, "predict_proba", lambda _, X: np.full((len(X), 4), np.nan)
    )
    assert main([*arguments, "0.4"]) == 1
    assert "clip 0 (a.wav): its features are not finite" in capsys.readouterr().err


@pytest.mark.parametrize("again", ["a.wav", "./a.wav", "."])
def test_predict_refuses_a_recording_that_is_given_twice(
    trained, tmp_path, speech, capsys, monkeypatch, again
):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", speech(0), 16000)
    assert main(["predict", str(trained), "a.wav", again, "--quiet"]) == 2
    assert "1 recordings are given twice: " in capsys.readouterr().err


def test_cache_is_shown_and_cleared(clips, tmp_path, capsys):
    main(["embed", str(clips), "--features", "mfcc", "--out", str(tmp_path / "m.csv"), "--quiet"])
    capsys.readouterr()
    assert main(["cache"]) == 0
    assert "n_mels=128" in capsys.readouterr().out
    assert main(["cache", "--clear"]) == 0
    capsys.readouterr()
    main(["cache"])
    assert "mfcc" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compare --corpus esd", "the corpus esd needs its folder or file: --data PATH"),
        ("cross synthetic", "needs two corpora or more"),
        ("cross synthetic esd", "needs its folder or file: --data PATH, or esd=PATH"),
        ("cross synthetic speech=x", "unknown corpus 'speech'; known are synthetic, cremad"),
        ("cross synthetic synthetic", "two corpora are called 'synthetic speech'"),
        ("compare --corpus emodb --data nowhere", "no such folder: nowhere"),
        ("embed nowhere.wav --features mfcc --out m.csv", "clip 0 (nowhere.wav): no such file"),
        ("embed nowhere.wav --features mfcc --out m.txt", "must end in .parquet, .csv, .npz"),
        ("embed nowhere.wav --features mine --out m.csv", "unknown features 'mine'"),
        ("compare --corpus emodb --data . --features mine", "unknown features 'mine'"),
        ("cross emodb=. synthetic --features mine", "unknown features 'mine'"),
        ("train emodb=. --features mine --out m.skops", "unknown features 'mine'"),
        ("train synthetic --out m.pkl", "must end in .skops"),
        ("train esd --out m.skops", "needs its folder or file: --data PATH, or esd=PATH"),
        ("predict nowhere.skops x.wav", "No such file or directory: 'nowhere.skops'"),
        ("predict nowhere.skops x.wav --out m.txt", "must end in .csv, .jsonl, .json"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*arguments.split(), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("corpus", NAMED)
def test_every_named_corpus_has_its_loader(corpus, capsys, tmp_path):
    assert main(["compare", "--corpus", corpus, "--data", str(tmp_path), "--quiet"]) == 2
    assert "no clips of" in capsys.readouterr().err


def test_bad_layer_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["compare", "--layer", "last"])
    assert "'last' is not a number" in capsys.readouterr().err


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_drawn_on_standard_error_where_it_is_a_terminal(
    clips, tmp_path, capfd, monkeypatch, is_terminal
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    out = tmp_path / "m.csv"
    main(["embed", str(clips), "--features", "mfcc", "--out", str(out)])
    captured = capfd.readouterr()
    assert ("mfcc: 100%" in captured.err) == is_terminal
    assert "mfcc: " not in captured.out
