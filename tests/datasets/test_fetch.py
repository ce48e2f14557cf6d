"""Downloads from a server on this machine, of tiny archives with the corpora's real file names."""

import dataclasses
import hashlib
import http.server
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sklearn_ser import datasets
from sklearn_ser.cli import main
from sklearn_ser.datasets import _download
from sklearn_ser.datasets._fetch import SOURCES


def wav(seed):
    file = io.BytesIO()
    waveform = np.random.default_rng(seed).uniform(-0.5, 0.5, 1600)
    soundfile.write(file, waveform, 16000, format="WAV")
    return file.getvalue()


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def git_tree(folder):
    """Return the name that Git itself gives to the tree of a folder."""
    settings = ["-c", "core.autocrlf=false", "-c", "core.fileMode=false"]
    for command in (["init", "-q"], ["add", "-f", "."], ["write-tree"]):
        found = subprocess.run(
            ["git", *settings, *command], cwd=folder, check=True, capture_output=True, text=True
        )
    return found.stdout.strip()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by path; `faults` of a path are done first, one a request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.asked = {}, {}, []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        first = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(first[1]) if first else 0
        self.server.asked.append((self.path, start))
        faults = self.server.faults.get(self.path, [])
        fault = faults.pop(0) if faults else None
        content = self.server.files.get(self.path)
        if content is None or fault == 500:
            self.send_error(500 if fault else 404)
            return
        if fault == "no ranges":
            start = 0
        if start >= len(content):
            self.send_error(416)
            return
        sent = content[start:]
        self.send_response(206 if start else 200)
        if fault != "no length":
            self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if fault == "slow":
            time.sleep(1)
        if fault == "wrong":
            sent = bytes(len(sent))
        self.wfile.write(sent[: len(sent) // 2] if fault == "cut" else sent)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(_download, "CHUNK", 1)  # so that all that came is kept
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


EMODB = {
    f"emodb/wav/{name}.wav": wav(i)
    for i, name in enumerate(["03a01Fa", "03a02Wb", "16a01Fa", "16b10Wb"])
}
EMODB["emodb/db.files.csv"] = b"file,duration\n"
CLIPS = {
    "AudioWAV/1001_DFA_ANG_XX.wav": wav(10),
    "AudioWAV/1001_IEO_DIS_LO.wav": wav(11),
    "AudioWAV/1002_IEO_FEA_MD.wav": wav(12),
}
ACTORS = b"ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,,\n1002,21,Female,,\n"


def publish(monkeypatch, server, name, contents, archive="all", **changes):
    """Serve an archive in the place of a published one, and return what is known of it."""
    known = SOURCES[name]
    path = f"/{known.archives[archive].file}"
    server.files[path] = contents
    changes = {"checksum": f"md5:{hashlib.md5(contents).hexdigest()}", **changes}
    ours = dataclasses.replace(known.archives[archive], url=server.address + path, **changes)
    archives = {**known.archives, archive: ours}
    monkeypatch.setitem(SOURCES, name, dataclasses.replace(known, archives=archives))
    return ours


@pytest.fixture
def emodb_archive(monkeypatch, server):
    return publish(monkeypatch, server, "emodb", zipped(EMODB))


def pointer(content):
    digest = hashlib.sha256(content).hexdigest()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    return text.encode()


@pytest.fixture
def cremad_archive(monkeypatch, server, tmp_path):
    """Publish CREMA-D as GitHub does: pointers in an archive, clips at addresses of their own."""
    stubs = {
        **{name: pointer(clip) for name, clip in CLIPS.items()},
        "VideoDemographics.csv": ACTORS,
    }
    for name, content in stubs.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    tree = git_tree(tmp_path / "repository")
    others = {"README.md": b"CREMA-D", "AudioMP3/1001_DFA_ANG_XX.mp3": pointer(b"no audio")}
    contents = zipped({f"CREMA-D-1/{name}": text for name, text in {**others, **stubs}.items()})
    server.files |= {f"/media/{name.partition('/')[2]}": clip for name, clip in CLIPS.items()}
    addresses = (f"{server.address}/media", f"{server.address}/mirror")
    return publish(monkeypatch, server, "cremad", contents, checksum=f"git:{tree}", clips=addresses)


def fetched(name, home, **options):
    """Return the corpus, of which there is but a part."""
    with pytest.warns(UserWarning, match=r"clips of \S+ were found; complete, it has \d+"):
        return getattr(datasets, f"fetch_{name}")(data_home=home, **{"delay": 0.01, **options})


def contents_of(corpus):
    return {Path(path).name: Path(path).read_bytes() for path in corpus.X}


def named(files):
    return {Path(name).name: clip for name, clip in files.items() if name.endswith(".wav")}


def test_a_corpus_is_downloaded_once_with_its_terms(server, emodb_archive, home, caplog):
    corpus = fetched("emodb", home)
    assert contents_of(corpus) == named(EMODB)
    assert corpus.y.tolist() == ["happiness", "anger", "happiness", "anger"]
    (said,) = caplog.messages
    assert said.count("Licence: CC BY 4.0") == said.count("Interspeech 2005") == 1
    assert emodb_archive.url in said
    assert str(home) in said
    again = fetched("emodb", home)
    assert again.X == corpus.X
    assert server.asked == [("/emodb.zip", 0)]
    assert caplog.messages == [said]
    assert sorted(path.name for path in home.iterdir()) in (["emodb"], [".EmoDB.lock", "emodb"])


def test_the_folder_of_data_is_the_environments(emodb_archive, tmp_path, monkeypatch):
    monkeypatch.setenv("SKLEARN_SER_DATA", str(tmp_path / "elsewhere"))
    corpus = fetched("emodb", None, verbose=False)
    assert Path(corpus.X[0]) == tmp_path / "elsewhere/emodb/emodb/wav/03a01Fa.wav"


@pytest.mark.parametrize("verbose", [True, False])
def test_the_progress_bar_can_be_turned_off(emodb_archive, home, capfd, monkeypatch, verbose):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetched("emodb", home, verbose=verbose)
    assert ("emodb.zip: 100%" in capfd.readouterr().err) == verbose


def test_the_terms_are_printed_where_logging_has_no_settings(emodb_archive, home):
    process = start(emodb_archive, home, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=120)
    assert said.count("Licence: CC BY 4.0") == 1
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("faults", "starts"),
    [
        ([500, 500, 500], [0, 0, 0, 0]),
        (["cut"], [0, "half"]),
        (["cut", 500], [0, "half", "half"]),
        (["cut", "no ranges"], [0, "half"]),
        (["wrong"], [0, 0]),
        (["no length"], [0]),
    ],
)
def test_what_fails_is_tried_again_from_where_it_stopped(
    server, emodb_archive, home, faults, starts
):
    server.faults["/emodb.zip"] = list(faults)
    assert contents_of(fetched("emodb", home)) == named(EMODB)
    half = len(server.files["/emodb.zip"]) // 2
    assert [start for _, start in server.asked] == [half if s == "half" else s for s in starts]


def test_a_part_that_holds_more_than_the_file_is_downloaded_anew(server, emodb_archive, home):
    server.faults["/emodb.zip"] = ["cut"]
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(home, n_retries=0)
    (part,) = home.rglob("*.part")
    part.write_bytes(server.files["/emodb.zip"] + b"more")
    assert contents_of(fetched("emodb", home)) == named(EMODB)


def fetch(home, name="emodb", **options):
    return getattr(datasets, f"fetch_{name}")(data_home=home, **{"delay": 0.01, **options})


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("cut", r"cut short at \d+ of \d+ bytes|IncompleteRead"),
        ("wrong", "checksum|hash"),
        (500, "500 Server Error"),
    ],
)
def test_what_never_comes_whole_is_no_corpus(server, emodb_archive, home, fault, cause):
    server.faults["/emodb.zip"] = [fault] * 100
    with pytest.raises(OSError, match=cause):
        fetch(home, n_retries=1)
    assert len(server.asked) == 2
    assert not (home / "emodb").exists()
    assert not list(home.rglob("emodb.zip"))
    server.faults.clear()
    assert contents_of(fetched("emodb", home)) == named(EMODB)


