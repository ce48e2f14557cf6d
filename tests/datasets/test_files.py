"""Which files belong to a corpus, a folder, or what the command line is given."""

import io
import mimetypes
import shutil
import sys
import unicodedata
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sklearn_ser._audio import SOUND_SUFFIXES, as_clip, readable_suffixes
from sklearn_ser.cli import main
from sklearn_ser.cli._options import audio_files
from sklearn_ser.datasets import load_emobox, load_emodb, load_folder, load_savee
from sklearn_ser.exceptions import ClipError

RATE = 16000
TONE = (0.5 * np.sin(np.arange(RATE) * 0.3)).astype(np.float32)
FORMATS = {  # suffix, and the format and codec as libsndfile or FFmpeg calls them
    **dict.fromkeys((".wav", ".wave", ".bwf"), ("WAV", None)),
    **dict.fromkeys((".aif", ".aiff", ".aifc"), ("AIFF", None)),
    **dict.fromkeys((".sph", ".nist", ".wv1", ".wv2"), ("NIST", None)),
    **dict.fromkeys((".ircam", ".sf"), ("IRCAM", None)),
    **dict.fromkeys((".au", ".snd"), ("AU", None)),
    **dict.fromkeys((".svx", ".8svx"), ("SVX", None)),
    **dict.fromkeys((".ogg", ".oga"), ("OGG", "VORBIS")),
    ".opus": ("OGG", "OPUS"),
    **{
        f".{name.lower()}": (name, None)
        for name in ("FLAC", "W64", "RF64", "CAF", "VOC", "PAF", "PVF", "AVR", "WVE", "SDS")
    },
    ".caff": ("CAF", None),
    **dict.fromkeys((".m4a", ".m4b", ".m4r", ".m4p", ".mp4a"), ("ipod", "aac")),
    **dict.fromkeys((".mp4", ".m4v", ".f4a", ".f4b", ".f4v"), ("mp4", "aac")),
    **dict.fromkeys((".isma", ".ismv"), ("ismv", "aac")),
    **dict.fromkeys((".3gp", ".3gpp", ".3gpp2", ".3ga", ".3g2"), ("3gp", "aac")),
    **dict.fromkeys((".mkv", ".mk3d", ".mka"), ("matroska", "aac")),
    **dict.fromkeys((".mov", ".qt", ".qta"), ("mov", "aac")),
    **dict.fromkeys((".webm", ".weba"), ("webm", "libopus")),
    ".aac": ("adts", "aac"),
    ".flv": ("flv", "mp3"),
    **dict.fromkeys((".wma", ".wm", ".asf"), ("asf", "wmav2")),
    **dict.fromkeys((".mp3", ".mpga", ".mpega"), ("mp3", "mp3")),
    **dict.fromkeys((".mp2", ".m2a"), ("mp2", "mp2")),
    # Not decoded.
    ".ac3": ("ac3", "ac3"),
    ".avi": ("avi", "mp3"),
    ".mpg": ("mpeg", "mp2"),
    ".tta": ("tta", "tta"),
    ".wv": ("wv", "wavpack"),
    **dict.fromkeys((".raw", ".pcm", ".sw", ".sln", ".s16", ".l16"), ("RAW", "PCM_16")),
    **dict.fromkeys((".al", ".alaw", ".la"), ("RAW", "ALAW")),
    **dict.fromkeys((".ul", ".ulaw", ".lu"), ("RAW", "ULAW")),
}


