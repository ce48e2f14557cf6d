"""The command line alone prints, and prints names as they are."""

import ast
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import Bunch

import sklearn_ser
from sklearn_ser import MFCCEmbedder
from sklearn_ser.audit import audit_split
from sklearn_ser.cli._tables import (
    print_audit,
    print_card,
    print_cross,
    print_rows,
    print_table,
    show,
    store_table,
)
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare, compare_across
from sklearn_ser.preprocessing import AudioAugmenter
from sklearn_ser.recognition import EmotionRecognizer, OutOfDomainDetector
from sklearn_ser.recognition._file import card_of
from sklearn_ser.store import Store

PACKAGE = Path(sklearn_ser.__file__).parent
NAME = "[red]a[/red]:key:[/x]"  # markup, an emoji and a tag that was never opened, to rich


@pytest.mark.parametrize(
    "path",
    [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "cli"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_only_the_command_line_prints(path):
    tree = ast.parse(path.read_text())
    called = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [name for name in called if name.rpartition(".")[2] in ("print", "Console")]


@pytest.fixture(scope="module")
def corpus():
    corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    y = [f"{emotion}{NAME}" for emotion in corpus.y]
    return Bunch(name=f"corpus{NAME}", X=corpus.X, y=y, groups=corpus.groups)


@pytest.fixture(scope="module")
def recognizer(corpus):
    embedder = MFCCEmbedder(5, cache=None)
    detector = OutOfDomainDetector([embedder])
    recognizer = EmotionRecognizer(embedder, "lda", detector=detector)
    return recognizer.fit(corpus.X, corpus.y, corpus.groups)


FEATURES = {f"mfcc{NAME}": MFCCEmbedder()}
GIVEN = {"classifier": "lda", "audit": False}


def printed_table(corpus, recognizer, tmp_path):
    print_table(compare(corpus, FEATURES, **GIVEN))
    return [corpus.name, *FEATURES]


def printed_clips_left_out(corpus, recognizer, tmp_path):
    broken = Bunch(**{**corpus, "X": [f"missing{NAME}.wav", *corpus.X[1:]]})
    print_table(compare(broken, ["mfcc"], on_error="nan", **GIVEN))
    return [f"missing{NAME}.wav"]


def printed_cross(corpus, recognizer, tmp_path):
    corpora = {f"one{NAME}": corpus, f"two{NAME}": corpus}
    print_cross(compare_across(corpora, FEATURES, scheme=None, **GIVEN))
    return [*corpora, *FEATURES]


def printed_audit(corpus, recognizer, tmp_path):
    audit = audit_split(corpus, [(range(4), range(4, 16))], audio=False)
    print_audit(audit)
    return ["1 given folds"]


def printed_card(corpus, recognizer, tmp_path):
    print_card(card_of(recognizer, [corpus]))
    return [corpus.name, f"anger{NAME}"]


def printed_rows(corpus, recognizer, tmp_path):
    rows = recognizer.recognize(corpus.X[:1], abstain=None)
    rows["recording"], rows["note"] = f"recording{NAME}.wav".replace("/", ""), f"note{NAME}"
    print_rows(rows)
    return [rows["recording"][0], f"note{NAME}", rows["emotion"][0]]


def printed_store(corpus, recognizer, tmp_path):
    store = Store(tmp_path / NAME.replace("/", ""))
    show(store_table(store))
    return [store.folder.name]


@pytest.mark.parametrize(
    "printed",
    [
        printed_table,
        printed_clips_left_out,
        printed_cross,
        printed_audit,
        printed_card,
        printed_rows,
        printed_store,
    ],
)
def test_names_are_printed_as_they_are(corpus, recognizer, tmp_path, monkeypatch, capsys, printed):
    monkeypatch.setenv("COLUMNS", "400")
    names = printed(corpus, recognizer, tmp_path)
    told = "".join(capsys.readouterr().out.split())  # what is long is wrapped
    assert [name for name in names if "".join(name.split()) not in told] == []


def test_what_a_store_holds_can_be_told_apart(tmp_path, monkeypatch, capsys):
    """Models without settings of their own, pinned ones, and one name with two sets of weights."""
    monkeypatch.setenv("COLUMNS", "400")
    store, key, weights = Store(tmp_path), "0" * 32, ["a" * 32, "b" * 32]
    for name, settings in [
        ("plain", {"meaning": "1", "weights": weights[0]}),
        ("pinned", {"weights": weights[0], "revision": "c" * 40}),
        ("twice", {"weights": weights[0]}),
        ("twice", {"weights": weights[1]}),
        ("damaged", {"rate": 8000}),
    ]:
        records = store.records("ssl", settings, name)
        records.write(key, np.zeros((1, 3), np.float32))
    (records.folder / "settings.json").write_text("{")
    clip = np.random.default_rng(0).uniform(-0.5, 0.5, 1600), 16000
    AudioAugmenter(["gain"], cache=tmp_path).fit_resample([clip], ["anger"])
    show(store_table(store))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert sorted((name, settings, clips) for name, settings, clips, *_ in cells) == [
        ("all", "", "6"),
        ("augmented copies", "(deleted by --clear only)", "1"),
        ("pinned", f"revision={'c' * 40}", "1"),
        ("plain", "(default)", "1"),
        ("ssl", "(they cannot be read)", "1"),
        *[("twice", f"weights={digest}", "1") for digest in weights],
    ]


@pytest.mark.parametrize(("model", "shows_all"), [("a/b", True), ("facebook/wav2vec2-base", False)])
def test_scores_are_left_out_before_names_are_folded(
    make_comparison, monkeypatch, capsys, model, shows_all
):
    monkeypatch.setenv("COLUMNS", "80")
    print_table(make_comparison({(f"ssl:{model}", layer): 0.5 for layer in (0, 1)}))
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if f"│ ssl:{model} │" in " ".join(line.split())]
    assert len(rows) == 3  # two layers and the nested score, each on one line
    assert ("macro F1" in printed.split("┡")[0]) is shows_all
    told = "In results.json: accuracy, macro F1, seconds." in " ".join(printed.split())
    assert told is not shows_all