@pytest.fixture
def unreachable(server, emodb_archive, monkeypatch):
    """Let the archive be where nothing listens, and return its content."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/emodb.zip"
    with monkeypatch.context() as patch:
        archive = dataclasses.replace(emodb_archive, url=address)
        source = dataclasses.replace(SOURCES["emodb"], archives={"all": archive})
        patch.setitem(SOURCES, "emodb", source)
        yield address, server.files["/emodb.zip"]


@pytest.mark.parametrize("missing", ["network", "leave"])
@pytest.mark.parametrize("what", ["archive", "clips"])
def test_without_a_download_the_error_says_where_to_put_it_by_hand(
    unreachable, home, missing, what
):
    address, content = unreachable
    cause = "127.0.0.1.*refused" if missing == "network" else "download_if_missing is False"
    options = {"download_if_missing": missing == "network", "n_retries": 1}
    with pytest.raises(OSError, match=cause) as error:
        fetch(home, **options)
    message = str(error.value)
    assert address in message
    file = Path(re.search(r"put it, as it is, at (\S+);", message)[1])
    folder = Path(re.search(r"unpack it into (\S+)\.$", message)[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    if what == "archive":
        file.write_bytes(content)
    else:
        zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
    assert contents_of(fetched("emodb", home, **options)) == named(EMODB)
    assert file.exists() == (what == "archive")
    if (missing, what) == ("leave", "clips"):  # as it may not be possible to write there
        assert [path.name for path in home.iterdir()] == ["emodb"]


def test_an_archive_put_there_by_hand_is_checked(unreachable, home):
    home.mkdir()
    (home / "emodb.zip").write_bytes(unreachable[1][:-10])
    with pytest.raises(ValueError, match=r"emodb\.zip is not the archive that was published"):
        fetch(home)
    assert (home / "emodb.zip").exists()


SCRIPT = """\
import dataclasses, os, sys, warnings, zipfile
from sklearn_ser.datasets import fetch_emodb
from sklearn_ser.datasets._fetch import SOURCES

