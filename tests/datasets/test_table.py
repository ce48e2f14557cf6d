"""Tables of clips, as spreadsheets, Windows and toolkits write them."""

import gzip
import io
import os
import unicodedata

import audformat
import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import soundfile
from sklearn.utils import Bunch

from sklearn_ser._audio import as_clip
from sklearn_ser.cli import main
from sklearn_ser.datasets import load_audformat, load_huggingface, load_table, pool_corpora

# audformat's own, of pandas; nothing here can heed it.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")


@pytest.fixture
def csv(tmp_path):
    """Return a function that writes text, or bytes, to clips.csv."""

    def write(content):
        path = tmp_path / "clips.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_speakers_of_several_corpora_in_one_table_are_warned_of():
    rows = [("one", "03"), ("one", "04"), ("two", "03"), ("two", "05")]
    table = pd.DataFrame(rows, columns=["corpus", "speaker"])
    table["path"], table["emotion"] = ["a.wav", "b.wav", "c.wav", "d.wav"], "anger"
    with pytest.warns(UserWarning, match=r"1 of 3 speakers .* \(the first is '03'\)") as found:
        load_table(table)
    assert found[0].filename == __file__
    for _, each in table.groupby("corpus"):
        load_table(each)
    load_table(table.assign(speaker=table["corpus"] + table["speaker"]))
    load_table(table, speaker=None)
    lists = table.assign(corpus=[[name] for name in table["corpus"]])  # as JSON may give them
    with pytest.warns(UserWarning, match=r"1 of 3 speakers .* \(the first is '03'\)"):
        load_table(lists)


PLAIN = 'path,emotion,speaker\n"a,b.wav",Ärger,NA\nc.wav,"fear; mild",01\n'
QUOTED = 'path{0}emotion{0}speaker\n"a,b.wav"{0}Ärger{0}NA\nc.wav{0}"fear; mild"{0}01\n'
WRITTEN = {
    "comma": PLAIN,
    "semicolon": QUOTED.format(";"),
    "tab": QUOTED.format("\t"),
    "bar": QUOTED.format("|"),
    "spaces": PLAIN.replace(",", ", ").replace("a, b", "a,b"),
    "Windows's line ends": PLAIN.replace("\n", "\r\n"),
    "blank lines": "\n" + PLAIN.replace("\n", "\n\n"),
    "Excel's first line": "sep=;\r\n" + QUOTED.format(";"),
    "byte order mark": PLAIN.encode("utf-8-sig"),
    "UTF-16, tabs, as Excel saves": QUOTED.format("\t").encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "packed": gzip.compress(PLAIN.encode()),
    "a Mac's letters": unicodedata.normalize("NFD", PLAIN),
    "columns without a name": PLAIN.replace("\n", ",,\n"),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_csv_file_however_it_is_written(csv, tmp_path, kind):
    corpus = load_table(csv(WRITTEN[kind]))
    assert [str(tmp_path / "a,b.wav"), str(tmp_path / "c.wav")] == corpus.X
    assert corpus.y.tolist() == ["Ärger", "fear; mild"]
    assert corpus.groups.tolist() == ["NA", "01"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_columns_are_found_in_a_macs_letters(csv, form):
    text = unicodedata.normalize(form, "path,Gefühl\na.wav,Ärger\n")
    corpus = load_table(csv(text), emotion=unicodedata.normalize("NFD", "Gefühl"))
    assert corpus.y.tolist() == ["Ärger"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PLAIN.encode("cp1252"), r"not in UTF-8: line 2 has the byte 0xC4.*CSV UTF-8.*cp1252"),
        (PLAIN.encode("utf-16-le"), "null characters: .* UTF-16 without a byte order mark"),
        (b"PK\x03\x04\x14\0", "an Excel workbook or another archive, not a CSV file.*read_excel"),
        (b"\xd0\xcf\x11\xe0", "an Excel workbook, not a CSV file.*pandas.read_excel"),
        (b"PAR1\x15\x04", "a Parquet file, not a CSV file.*pandas.read_parquet"),
        (b"ARROW1\0\0", "a Feather file, not a CSV file.*pandas.read_feather"),
        ('[{"path": "a.wav", "emotion": "joy"}]', "is JSON, not a CSV file.*pandas.read_json"),
        (' {"path": ["a.wav"], "emotion": ["joy"]}', "is JSON, not a CSV file"),
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("path,emotion\n", "has no rows"),
        ("file;mood\na.wav;joy\n", r"has no column \['path', 'emotion'\]; it has \['file', 'mood'"),
        ("a.wav,joy\n", r"has no column \['path', 'emotion'\]"),
        ("path,emotion,path\na,joy,b\n", r"several columns are called \['path'\]"),
        ("path,emotion\na,b.wav,joy\n", "rows have more values than its header.*in quotes"),
        ("path,emotion\na.wav,joy\nb,c.wav,joy\n", "cannot be read as CSV.*line 3"),
        ('path,emotion\n"a.wav,joy\n', "cannot be read as CSV"),
        ("path,emotion\na.wav,joy\nb.wav,\n", r"column 'emotion': 1 of 2 .*row 1, counted from 0"),
        ("path,emotion\na.wav,joy\n,joy\n", r"column 'path': 1 of 2 rows have no path; .* row 1"),
        (
            "path,emotion,speaker\na.wav,joy,\nb.wav,joy,x\n",
            "speaker=None loads none.: 1 of 2 .*row 0",
        ),
        ("path,emotion\na.wav,3\nb.wav,1\n", "all 2 rows have a number as label.*regression.*map"),
        ("path,emotion,start\na.wav,joy,0:05\n", "column 'start': 1 of 1 .* with '0:05'. Seconds"),
        ('path,emotion,end\na.wav,joy,"1,5"\n', "column 'end': 1 of 1 rows have no number"),
        ("path;emotion;end\na;joy;1.5\nb;joy;0,5\n", "column 'end': 1 of 2 .* row 1"),
        ("path,emotion\nC:\\x\\a.wav,joy\n", r"1 of 1 rows .* drive of Windows.* with 'C:.*root"),
        ("path,emotion\n\\\\host\\a.wav,joy\n", "1 of 1 rows have a path with a drive of Windows"),
    ],
)
def test_an_unusable_csv_file_is_named_with_cause_and_cure(csv, content, message):
    with pytest.raises(ValueError, match=r"(?s)clips\.csv.*" + message):
        load_table(csv(content))


