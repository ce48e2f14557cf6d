"""Files that users exchange, however they are damaged: read, or a ValueError that names them.

`SKLEARN_SER_N_DAMAGED_EXCHANGE` sets how many files of each kind are damaged in the slow test,
1,000 by default; run

    SKLEARN_SER_N_DAMAGED_EXCHANGE=12500 pytest -m slow -s tests/test_damaged_exchange.py

for what came of 50,000.
"""

import io
import json
import os
import resource
import shutil
import time
import warnings
import zipfile
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from sklearn_ser import MFCCEmbedder
from sklearn_ser.datasets import load_emobox, load_table, make_emotional_speech
from sklearn_ser.evaluation import Comparison, compare
from sklearn_ser.model_selection import EmoBoxFolds
from sklearn_ser.recognition import (
    EmotionRecognizer,
    OutOfDomainDetector,
    load_recognizer,
    save_recognizer,
)

HANGS, GROWTH = 5.0, 300e3  # seconds; kB, of all files of a kind together
KINDS = ["recognizer", "table", "emobox", "results"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a whole file of each kind, and which one is damaged in it."""
    root = tmp_path_factory.mktemp("whole")
    corpus = make_emotional_speech(n_speakers=3, n_sentences=2, random_state=0)
    for kind in KINDS:
        (root / kind).mkdir()
    fitted = EmotionRecognizer(
        MFCCEmbedder(3, cache=None),
        "lda",
        detector=OutOfDomainDetector([MFCCEmbedder(3, cache=None)]),
    ).fit(corpus.X, corpus.y, corpus.groups)
    save_recognizer(fitted, root / "recognizer" / "model.skops", [corpus])
    table = pd.DataFrame({"path": [f"é{i}.wav" for i in range(6)], "emotion": ["joy", "fear"] * 3})
    table.assign(speaker=list("abcabc"), start=0.5).to_csv(root / "table" / "a.csv", index=False)
    place = root / "emobox" / "data" / "toy" / "fold_1"
    place.mkdir(parents=True)
    for split in ("train", "test"):
        lines = [
            {"key": f"{split}-{i}", "wav": f"a/{split}{i}.wav", "emo": emotion, "channel": 1}
            for i, emotion in enumerate(["happy", "sad", "angry"])
        ]
        text = "\n".join(json.dumps({**line, "length": 1.5}) for line in lines)
        (place / f"toy_{split}_fold_1.jsonl").write_text(text)
    (place.parent / "label_map.json").write_text('{"happy": "joy", "sad": "sadness"}')
    found = compare(corpus, ["mfcc"], classifier="lda", cache=None)
    found.save(root / "results")
    return root


DAMAGED = {
    "recognizer": ["model.skops"],
    "table": ["a.csv"],
    "emobox": ["data/toy/fold_1/toy_train_fold_1.jsonl", "data/toy/label_map.json"],
    "results": ["results.json", "predictions.csv"],
}
READ = {
    "recognizer": lambda folder: load_recognizer(folder / "model.skops"),
    "table": lambda folder: load_table(folder / "a.csv"),
    "emobox": lambda folder: (
        load_emobox(folder, "toy"),
        next(EmoBoxFolds(folder, "toy").split(None, groups=EMOBOX)),
    ),
    "results": lambda folder: Comparison.load(folder),
}
EMOBOX = [f"a/{split}{i}.wav" for split in ("train", "test") for i in range(3)]


def text_of(rng):
    values = ["", "null", "NaN", "-1", "1e999", "[" * 3000, "{}", '"\\ud800"', "\0", "é", "../../x"]
    values += ["9" * 400, "true", '"', ",,,,", "\r\n", "\ufeff", "/etc/passwd", "sklearn_ser.cli"]
    return values[rng.integers(len(values))].encode("utf-8", "surrogatepass")


def damage_text(rng, content):
    """Return content with some bytes, or some values, replaced, cut out or put in."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at, n_bytes = int(rng.integers(len(content) + 1)), int(rng.choice([1, 2, 5, 40, 1000]))
        kind = rng.integers(6)
        if kind == 0:
            content[at : at + n_bytes] = rng.bytes(n_bytes)
        elif kind == 1:
            del content[at : at + n_bytes]
        elif kind == 2:
            content[at:at] = text_of(rng)
        elif kind == 3:
            content = content[:at] or content
        elif kind == 4 and at < len(content):
            content[at] ^= 1 << int(rng.integers(8))
        else:  # a value
            marks = [i for i, byte in enumerate(content) if byte in b',:"{[ \n']
            first, last = sorted(rng.choice(marks, 2)) if len(marks) > 1 else (0, 0)
            if last - first < 200:
                content[first + 1 : last] = text_of(rng)
    return bytes(content)


def damage_archive(rng, content):
    """Damage an archive, or a file in it, so that the archive itself is whole."""
    if rng.random() < 0.4:
        return damage_text(rng, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "schema.json" if rng.random() < 0.7 else sorted(members)[rng.integers(len(members))]
    members[name] = damage_text(rng, members[name])
    if name == "schema.json" and rng.random() < 0.5:  # JSON still, with names of other things
        names = ["sklearn_ser.cli.__main__", "os", "builtins", "sklearn.svm", "numpy", "x", ""]
        parts = sorted(set(whole_schema(content).decode().split('"')))
        old, new = parts[rng.integers(len(parts))], names[rng.integers(len(names))]
        members[name] = whole_schema(content).replace(f'"{old}"'.encode(), f'"{new}"'.encode())
    file = io.BytesIO()
    with zipfile.ZipFile(
        file, "w", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED][rng.integers(2)]
    ) as out:
        for each, data in members.items():
            out.writestr(each, data)
    return file.getvalue()


def whole_schema(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("schema.json")


def read_damaged(whole, kind, numbers, folder):
    """Read each damaged file; return how many could be, what went wrong, and what took longest."""
    shutil.copytree(whole / kind, folder / kind)
    READ[kind](folder / kind)  # it can be read, and imports what it needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes, failures, longest = Counter(), [], 0.0
    for number in numbers:
        rng = np.random.default_rng([KINDS.index(kind), number])
        file = DAMAGED[kind][rng.integers(len(DAMAGED[kind]))]
        content = (whole / kind / file).read_bytes()
        damage = damage_archive if kind == "recognizer" else damage_text
        (folder / kind / file).write_bytes(damage(rng, content))
        begin = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                READ[kind](folder / kind)
            outcomes["read"] += 1
        except ValueError as error:
            outcomes["refused"] += 1
            place = str(folder / kind)
            named = place in str(error) or (kind == "table" and "table a" in str(error))
            if not named and not is_of_corpus(kind, error):
                failures.append(f"{number}: {error!r:.300} does not name the file")
        except BaseException as error:
            failures.append(f"{number}: {error!r:.300}")
        seconds = time.perf_counter() - begin
        longest = max(longest, seconds)
        if seconds > HANGS:
            failures.append(f"{number}: took {seconds:.1f} s")
        (folder / kind / file).write_bytes(content)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if growth > GROWTH:
        failures.append(f"memory grew by {growth / 1e3:.0f} MB")
    return outcomes, failures, longest, growth


def is_of_corpus(kind, error):
    """Tell whether what is wrong is in the labels, which corpora of any kind name by themselves."""
    names = {"table": [" of a", "of a:"], "emobox": ["EmoBox"]}
    return any(name in str(error) for name in names.get(kind, []))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_are_value_errors_that_name_them(kind, whole, tmp_path):
    outcomes, failures, longest, _ = read_damaged(whole, kind, range(300), tmp_path)
    assert failures == []
    assert longest < HANGS
    assert outcomes["refused"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_read_or_are_value_errors_that_name_them(kind, whole, tmp_path):
    n_files = int(os.environ.get("SKLEARN_SER_N_DAMAGED_EXCHANGE", "1000"))
    outcomes, failures, longest, growth = read_damaged(whole, kind, range(n_files), tmp_path)
    print(f"{kind}: {dict(outcomes)}, longest {longest:.2f} s, memory +{growth / 1e3:.0f} MB")
    assert failures == []
