"""Several corpora on the command line, by whichever loader."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from sklearn_ser.cli import _parser, main
from sklearn_ser.cli._corpora import load_corpora
from sklearn_ser.datasets import load_folder, load_table, make_emotional_speech
from sklearn_ser.evaluation import Comparison, CorporaComparison, compare


def write_folder(place, seed):
    corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=seed)
    for i, (clip, emotion, name) in enumerate(zip(corpus.X, corpus.y, corpus.groups, strict=True)):
        (place / emotion).mkdir(parents=True, exist_ok=True)
        soundfile.write(place / emotion / f"{name}_{i}.wav", *clip)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Run where two corpora lie, one a folder an emotion each, and one with a table of it."""
    write_folder(tmp_path / "first", 0)
    write_folder(tmp_path / "second", 1)
    lines = ["path,emotion,speaker"]
    for path in sorted((tmp_path / "second").glob("*/*.wav")):
        lines.append(f"second/{path.parent.name}/{path.name},{path.parent.name},{path.stem[:3]}")
    (tmp_path / "second.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


FEATURES = ["mfcc", "egemaps"]
COMMON = ["--features", "mfcc", "egemaps", "--classifier", "lda", "--no-audio-audit", "--quiet"]
SPEAKER = ["--speaker", r"(s\d+)_"]


def test_corpora_stand_side_by_side(place, capsys):
    given = ["compare", "folder=first", "table=second.csv", *SPEAKER, *COMMON, "--out", "both"]
    assert main([*given, "--format", "svg"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "UAR by corpus" in printed
    assert "Nemenyi's critical difference" in printed
    found = CorporaComparison.load("both")
    assert list(found) == ["first", "second"]
    alone = compare(
        load_folder("first", speaker=SPEAKER[1]), FEATURES, classifier="lda", audit=False
    )
    assert [row.uar for row in found["first"].rows] == [row.uar for row in alone.rows]
    for row in found["first"].rows:
        assert f"{row.uar:.3f}" in printed
    for name in ("first", "second"):
        assert {"report.html", "results.json", "uar.svg"} <= {
            path.name for path in (place / "both" / name).iterdir()
        }
    page = (place / "both" / "report.html").read_text()
    assert 'href="second/report.html"' in page
    assert "http" not in page.replace("http-equiv", "")
    assert r"\toprule" in (place / "both" / "table.tex").read_text()


@pytest.mark.slow
def test_several_corpora_are_repeated_from_their_record(place, capsys):
    given = ["compare", "folder=first", "table=second.csv", *SPEAKER, *COMMON, "--out", "both"]
    assert main(given) == 0
    assert main(["compare", "--from", "both", "--quiet"]) == 0
    assert "All scores and predictions" in capsys.readouterr().out
    file = place / "both" / "second" / "results.json"
    changed = json.loads(file.read_text())
    changed["rows"][0]["uar"] += 0.25
    file.write_text(json.dumps(changed))
    assert main(["compare", "--from", "both", "--quiet"]) == 1
    assert "Differs, second: " in capsys.readouterr().out


@pytest.mark.slow
def test_one_that_is_named_is_compared_as_in_python(place):
    main(["compare", "table=second.csv", *COMMON, "--out", "named"])
    named = Comparison.load("named")
    option = compare(load_table("second.csv"), FEATURES, classifier="lda", audit=False)
    assert named.digests == option.digests
    assert named.predictions["predicted"].tolist() == option.predictions["predicted"].tolist()
    assert main(["audit", "table=second.csv", "--no-audio"]) == 0


@pytest.mark.slow
def test_a_dataset_of_hugging_face(place):
    datasets = pytest.importorskip("datasets")
    paths = sorted(map(str, (place / "first").glob("*/*.wav")))
    columns = {
        "audio": paths,
        "label": [path.split("/")[-2] for path in paths],
        "who": [path.split("/")[-1][:3] for path in paths],
    }
    dataset = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio())
    datasets.DatasetDict({"all": dataset}).save_to_disk("hf")
    given = ["huggingface:all=hf", "--speaker-column", "who"]
    assert main(["compare", *given, *COMMON, "--out", "out"]) == 0
    same = compare(
        load_folder("first", speaker=SPEAKER[1]), FEATURES, classifier="lda", audit=False
    )
    found = [row.uar for row in Comparison.load("out").rows]
    np.testing.assert_allclose(found, [row.uar for row in same.rows])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("synthetic --corpus emodb", "--corpus has no effect beside synthetic"),
        ("synthetic --data first", "--data has no effect beside synthetic"),
        ("folder=first folder=first --speaker (s\\d+)_", "two corpora are called 'first'"),
        ("nowhere=first", "unknown corpus 'nowhere'; known are synthetic, cremad"),
        ("emobox=first", "EmoBox has many corpora: name one, such as emobox:iemocap=PATH"),
        ("emodb:x=first", "emodb:x: the corpus emodb has no parts"),
        ("huggingface=hf --path-column sound --root x", "--root has no effect on huggingface"),
        ("table=second.csv --speaker x", "--speaker has no effect on table: it is for the corpus"),
        ("synthetic=first", "first has no effect: the synthetic corpus is made"),
        ("esd", "the corpus esd needs its folder or file"),
    ],
)
def test_what_names_no_corpora_is_refused(place, arguments, message, capsys):
    assert main(["compare", *arguments.split(), *COMMON]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_an_audit_is_of_one_corpus(place, capsys):
    assert main(["audit", "synthetic", "table=second.csv", "--no-audio"]) == 2
    assert "one corpus is needed, and synthetic speech and 1 more" in capsys.readouterr().err


def test_a_table_of_several_corpora_is_split_by_its_column(place, capsys, recwarn):
    lines = pd.read_csv("second.csv").iloc[::-1]
    corpora = ["b" if emotion in ("anger", "sadness") else "a" for emotion in lines["emotion"]]
    lines = lines.assign(corpus=corpora)  # each has all speakers
    lines.to_csv("both.csv", index=False)
    given = ["compare", "table=both.csv", "--corpus-column", "corpus", *COMMON, "--out", "split"]
    found = load_corpora(_parser().parse_args(given))
    assert list(found) == lines["corpus"].unique().tolist()
    for name, corpus in found.items():
        rows = lines[lines["corpus"] == name]
        assert rows["path"].tolist() == corpus.X
        assert corpus.y.tolist() == rows["emotion"].tolist()
        assert corpus.groups.tolist() == rows["speaker"].tolist()
    assert not [w for w in recwarn if "several corpora" in str(w.message)]
    lines.assign(arousal=np.linspace(0.01, 1, len(lines))).to_csv("rated.csv", index=False)
    rated = ["audit", "table=rated.csv", "--corpus-column", "corpus", "--emotion-column", "arousal"]
    split = load_corpora(_parser().parse_args(rated))
    assert [corpus.rating for corpus in split.values()] == ["arousal"] * 2
    assert main([*given[:3], "group", *COMMON]) == 2
    assert "both.csv has no column 'group'" in " ".join(capsys.readouterr().err.split())
    lines.assign(corpus=["a", *[None] * (len(lines) - 1)]).to_csv("both.csv", index=False)
    assert main(given) == 2
    assert f"{len(lines) - 1} rows name no corpus" in " ".join(capsys.readouterr().err.split())