def test_segments_in_a_csv_file_with_decimal_commas(csv):
    text = "path;emotion;start;end;channel;age\na.wav;joy;0,5;1,25;0;NA\nb.wav;joy;;2;;3\n"
    corpus = load_table(csv(text))
    fields = corpus.frame[["start", "end", "channel", "age"]].to_numpy(dtype=float)
    np.testing.assert_array_equal(fields, [[0.5, 1.25, 0, np.nan], [np.nan, 2, np.nan, 3]])
    assert str(as_clip(corpus.X[0], 0).segment) == "0.5 s to 1.25 s, channel 0"
    assert str(as_clip(corpus.X[1], 0).segment) == "0 s to 2 s"


COLUMNS = {"path": ["a.wav", "b.wav"], "emotion": ["joy", "fear"], "speaker": ["1.0", "2"]}
AS_CSV = pd.DataFrame(COLUMNS).to_csv(index=False)
TABLES = {
    "pandas": pd.DataFrame(COLUMNS),
    "polars": pl.DataFrame(COLUMNS),
    "polars, not computed yet": pl.LazyFrame(COLUMNS),
    "Arrow": pa.table(COLUMNS),
    "columns": COLUMNS,
    "rows": pd.DataFrame(COLUMNS).to_dict("records"),
    "a tuple of rows": tuple(pd.DataFrame(COLUMNS).to_dict("records")),
    "NumPy": pd.DataFrame(COLUMNS).to_records(index=False),
    "text": io.StringIO(AS_CSV),
    "bytes": io.BytesIO(AS_CSV.encode("utf-8-sig")),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_whatever_holds_it(kind):
    corpus = load_table(TABLES[kind])
    assert corpus.X == ["a.wav", "b.wav"]
    assert corpus.y.tolist() == ["joy", "fear"]
    assert corpus.groups.tolist() == ["1", "2"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ""])
def test_a_csv_file_is_known_by_its_content(tmp_path, suffix):
    path = tmp_path / f"clips{suffix}"
    path.write_text(AS_CSV.replace(",", "\t" if suffix == ".tsv" else ","))
    for given in (path, str(path)):
        assert load_table(given).y.tolist() == ["joy", "fear"]
    with path.open() as file:
        assert load_table(file).X == ["a.wav", "b.wav"]  # below the current folder