def encoded(format, codec):
    file = io.BytesIO()
    if format.isupper():
        rate = 8000 if format == "WVE" else RATE
        soundfile.write(file, TONE, rate, format=format, subtype=codec)
        return file.getvalue()
    with av.open(file, "w", format=format) as container:
        track = container.add_stream(codec, rate=48000, layout="stereo")
        track.bit_rate = 64000
        frame = av.AudioFrame.from_ndarray(np.tile(TONE, (2, 1)), "fltp", "stereo")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(track.format, track.layout, 48000, track.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_are_taken_by_suffix_if_they_can_be_decoded(suffix):
    clip = as_clip({"bytes": encoded(*FORMATS[suffix])}, 0)
    if suffix in readable_suffixes():
        seconds = len(clip.waveform(clip.read(), RATE)) / RATE
        assert seconds == pytest.approx(2 if suffix == ".wve" else 1, abs=0.2)
    else:
        assert SOUND_SUFFIXES[suffix] == "nothing"
        with pytest.raises(ClipError):
            clip.waveform(clip.read(), RATE)


@pytest.fixture
def tree(tmp_path):
    """Return a function that writes clips below a folder, and links: "link -> target"."""
    wav, m4a = encoded("WAV", None), encoded("ipod", "aac")

    def write(*names):
        root = tmp_path / "root"
        for name in names:
            name, _, target = name.partition(" -> ")
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if target:
                path.symlink_to(target)
            else:
                path.write_bytes(m4a if path.suffix == ".m4a" else wav)
        return root

    return write


def found_by(how, root):
    """Return the paths below a root that are found, by a loader or the command line."""
    paths = load_folder(root).X if how == "folder" else audio_files(root)
    return [Path(path).relative_to(root).as_posix() for path in paths]


WAYS = pytest.mark.parametrize("how", ["folder", "command line"])


@WAYS
@pytest.mark.parametrize(
    ("names", "expected", "message"),
    [
        (["a/1.wav", "a/2.m4a", "b/3.m4a"], ["a/1.wav", "a/2.m4a", "b/3.m4a"], None),
        (["a/1.WAV", "a/b/c/2.sph", "a/notes.txt"], ["a/1.WAV", "a/b/c/2.sph"], None),
        (
            ["a/1.wav", "a/2.ape", "a/3.APE"],
            ["a/1.wav"],
            r"2 sound files in .*root are not taken. 2 \(.ape; such as a/2.ape\): nothing here dec",
        ),
        (
            [
                *("a/1.wav", "a/._1.wav", "__MACOSX/a/._1.wav", ".cache/x.wav", "@eaDir/a.wav"),
                *("a/.ipynb_checkpoints/1-checkpoint.wav", ".ipynb_checkpoints/2.wav"),
            ],
            ["a/1.wav"],
            r"6 sound files .* such as .cache/x.wav\): they are hidden",
        ),
        # A speaker's folder, and an emotion's, that lie elsewhere.
        (
            ["../else/s1/1.wav", "../else/b/2.wav", "a/s1 -> ../../else/s1", "b -> ../else/b"],
            ["a/s1/1.wav", "b/2.wav"],
            None,
        ),
        (["a/1.wav", "a/b/2.wav", "a/b/up -> ..", "a/all -> ..", "a/me -> ."], ..., None),
        (["a/x/1.wav", "a/y/2.wav", "a/x/y -> ../y", "a/y/x -> ../x"], ..., "2 .* another path"),
        (["a/1.wav", "a/0.wav -> 1.wav"], ["a/1.wav"], r"a/0.wav\): .* by another path"),
        # As git-annex keeps files; what is no longer there is not passed over.
        ([".git/annex/1.wav", "a/1.wav -> ../.git/annex/1.wav"], ["a/1.wav"], None),
        (["a/dir.wav/1.wav", "a/dir.wav/2.wav"], ["a/dir.wav/1.wav", "a/dir.wav/2.wav"], None),
    ],
)
def test_which_files_belong(tree, how, names, expected, message):
    root = tree(*names)
    if expected is ...:
        expected = [name for name in names if " -> " not in name]
    if message is None:
        assert found_by(how, root) == expected
    else:
        with pytest.warns(UserWarning, match=message):
            assert found_by(how, root) == expected


@WAYS
def test_without_pyav_what_it_reads_is_told(tree, monkeypatch, how):
    root = tree("a/1.wav", "a/2.m4a", "a/3.m4a")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.warns(UserWarning, match=r"2 \(.m4a; such as a/2.m4a\): .*sklearn-ser\[video\]"):
        assert found_by(how, root) == ["a/1.wav"]


@WAYS
def test_a_folder_of_nothing_readable_is_an_error_that_counts(tree, how):
    root = tree("a/1.wma.ape", "a/2.ape")
    with pytest.raises(FileNotFoundError, match=r"no (clips|audio files) in .*root.* 2 \(.ape;"):
        found_by(how, root)


def test_no_emotion_vanishes(tree, monkeypatch):
    root = tree("anger/1.wav", "joy/2.m4a", "joy/3.m4a", "docs/.x.wav")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"no clip of joy can be taken. .* 2 \(.m4a;"):
        load_folder(root)