url, checksum, home, kill = sys.argv[1:]
known = SOURCES["emodb"]
archive = dataclasses.replace(known.archives["all"], url=url, checksum=checksum)
SOURCES["emodb"] = dataclasses.replace(known, archives={"all": archive})
extract, n_extracted = zipfile.ZipFile.extract, 0

def extract_or_die(*arguments, **options):
    global n_extracted
    if n_extracted == 2:
        os.kill(os.getpid(), int(kill))
    n_extracted += 1
    return extract(*arguments, **options)

if int(kill):
    zipfile.ZipFile.extract = extract_or_die
warnings.simplefilter("ignore")
print(len(fetch_emodb(data_home=home, verbose=False).X))
"""


def start(archive, home, kill=0, **options):
    arguments = [archive.url, archive.checksum, str(home), str(int(kill))]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_process_killed_while_unpacking_leaves_no_half_corpus(server, emodb_archive, home):
    process = start(emodb_archive, home, signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert list(home.rglob("*.wav"))  # it was in the middle
    assert not (home / "emodb").exists()
    assert contents_of(fetched("emodb", home)) == named(EMODB)
    assert len(server.asked) == 1  # what was downloaded is not downloaded again
    assert {path.name for path in home.iterdir()} <= {"emodb", ".EmoDB.lock"}


@pytest.mark.slow
def test_of_two_processes_one_downloads(server, emodb_archive, home):
    server.faults["/emodb.zip"] = ["slow"] * 2
    processes = [start(emodb_archive, home) for _ in range(2)]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["4\n", "4\n"]
    assert server.asked == [("/emodb.zip", 0)]


@pytest.mark.parametrize(
    "unsafe", ["../up.wav", "/root.wav", "emodb/../../up.wav", "C:/up.wav", "a\\..\\..\\up"]
)
def test_members_outside_the_folder_are_refused(monkeypatch, server, home, unsafe):
    publish(monkeypatch, server, "emodb", zipped({**EMODB, unsafe: b"x"}))
    with pytest.raises(ValueError, match="outside the folder"):
        fetch(home)
    assert not list(home.rglob("*.wav"))
    assert not (home.parent / "up.wav").exists()


def test_links_in_an_archive_are_refused(monkeypatch, server, home):
    link = zipfile.ZipInfo("emodb/link")
    link.external_attr = 0o120777 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    publish(monkeypatch, server, "emodb", file.getvalue())
    with pytest.raises(ValueError, match="would be a link"):
        fetch(home)


def test_ravdess_downloads_the_channels_that_are_asked_for(monkeypatch, server, home):
    clips = {
        "speech": {"Actor_01/03-01-05-01-01-01-01.wav": wav(1)},
        "song": {"Actor_01/03-02-04-01-01-01-01.wav": wav(2)},
    }
    for channel, files in clips.items():
        publish(monkeypatch, server, "ravdess", zipped(files), channel)
    assert fetched("ravdess", home).y.tolist() == ["anger"]
    assert [path for path, _ in server.asked] == ["/Audio_Speech_Actors_01-24.zip"]
    assert sorted(fetched("ravdess", home, vocal_channel="all").y) == ["anger", "sadness"]
    assert fetched("ravdess", home, vocal_channel="song").y.tolist() == ["sadness"]
    assert [path for path, _ in server.asked][1:] == ["/Audio_Song_Actors_01-24.zip"]


def test_cremad_comes_clip_by_clip_checked_by_its_pointers(server, cremad_archive, home):
    clip, other = "/media/1001_DFA_ANG_XX.wav", "/media/1001_IEO_DIS_LO.wav"
    server.faults |= {clip: ["wrong"], other: ["cut"]}
    server.files["/mirror/1001_DFA_ANG_XX.wav"] = server.files[clip]
    server.files["/mirror/1001_IEO_DIS_LO.wav"] = server.files[other]
    corpus = fetched("cremad", home)
    assert contents_of(corpus) == named(CLIPS)
    assert corpus.frame["sex"].tolist() == ["male", "male", "female"]
    asked = [path for path, _ in server.asked]
    assert asked.count(clip) == asked.count("/mirror/1001_DFA_ANG_XX.wav") == 1
    n_half = len(server.files[other]) // 2
    assert ("/mirror/1001_IEO_DIS_LO.wav", n_half) in server.asked
    assert not list(home.rglob("*.mp3"))


def test_cremad_goes_on_with_the_clips_that_are_missing(server, cremad_archive, home):
    last = "/media/1002_IEO_FEA_MD.wav"
    server.faults[last] = [500] * 2
    with pytest.raises(OSError, match=r"git.?lfs|Git LFS") as error:
        fetch(home, "cremad", n_retries=0)
    assert str(home / "cremad") in str(error.value)
    assert not (home / "cremad").exists()
    damaged, *others = sorted(home.rglob("*.wav"))
    damaged.write_bytes(b"damaged")
    there = {path.name for path in others}
    server.asked.clear()
    server.faults.clear()
    assert contents_of(fetched("cremad", home)) == named(CLIPS)
    assert not {f"/media/{name}" for name in there} & {path for path, _ in server.asked}
    assert {(last, 0), (f"/media/{damaged.name}", 0)} <= {*server.asked}


@pytest.mark.parametrize("change", ["a clip more", "another pointer", "no zip file", "cut"])
def test_an_archive_of_a_repository_is_checked_by_its_tree(server, cremad_archive, home, change):
    contents = server.files["/cremad.zip"]
    files = {
        member: zipfile.ZipFile(io.BytesIO(contents)).read(member)
        for member in zipfile.ZipFile(io.BytesIO(contents)).namelist()
    }
    if change == "a clip more":
        files["CREMA-D-1/AudioWAV/1003_IEO_FEA_MD.wav"] = pointer(b"x")
    elif change == "another pointer":
        files["CREMA-D-1/AudioWAV/1001_DFA_ANG_XX.wav"] = pointer(b"x")
    changed = zipped(files)
    wrong = {"no zip file": b"<html>", "cut": contents[:-30]}.get(change, changed)
    server.files["/cremad.zip"] = wrong
    with pytest.raises(OSError, match="CREMA-D could not be downloaded"):
        fetch(home, "cremad", n_retries=0)
    assert not (home / "cremad").exists()
    server.files["/cremad.zip"] = contents
    assert contents_of(fetched("cremad", home)) == named(CLIPS)


def test_urdu_is_checked_by_the_tree_of_its_repository(monkeypatch, server, home, tmp_path):
    files = {"Angry/SM1_F10_A010.wav": wav(1), "Sad/SF2_F1_S01.wav": wav(2), "README.md": b"URDU"}
    files |= {"Angry.txt": b"sorted before Angry/ by Git", "Angry0": b"and this one after"}
    for name, content in files.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    contents = zipped({f"URDU-Dataset-1/{name}": content for name, content in files.items()})
    checksum = f"git:{git_tree(tmp_path / 'repository')}"
    publish(monkeypatch, server, "urdu", contents, checksum=checksum)
    corpus = fetched("urdu", home)
    assert contents_of(corpus) == named(files)
    assert corpus.groups.tolist() == ["SM1", "SF2"]
    assert corpus.frame["sex"].tolist() == ["male", "female"]


@pytest.mark.filterwarnings("ignore:4 clips of EmoDB")
@pytest.mark.parametrize(
    "place", [["compare", "--corpus", "emodb"], ["cross", "emodb", "synthetic"]]
)
def test_a_command_that_names_a_corpus_without_a_path_fetches_it(
    server, emodb_archive, home, monkeypatch, capsys, place
):
    monkeypatch.setenv("SKLEARN_SER_DATA", str(home))
    main([*place, "--features", "mfcc", "--quiet"])
    assert server.asked == [("/emodb.zip", 0)]
    assert (home / "emodb").is_dir()
    server.files.clear()
    server.asked.clear()
    main([*place, "--features", "mfcc", "--quiet"])
    assert server.asked == []


def test_a_command_without_network_says_in_one_line_what_to_do(
    unreachable, home, monkeypatch, capsys
):
    monkeypatch.setenv("SKLEARN_SER_DATA", str(home))
    assert main(["compare", "--corpus", "emodb", "--quiet"]) == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert error.startswith("sklearn-ser: error: EmoDB could not be downloaded")
    assert str(home / "emodb.zip") in error


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_states_what_is_needed(name):
    source = SOURCES[name]
    assert "Licence" in source.terms
    assert "Cite" in source.terms
    assert hasattr(datasets, f"fetch_{name}")
    assert hasattr(datasets, f"load_{name}")
    for archive in source.archives.values():
        assert archive.url.startswith("https://")
        assert re.fullmatch(r"md5:[0-9a-f]{32}|git:[0-9a-f]{40}", archive.checksum)