@pytest.mark.parametrize(
    "table",
    [None, 3, ["a.wav"], {"a.wav"}, pd.Series(["a.wav"]), iter([COLUMNS])],
    ids=lambda t: type(t).__name__,
)
def test_what_is_no_table_is_told_what_a_table_is(table):
    with pytest.raises(TypeError, match=f"a table is the path .*; got a {type(table).__name__}"):
        load_table(table)


@pytest.mark.parametrize("table", [{"path": "a", "emotion": "b"}, {"path": ["a"], "emotion": []}])
def test_columns_of_other_lengths_are_no_table(table):
    with pytest.raises(ValueError, match="the table cannot be read: "):
        load_table(table)


HOLES = {
    "object": pd.DataFrame({"start": [0.0, pd.NA], "end": [pd.NA, 1.5]}, dtype=object),
    "nullable": pd.DataFrame({"start": [0, None], "end": [None, 1.5]}).astype("Float64"),
    "times": pd.DataFrame({"start": ["0s", None], "end": [None, "1500ms"]}).apply(pd.to_timedelta),
    "text": pd.DataFrame({"start": ["0", None], "end": ["", "1.5"]}),
}


@pytest.mark.parametrize("kind", HOLES)
def test_segments_with_missing_ends(kind, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.sin(np.arange(32000) * 0.1), 16000)
    frame = HOLES[kind].assign(path=str(path), emotion="joy")
    corpus = load_table(frame)
    seconds = [as_clip(clip, 0).seconds() for clip in corpus.X]
    assert seconds == [2.0, 1.5]


@pytest.mark.parametrize("how", ["absent", "None", "csv", "polars"])
def test_without_speakers_groups_are_none(csv, how):
    columns = {"path": ["a.wav"], "emotion": ["joy"]}
    if how == "absent":
        corpus = load_table(pd.DataFrame(columns))
    elif how == "polars":
        corpus = load_table(pl.DataFrame(columns))
    elif how == "csv":
        corpus = load_table(csv("path,emotion\na.wav,joy\n"))
    else:
        corpus = load_table(pd.DataFrame({**columns, "speaker": ["x"]}), speaker=None)
        assert corpus.frame["speaker_original"].tolist() == ["x"]
    assert corpus.groups is None
    assert "speaker" not in corpus.frame
    assert "1 clips by unknown speakers" in corpus.DESCR
    with pytest.raises(ValueError, match=r"has no column \['who'\]"):
        load_table(pd.DataFrame(columns), speaker="who")


@pytest.mark.parametrize("kind", ["NFC on disk", "NFD on disk", "both on disk", "backslashes"])
def test_paths_are_found_as_they_are_spelt_on_disk(csv, tmp_path, kind):
    composed, decomposed = (unicodedata.normalize(form, "é/ü.wav") for form in ("NFC", "NFD"))
    on_disk, written = {
        "NFC on disk": (composed, decomposed),
        "NFD on disk": (decomposed, composed),
        "both on disk": (f"{decomposed[:2]}/{composed[2:]}", f"{composed[:1]}/{decomposed[3:]}"),
        "backslashes": (decomposed, composed.replace("/", "\\")),
    }[kind]
    path = tmp_path / on_disk
    path.parent.mkdir()
    path.touch()
    corpus = load_table(csv(f"path,emotion\n{written},joy\nno/{written},joy\n"))
    assert corpus.X[0] == str(path)
    assert corpus.X[1] == str(tmp_path / f"no/{written}".replace("\\", "/"))


def test_a_name_with_a_backslash_that_exists_is_kept(csv, tmp_path):
    (tmp_path / "a\\b.wav").touch()
    assert [str(tmp_path / "a\\b.wav")] == load_table(csv("path,emotion\na\\b.wav,joy\n")).X


TAKEN = {
    "path": ["taken/1.wav", "taken/2.wav"],
    "emotion": ["taken", "taken"],
    "speaker": ["taken", "taken"],
    "code": ["taken", "taken"],
    "corpus": ["taken", "taken"],
    "position": ["taken", "taken"],
    "start": ["taken", "taken"],
    "end": ["taken", "taken"],
}
NAMED = {"file": ["1.wav", "2.wav"], "mood": ["joy", "fear"], "who": ["a", "b"]}


