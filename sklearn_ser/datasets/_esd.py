"""The Emotional Speech Database of Zhou et al."""

from __future__ import annotations

import os
from pathlib import Path

from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser._utils import StrOptions, validate_params
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_esd"]

# Every speaker reads 350 texts in each emotion; clips are numbered through in this order.
EMOTIONS = ("neutral", "anger", "happiness", "sadness", "surprise")
CODES = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
N_TEXTS = 350
MALE = {"0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"}
SPEAKERS = {"mandarin": r"000[1-9]|0010", "english": r"001[1-9]|0020"}
PATTERN = (
    r"(?:(?P<split>train|evaluation|test)/)?"
    r"(?P<speaker>{speakers})_(?P<number>00[01]\d{{3}})"
)
N_CLIPS = {"english": 17500, "mandarin": 17500, "all": 35000}
DESCRIPTION = """\
Emotional Speech Database (ESD): ten speakers of English and ten of Mandarin read 350 parallel
texts in five emotions, 16 kHz; every split by speaker shares text. By a signed form. K. Zhou et
al., "Emotional voice conversion: theory, databases and ESD", Speech Communication 137, 2022."""


@validate_params(
    {"folder": [str, os.PathLike], "language": [StrOptions({"english", "mandarin", "all"})]},
    prefer_skip_nested_validation=True,
)
def load_esd(folder: str | os.PathLike[str], *, language: str = "all") -> Bunch:
    """Load the Emotional Speech Database (ESD).

    Parameters
    ----------
    folder : str or path-like
        Where ``0011/Angry/train/0011_000351.wav`` and so on lie, at any depth, with or without
        the folders ``train``, ``evaluation`` and ``test``. Transcripts are read from ``0011.txt``
        and so on, if they are there, in any of the encodings in circulation.
    language : {"all", "english", "mandarin"}, default="all"
        Speakers of which language.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (anger, happiness, neutral, sadness, surprise), groups (speakers,
        "0001" to "0020"), frame (path, emotion, code, speaker, sex, sentence, i.e. which of the
        350 texts of its language, split if there are such folders, duration in seconds, language
        and, if there are transcripts, text) and DESCR.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of ESD.
    ValueError
        If its clips are Git LFS pointers.

    Warns
    -----
    UserWarning
        If there are not 17500 clips of each language.

    See Also
    --------
    load_folder : Loads a folder for each emotion.

    References
    ----------
    K. Zhou, B. Sisman, R. Liu, H. Li, "Emotional voice conversion: theory, databases and ESD",
    Speech Communication 137, 2022.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_esd
    >>> corpus = load_esd("corpora/esd", language="english")  # doctest: +SKIP
    """
    speakers = SPEAKERS.get(language, "|".join(SPEAKERS.values()))
    files = Files(folder)
    frame = find_clips(
        files,
        PATTERN.format(speakers=speakers),
        corpus=f"ESD ({language})",
        example="0011/Angry/train/0011_000351.wav",
        identity=["speaker", "number"],
    )
    number = frame["number"].astype(int) - 1
    frame = frame[number < N_TEXTS * len(EMOTIONS)].drop(columns="number")
    which = number[frame.index] // N_TEXTS
    frame["emotion"] = which.map(dict(enumerate(EMOTIONS)))
    frame["code"] = which.map(dict(enumerate(CODES)))
    mandarin = frame["speaker"] <= "0010"
    frame["language"] = mandarin.map({True: "mandarin", False: "english"})
    text = number[frame.index] % N_TEXTS + 1
    frame["sentence"] = frame["language"].str[:2] + text.astype(str).str.zfill(3)
    frame["sex"] = ["male" if speaker in MALE else "female" for speaker in frame["speaker"]]
    frame["split"] = frame["split"].str.lower()
    if not frame["split"].any():
        frame = frame.drop(columns="split")
    texts = _transcripts(files, set(frame["speaker"]))
    if texts:
        frame["text"] = [texts.get(Path(path).stem) for path in frame["path"]]
    return as_corpus("ESD", frame, DESCRIPTION, N_CLIPS[language])


def _transcripts(files: Files, speakers: set[str]) -> dict[str, str]:
    """Return the text of each clip; lines hold its name, the text and the emotion."""
    texts: dict[str, str] = {}
    for path in files:
        if path.suffix.lower() == ".txt" and path.stem in speakers:
            for line in _decoded(path.read_bytes()).splitlines():
                name, *rest = line.strip().split(None, 1)[:2] or [""]
                if name.startswith(f"{path.stem}_") and rest:
                    text, _, emotion = rest[0].rpartition("\t")
                    texts.setdefault(name, (text or emotion).strip())
    return texts


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030", errors="replace")  # gb2312 is a part of it