# What Python (without what a system adds to it), telephone systems and Apple call sound.
KNOWN = {
    suffix
    for suffix, kind in mimetypes.MimeTypes(filenames=()).types_map[1].items()
    if kind.startswith("audio/") and suffix != ".ass"  # subtitles
}
KNOWN |= {
    ".mpga",
    ".mpega",
    ".qta",
    ".qt",
    ".weba",
    ".al",
    ".ul",
    ".ulaw",
    ".sln",
    ".g722",
    ".g729",
}


@pytest.mark.parametrize("suffix", sorted(KNOWN))
def test_no_suffix_of_sound_is_unknown(tree, suffix):
    root = tree("anger/1.wav", f"joy/2{suffix}")
    if suffix in readable_suffixes():
        assert load_folder(root).y.tolist() == ["anger", "joy"]
        return
    with pytest.raises(ValueError, match=rf"no clip of joy can be taken\. .* 1 \({suffix};"):
        load_folder(root)


def test_clips_beside_the_folders_of_emotions_are_told(tree):
    root = tree("anger/1.wav", "2.wav")
    with pytest.warns(UserWarning, match=r"1 \(.wav; such as 2.wav\): they lie in no emotion"):
        assert load_folder(root).y.tolist() == ["anger"]


def test_one_file_has_one_label(tree):
    root = tree("anger/1.wav", "joy/1.wav -> ../anger/1.wav")
    with pytest.raises(ValueError, match=r"joy/1.wav is a link to .*anger/1.wav, .* two folders"):
        load_folder(root)


def test_links_to_nothing_are_not_passed_over(tree):
    root = tree("anger/1.wav", "anger/2.wav -> ../.git/annex/gone.wav")
    with pytest.raises(ValueError, match=r'1 of 2 clips .*2\.wav. Run "git annex get \."'):
        load_folder(root)
    assert audio_files(root) == [str(root / "anger/1.wav"), str(root / "anger/2.wav")]
    (root / "03a01Fa.wav").symlink_to("gone.wav")
    with pytest.raises(ValueError, match=r'1 of 1 clips of EmoDB .* "git annex get \."'):
        load_emodb(root)


def test_a_folder_that_cannot_be_listed_is_an_error(tree, monkeypatch):
    root = tree("anger/1.wav", "joy/2.wav")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    for how in ("folder", "command line"):
        with pytest.raises(PermissionError, match="root"):
            found_by(how, root)


@pytest.mark.filterwarnings("ignore:.* clips of .* were found; complete, it has")
def test_named_corpora_find_their_clips_in_the_same_files(tree):
    root = tree("../else/a01.wav", "../else/sa02.m4a", "DC -> ../else", ".old/DC/a03.wav")
    with pytest.warns(UserWarning, match=r"1 \(.wav; such as .old/DC/a03.wav\): they are hidden"):
        corpus = load_savee(root)
    paths = [str(root / "DC/a01.wav"), str(root / "DC/sa02.m4a")]
    assert (paths, corpus.groups.tolist()) == (corpus.X, ["DC", "DC"])
    (root / "03a01Fa.ape").touch()
    tree("03b02Na.wav")
    with pytest.warns(UserWarning, match=r"1 \(.ape; such as 03a01Fa.ape\): nothing here decodes"):
        assert load_emodb(root).y.tolist() == ["neutral"]


