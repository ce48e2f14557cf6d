"""A comparison is repeated from its own record, and what differs is said."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sklearn_ser.cli import main
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import Comparison, compare
from sklearn_ser.evaluation import _fits as fits

GIVEN = r"compare --corpus folder --data CORPUS --speaker ^(s\d+)_ --features mfcc nano --layer 2"
GIVEN += " --classifier lda svm --no-audio-audit --quiet --out found"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a corpus in the folder CORPUS, and the results of a command in found."""
    folder = tmp_path_factory.mktemp("made")
    corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    for i, (clip, emotion, name) in enumerate(zip(corpus.X, corpus.y, corpus.groups, strict=True)):
        (folder / "CORPUS" / emotion).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "CORPUS" / emotion / f"{name}_{i}.wav", *clip)
    with contextlib.chdir(folder):
        assert main(GIVEN.split()) == 0
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """Return a copy of that folder, where the command line runs, as if it had been made there."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    results = tmp_path / "found" / "results.json"
    results.write_text(results.read_text().replace(str(made), str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def record(place):
    """Return the folder with the results."""
    return place / "found"


def repeated(capsys, *arguments):
    status = main(["compare", "--quiet", *map(str, arguments)])
    printed = capsys.readouterr()
    lines = printed.out.split("Written to")[1].splitlines()[1:] if printed.out else []
    return status, " ".join(" ".join(lines).split()), printed.err


def assert_same(found, expected):
    """Probabilities are products of float32, whose last bits depend on where in memory they lie."""
    columns = [name for name in expected if name != "confidence"]
    assert found[columns].equals(expected[columns])
    np.testing.assert_allclose(found["confidence"], expected["confidence"], rtol=1e-4)


@pytest.mark.parametrize("form", ["results.json", pytest.param(".", marks=pytest.mark.slow)])
def test_the_same_is_said_to_be_the_same(record, tmp_path_factory, monkeypatch, capsys, form):
    n_fits, fit = [], fits.fit_classifier
    monkeypatch.setattr(fits, "fit_classifier", lambda *a, **b: n_fits.append(1) or fit(*a, **b))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    status, told, _ = repeated(capsys, "--from", record / form)
    assert status == 0
    assert "All scores and predictions" in told
    assert "Differs" not in told
    assert len(n_fits) > 4 * 4  # though all of them were kept
    earlier, later = Comparison.load(record), Comparison.load(record / "again")
    assert_same(later.predictions, earlier.predictions)
    assert later.command == earlier.command
    assert earlier.command["directory"] == str(record.parent)
    status, told, _ = repeated(capsys, "--from", record / "again", "--out", "third")
    assert (status, "Differs" in told) == (0, False)
    assert_same(Comparison.load("third").predictions, earlier.predictions)


def change(record, edit):
    results = json.loads((record / "results.json").read_text())
    edit(results)
    (record / "results.json").write_text(json.dumps(results))


def other_versions(results):
    results["versions"] |= {"numpy": "1.0", "gone": "1.0"}


def other_results(results):
    results["rows"][0]["uar"] = 0.125
    results["rows"][2]["layer"] = 7
    results["nested"][0]["uar"] = 0.125
    results["nested"][1]["classifiers"][0] = "other"
    results["digests"]["audio"] = "x"
    results["classifier_parameters"]["svm"]["C"] = [1]


def other_weights(results):
    results["rows"][2]["embedder"]["computed"]["weights"] = "x"


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("edit", "status", "messages"),
    [
        (
            other_results,
            1,
            [
                "Differs: mfcc, lda: UAR 0.1250 → ",
                "Differs: digests: audio of the clips",
                "Differs: mfcc, nested: UAR 0.1250 → ",
                "Differs: nano, nested: other choices in the folds",
                "Differs: nano, layer 7, lda: is no row any",
                "nano, layer 2, lda: was no row before",
                "classifier_parameters: ",
            ],
        ),
        (other_versions, 0, ["Differs: numpy: 1.0 → ", "Differs: gone: 1.0 → none"]),
        (
            other_weights,
            1,
            ["nano, layer 2, lda: settings, weights or versions of its embedder differ"],
        ),
    ],
)
def test_whatever_differs_is_said(record, capsys, edit, status, messages):
    change(record, edit)
    found, told, _ = repeated(capsys, "--from", record / "results.json")
    assert found == status
    assert [message for message in messages if message not in told] == []
    assert told.count("Differs: ") == len(messages)
    assert ("All scores and predictions" in told) is (status == 0)


@pytest.mark.slow
def test_predictions_that_differ_are_counted(record, capsys):
    lines = (record / "predictions.csv").read_text().splitlines()
    for k in (3, 5):
        *others, _, confidence = lines[k].split(",")
        lines[k] = ",".join([*others, "boredom", confidence])
    (record / "predictions.csv").write_text("\n".join(lines) + "\n")
    status, told, _ = repeated(capsys, "--from", record / "results.json")
    assert (status, "mfcc, lda: 2 of 16 predictions differ" in told) == (1, True)


@pytest.mark.slow
def test_clips_that_have_changed_differ(record, capsys):
    path = sorted(record.parent.glob("CORPUS/*/*.wav"))[0]
    waveform, rate = soundfile.read(path)
    soundfile.write(path, waveform[::-1], rate)
    status, told, _ = repeated(capsys, "--from", record / "results.json")
    assert status == 1
    assert "Differs: digests: " in told


@pytest.mark.slow
def test_predictions_of_other_clips_are_not_compared_by_position(record, capsys):
    sorted(record.parent.glob("CORPUS/*/*.wav"))[0].unlink()
    status, told, _ = repeated(capsys, "--from", record / "results.json")
    assert status == 1
    assert "Differs: n_clips: 16 → 15" in told
    assert "digests: audio and labels of the clips; predictions are not compared one by" in told
    assert "predictions differ" not in told


@pytest.fixture
def sent(record, tmp_path_factory, monkeypatch):
    """Return a record that was made in a folder which is not here, with the corpus in HERE."""
    folder = tmp_path_factory.mktemp("another machine")
    for name in ("results.json", "predictions.csv"):
        shutil.copy(record / name, folder)
    (record.parent / "CORPUS").rename(folder / "HERE")
    change(folder, lambda results: results["command"].update(directory="/home/anna/thesis"))
    monkeypatch.chdir(folder)
    return folder


def test_a_record_from_another_machine_is_repeated_where_its_corpus_lies_here(sent, capsys):
    status, _, told = repeated(capsys, "--from", "results.json")
    assert status == 2
    assert "was made in /home/anna/thesis, which is not here" in told
    assert "sklearn-ser compare folder=PLACE --from results.json" in told
    status, told, _ = repeated(capsys, "folder=HERE", "--from", "results.json")
    assert status == 0
    assert "All scores and predictions" in told
    assert "Differs" not in told
    earlier, later = Comparison.load(sent), Comparison.load("again")
    assert_same(later.predictions, earlier.predictions)
    assert later.command == earlier.command


@pytest.mark.slow
def test_the_store_and_the_device_of_another_machine_are_not_used(sent, tmp_path, capsys):
    there = ["--cache", str(tmp_path / "there"), "--device", "cuda:7"]
    change(sent, lambda results: results["command"]["arguments"].extend(there))
    status, told, _ = repeated(capsys, "folder=HERE", "--from", "results.json")
    assert (status, "All scores and predictions" in told) == (0, True)
    assert not (tmp_path / "there").exists()


def test_one_of_several_corpora_is_repeated_from_its_own_results(place, capsys):
    shutil.copytree("CORPUS", "OTHER")
    for clip in sorted(place.glob("OTHER/*/s04_*.wav")):
        clip.unlink()
    compared = r"compare folder=CORPUS folder=OTHER --speaker ^(s\d+)_ --features mfcc --quiet"
    compared += " --classifier lda"
    assert main([*compared.split(), "--no-audio-audit", "--out", "two"]) == 0
    (results,) = [
        each for each in place.glob("two/*/results.json") if '"OTHER"' in each.read_text()
    ]
    shutil.copytree(results.parent, "sent")
    change(place / "sent", lambda results: results["command"].update(directory="/home/anna"))
    capsys.readouterr()
    places = ["folder=CORPUS", "folder=OTHER"]
    status, told, _ = repeated(capsys, *places, "--from", "sent/results.json")
    assert (status, "All scores and predictions" in told) == (0, True)
    (place / "OTHER").rename("ELSEWHERE")
    places[1] = "folder=ELSEWHERE"
    status, told, _ = repeated(capsys, *places, "--from", "sent/results.json")
    assert (status, "All scores and predictions" in told) == (0, True)


@pytest.mark.slow
def test_the_folder_of_a_tables_clips_is_asked_for_where_it_is_not_here(place, capsys):
    rows = [
        f"{path.relative_to('CORPUS')},{path.parent.name},{path.name[:3]}"
        for path in sorted(Path().glob("CORPUS/*/*.wav"))
    ]
    (place / "clips.csv").write_text("\n".join(["path,emotion,speaker", *rows]))
    given = "compare table=clips.csv --root CORPUS --features mfcc --classifier lda --quiet"
    assert main([*given.split(), "--no-audio-audit", "--out", "of_table"]) == 0
    (place / "CORPUS").rename("HERE")
    change(place / "of_table", lambda results: results["command"].update(directory="/home/anna"))
    capsys.readouterr()
    status, _, told = repeated(capsys, "--from", "of_table")
    assert (status, "compare table=PLACE --root PLACE --from of_table" in told) == (2, True)
    status, _, told = repeated(capsys, "table=clips.csv", "--from", "of_table")
    assert status == 2
    assert "--root CORPUS, which is not here: name table=PLACE --root PLACE." in told
    status, told, _ = repeated(capsys, "table=clips.csv", "--root", "HERE", "--from", "of_table")
    assert (status, "All scores and predictions" in told) == (0, True)


@pytest.mark.parametrize("corpora", ["emodb=HERE", "folder=HERE folder=HERE", "synthetic"])
def test_places_of_other_corpora_are_refused(sent, capsys, corpora):
    status, _, told = repeated(capsys, *corpora.split(), "--from", "results.json")
    assert status == 2
    assert "is of other corpora: name folder=PLACE." in told


def test_results_without_their_predictions_say_so(sent, capsys):
    (sent / "predictions.csv").unlink()
    status, _, told = repeated(capsys, "folder=HERE", "--from", "results.json")
    assert status == 2
    assert "predictions.csv is missing: results.json is read together with it." in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--root there", "--root has no effect with --from"),
        ("--features mfcc", "--features has no effect with --from"),
        ("--no-audio-audit --window 3", "--window, --no-audio-audit has no effect with --from"),
        ("--out found", "would overwrite the record that is repeated"),
    ],
)
def test_options_beside_a_record_are_refused(record, capsys, arguments, message):
    there = (record / "results.json").read_bytes()
    status, _, told = repeated(capsys, "--from", record / "results.json", *arguments.split())
    assert status == 2
    assert message in told
    assert (record / "results.json").read_bytes() == there


@pytest.mark.parametrize("name", ["nowhere", "found/predictions.csv", "found/results.old.json"])
def test_what_is_no_record_is_named(place, capsys, name):
    shutil.copy(place / "found" / "results.json", place / "found" / "results.old.json")
    status, _, told = repeated(capsys, "--from", name)
    assert status == 2
    assert f"--from {name} is neither a folder of results nor a results.json" in told


def test_records_of_python_cannot_be_repeated(place, capsys):
    corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    found = compare(corpus, ["mfcc"], classifier="lda", audit=False)
    assert found.command is None
    found.save(place / "out")
    assert Comparison.load(place / "out") == found
    status, _, told = repeated(capsys, "--from", place / "out" / "results.json")
    assert status == 2
    assert "was made in Python" in told