def of_table(tmp_path):
    taken = {name: TAKEN[name] for name in ("path", "emotion", "speaker")}
    frame = pd.DataFrame(taken | NAMED)
    return load_table(frame, path="file", emotion="mood", speaker="who"), list(taken)


def of_csv(tmp_path):
    taken = {name: TAKEN[name] for name in ("path", "emotion", "speaker")}
    pd.DataFrame(NAMED | taken).to_csv(tmp_path / "clips.csv", index=False)
    corpus = load_table(tmp_path / "clips.csv", path="file", emotion="mood", speaker="who")
    corpus.X = [x.removeprefix(f"{tmp_path}/") for x in corpus.X]
    return corpus, list(taken)


def of_renamed_columns(tmp_path):
    """Exchange two names, one of which another column has already when it is put aside."""
    frame = pd.DataFrame(
        {
            "emotion": NAMED["file"],
            "path": NAMED["mood"],
            "who": NAMED["who"],
            "speaker": TAKEN["speaker"],
            "speaker_original": [1, 2],
        }
    )
    corpus = load_table(frame, path="emotion", emotion="path", speaker="who")
    assert corpus.frame["speaker_original"].tolist() == [1, 2]
    return corpus, []


def of_huggingface(tmp_path):
    taken = {name: TAKEN[name] for name in ("path", "emotion", "code")}
    dataset = datasets.Dataset.from_dict(
        {"audio": NAMED["file"], "mood": NAMED["mood"], "who": NAMED["who"], **taken}
    ).cast_column("audio", datasets.Audio())
    corpus = load_huggingface(dataset, emotion="mood", speaker="who")
    corpus.X = [x["path"] for x in corpus.X]
    return corpus, list(taken)


def of_huggingface_where_speakers_are_called_code(tmp_path):
    dataset = datasets.Dataset.from_dict(
        {"audio": NAMED["file"], "emotion": NAMED["mood"], "code": NAMED["who"]}
    ).cast_column("audio", datasets.Audio())
    corpus = load_huggingface(dataset, emotion="emotion", speaker="code")
    corpus.X = [x["path"] for x in corpus.X]
    return corpus, []


def of_audformat(tmp_path):
    taken = ("path", "emotion", "speaker", "code", "start", "end")
    database = audformat.Database("mine")
    database["t"] = audformat.Table(audformat.filewise_index(NAMED["file"]))
    for name, values in {**{name: TAKEN[name] for name in taken}, **NAMED}.items():
        if name != "file":
            database["t"][name] = audformat.Column()
            database["t"][name].set(values)
    return load_audformat(database, emotion="mood", speaker="who"), list(taken)


def of_pool(tmp_path):
    taken = ["corpus", "position"]
    one = Bunch(
        X=NAMED["file"],
        y=np.array(NAMED["mood"]),
        groups=np.array(NAMED["who"]),
        frame=pd.DataFrame({**{name: TAKEN[name] for name in taken}, "emotion": "taken"}),
    )
    corpus = pool_corpora({"x": one}, scheme=None)
    assert corpus.frame["corpus"].tolist() == ["x", "x"]
    assert corpus.frame["position"].tolist() == [0, 1]
    corpus.groups = np.array([name.removeprefix("x/") for name in corpus.groups])
    return corpus, taken


@pytest.mark.parametrize(
    "loaded",
    [
        of_table,
        of_csv,
        of_renamed_columns,
        of_huggingface,
        of_huggingface_where_speakers_are_called_code,
        of_audformat,
        of_pool,
    ],
)
def test_the_column_that_is_named_wins_whatever_stands_beside_it(loaded, tmp_path):
    corpus, taken = loaded(tmp_path)
    assert NAMED["file"] == corpus.X
    emotions = {"joy": ("joy", "happiness"), "fear": ("fear",)}
    assert all(y in emotions[mood] for y, mood in zip(corpus.y, NAMED["mood"], strict=True))
    assert corpus.groups.tolist() == NAMED["who"]
    assert corpus.frame.columns.is_unique
    assert len(corpus.frame) == 2
    for name in taken:
        assert corpus.frame[f"{name}_original"].tolist() == TAKEN[name]