@pytest.mark.filterwarnings("ignore:.* clips of .* were found; complete, it has")
def test_of_copies_the_one_without_loss_is_taken(tree):
    root = tree("wav/deep/03a01Fa.wav", "03a01Fa.mp3", "03a01Fa.m4a", ".old/03a01Fa.wav")
    assert [str(root / "wav/deep/03a01Fa.wav")] == load_emodb(root).X


def test_a_file_that_is_named_is_taken_whatever_its_suffix(tree, tmp_path):
    root = tree("1.wav")
    shutil.move(root / "1.wav", root / "1.xyz")
    out = tmp_path / "m.csv"
    named = ["embed", str(root / "1.xyz"), "--features", "mfcc", "--out", str(out), "--quiet"]
    assert main(named) == 0
    assert str(root / "1.xyz") in out.read_text()


@pytest.mark.parametrize(
    ("pattern", "speakers"),
    [
        (r"(actor_\d+)|(subj_\d+)", ["actor_1", "subj_22"]),
        (r"(?:actor|subj)_\d+", ["actor_1", "subj_22"]),
        (r"_(\d+)_(\d)", ["1", "22"]),
        (r"(x)?_(\d+)_", ["1", "22"]),
    ],
)
def test_the_group_that_matches_is_the_speaker(tree, pattern, speakers):
    root = tree("anger/actor_1_1.wav", "anger/subj_22_1.wav")
    assert load_folder(root, speaker=pattern).groups.tolist() == speakers


def test_speakers_are_found_in_a_macs_letters(tree):
    decomposed = unicodedata.normalize("NFD", "jürgen")
    root = tree(f"anger/{decomposed}_1.wav", "anger/jürgen_2.wav")
    assert load_folder(root, speaker="^(jürgen)_").groups.tolist() == ["jürgen"] * 2


def test_a_group_that_does_not_match_is_no_speaker(tree):
    root = tree("anger/actor_1_1.wav", "anger/subj_22_1.wav")
    with pytest.raises(ValueError, match=r"finds nothing in 'subj_22_1.wav'"):
        load_folder(root, speaker=r"(actor_1)?_\d")


def test_paths_of_emobox_are_found_as_they_are_spelt_on_disk(tree, tmp_path):
    name = unicodedata.normalize("NFD", "Ärger")
    place = tmp_path / "root" / "data" / "mine" / "fold_1"
    root = tree(f"{name}/actor_1.wav", "b/subj_2.wav")
    place.mkdir(parents=True)
    for split, path in {"train": "Ärger/actor_1.wav", "test": r"b\\subj_2.wav"}.items():
        text = f'{{"wav": "{path}", "emo": "anger"}}\n'
        (place / f"mine_{split}_fold_1.jsonl").write_text(text)
    corpus = load_emobox(root, "mine", speaker=r"(actor_\d)|(subj_\d)")
    assert [x["path"] for x in corpus.X] == [
        str(root / name / "actor_1.wav"),
        f"{root}/b/subj_2.wav",
    ]
    assert corpus.groups.tolist() == ["actor_1", "subj_2"]


def test_a_link_to_a_folder_that_is_gone_is_told(tree):
    root = tree("anger/a.wav")
    (root / "fear").symlink_to("/nowhere/at/all")
    with pytest.warns(UserWarning, match="1 .*fear.*: they are links to nothing"):
        assert load_folder(root).y.tolist() == ["anger"]


def test_recycle_bins_are_no_emotions(tree):
    root = tree("anger/a.wav", "#recycle/b.wav", "@Recycle/c.wav")
    with pytest.warns(UserWarning, match="2 sound files .* hidden"):
        assert load_folder(root).y.tolist() == ["anger"]


def test_a_broken_regular_expression_is_named(tree):
    with pytest.raises(ValueError, match=r"speaker='\(s' is not a regular expression"):
        load_folder(tree("anger/a.wav"), speaker="(s")