@pytest.mark.parametrize("loader", ["huggingface", "audformat", "table"])
def test_speakers_that_are_not_asked_for_are_no_groups(loader):
    if loader == "huggingface":
        dataset = datasets.Dataset.from_dict({"audio": ["1.wav"], "label": ["x"], "speaker": ["s"]})
        corpus = load_huggingface(dataset.cast_column("audio", datasets.Audio()))
    elif loader == "audformat":
        database = audformat.Database("mine")
        database["t"] = audformat.Table(audformat.filewise_index(["1.wav"]))
        for name in ("emotion", "speaker"):
            database["t"][name] = audformat.Column()
            database["t"][name].set(["x"])
        corpus = load_audformat(database, speaker=None)
    else:
        frame = pd.DataFrame({"path": ["1.wav"], "emotion": ["x"], "speaker": ["s"]})
        corpus = load_table(frame, speaker=None)
    assert corpus.groups is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": "file", "emotion": "file"}, "'file' cannot be both path and emotion"),
        ({"path": "file", "emotion": "mood", "speaker": "mood"}, "both emotion and speaker"),
    ],
)
def test_one_column_is_one_thing(columns, message):
    with pytest.raises(ValueError, match=message):
        load_table(pd.DataFrame(NAMED), **columns)


def test_two_columns_of_one_name_are_refused():
    frame = pd.DataFrame([["1.wav", "x", "joy"]], columns=["path", "path", "emotion"])
    with pytest.raises(ValueError, match=r"several columns are called \['path'\]"):
        load_table(frame)


def test_the_command_line_names_columns_too(csv, tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "wav").mkdir()
    for name in "abcdef":
        soundfile.write(tmp_path / "wav" / f"{name}.wav", 0.1 * rng.standard_normal(8000), 16000)
    rows = [f"{name}.wav;x;joy;{i // 2}" for i, name in enumerate("abcdef")]
    table = csv("\n".join(["file;path;mood;who", *rows]).replace("joy", "fear", 3))
    arguments = ["audit", "--corpus", "table", "--data", str(table), "--root", f"{tmp_path}/wav"]
    columns = ["--path-column", "file", "--emotion-column", "mood", "--speaker-column", "who"]
    assert main([*arguments, *columns]) == 0
    assert "Speaker-independent" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "clips.csv has no column ['emotion']" in capsys.readouterr().err


def test_rows_without_any_value_are_no_clips(tmp_path):
    (tmp_path / "t.csv").write_text("path;emotion;speaker\na.wav;anger;s1\n;;\n;;\n")
    assert load_table(tmp_path / "t.csv").y.tolist() == ["anger"]


LEADING_OUT = {
    "..": lambda folder: "../secret.wav",
    "deep ..": lambda folder: "clips/../../secret.wav",
    "absolute": lambda folder: str(folder.parent / "secret.wav"),
    "link": lambda folder: "link.wav",
    "folder that is a link": lambda folder: "up/secret.wav",
    "backslashes": lambda folder: "..\\secret.wav",
}


@pytest.mark.parametrize("kind", LEADING_OUT)
def test_paths_in_a_file_cannot_leave_its_folder_unless_allowed(kind, tmp_path):
    folder = tmp_path / "corpus"
    (folder / "clips").mkdir(parents=True)
    (tmp_path / "secret.wav").touch()
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "up").symlink_to(tmp_path)
    table = folder / "table.csv"
    inside = folder / "clips" / "a.wav"
    rows = pd.DataFrame({"path": ["clips/a.wav", str(inside)], "emotion": ["joy", "fear"]})
    rows.iloc[:1].to_csv(table, index=False)
    assert [str(inside)] == load_table(table).X
    rows.loc[0, "path"] = LEADING_OUT[kind](folder)
    rows.to_csv(table, index=False)
    with pytest.raises(ValueError, match=r"table\.csv, column 'path': 1 of 2 .* in row 0"):
        load_table(table)
    with open(table, encoding="utf-8") as file, pytest.raises(ValueError, match="paths lead out"):
        load_table(file, root=folder)
    corpora = [load_table(table, allow_outside=True), load_table(rows, root=folder)]
    if kind not in ("..", "deep ..", "backslashes"):  # which start elsewhere
        corpora.append(load_table(table, root=tmp_path))
        assert len(corpora.pop().X) == 2
    for corpus in corpora:
        assert os.path.realpath(corpus.X[0]) == str(tmp_path / "secret.wav")
