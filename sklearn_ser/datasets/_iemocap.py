"""The Interactive Emotional Dyadic Motion Capture database."""

from __future__ import annotations

import os
import re

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser._utils import StrOptions, validate_params
from sklearn_ser.datasets._corpus import as_corpus, one_row_each
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_iemocap"]

EMOTIONS = {
    "ang": "anger",
    "hap": "happiness",
    "sad": "sadness",
    "neu": "neutral",
    "exc": "excitement",
    "fru": "frustration",
    "fea": "fear",
    "dis": "disgust",
    "sur": "surprise",
    "oth": "other",
    "xxx": "no agreement",
}
FOUR = {"ang": "anger", "hap": "happiness", "exc": "happiness", "sad": "sadness", "neu": "neutral"}
# The prefix says who wore the markers; the letter before the number is the speaker's.
PATTERN = r"(?P<utterance>(?P<dialog>Ses0[1-5][FM]_(?:impro|script)\w+?)_(?P<talker>[FM])\d{3})"
LABEL = re.compile(
    r"\[(?P<dialog_start>[\d.]+) - (?P<dialog_end>[\d.]+)\]\t(?P<utterance>\w+)\t(?P<code>\w{3})"
    r"\t\[(?P<valence>[\d.]+), (?P<arousal>[\d.]+), (?P<dominance>[\d.]+)\]"
)
TRANSCRIPT = re.compile(r"(?P<utterance>Ses\w+) \[[\d.\s-]+\]:\s*(?P<text>.*)")
N_CLIPS = {"four": 5531, "all": 10039}
DESCRIPTION = """\
Interactive Emotional Dyadic Motion Capture database (IEMOCAP): ten actors in five sessions of two,
scripted and improvised English dialogues, cut into 10039 turns, 16 kHz. On request. C. Busso et
al., "IEMOCAP: interactive emotional dyadic motion capture database", Language Resources and
Evaluation 42(4), 2008."""


@validate_params(
    {"folder": [str, os.PathLike], "labels": [StrOptions({"four", "all"})]},
    prefer_skip_nested_validation=True,
)
def load_iemocap(folder: str | os.PathLike[str], *, labels: str = "four") -> Bunch:
    """Load the Interactive Emotional Dyadic Motion Capture database (IEMOCAP).

    Parameters
    ----------
    folder : str or path-like
        Where ``Session1`` to ``Session5`` lie, at any depth.
    labels : {"four", "all"}, default="four"
        "four" is the usual task: anger, happiness, neutral, sadness, with excitement merged into
        happiness (5531 clips). "all" keeps every clip and its own label, "no agreement" and
        "other" among them (10039).

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (emotions), groups (talkers, "Ses01F" to "Ses05M"), frame (path,
        emotion, code, speaker, sex, session, sentence, i.e. the script if there is one, else the
        clip itself, duration in seconds, utterance, dialog, dialog_start and dialog_end in seconds,
        valence, arousal, dominance and, if there are transcripts, text) and DESCR.

    Raises
    ------
    FileNotFoundError
        If the folder holds no turns of IEMOCAP, or no labels of theirs.
    ValueError
        If its clips are Git LFS pointers, or files of labels contradict each other.

    Warns
    -----
    UserWarning
        If not all clips are there.

    See Also
    --------
    sklearn_ser.model_selection.LeaveOneSessionOut : The usual protocol.

    Notes
    -----
    A name such as Ses01F_impro01_M000 begins with who wore the markers, here a woman; who talks
    stands before the number, here her partner. Speakers here are who talks.

    References
    ----------
    C. Busso et al., "IEMOCAP: interactive emotional dyadic motion capture database", Language
    Resources and Evaluation 42(4), 2008.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_iemocap
    >>> corpus = load_iemocap("corpora/IEMOCAP_full_release")  # doctest: +SKIP
    """
    files = Files(folder)
    frame = find_clips(
        files,
        PATTERN,
        corpus="IEMOCAP",
        example="Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        identity=["utterance"],
    )
    texts = [path for path in files if path.suffix == ".txt" and path.name[0] != "."]
    found = pd.DataFrame(
        match.groupdict()
        for path in texts
        if path.parent.name == "EmoEvaluation"
        for match in LABEL.finditer(path.read_text(encoding="utf-8", errors="replace"))
    )
    if not len(found):
        raise FileNotFoundError(
            f"no labels of IEMOCAP in {files.root}: looked for files such as "
            "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt."
        )
    numbers = ["dialog_start", "dialog_end", "valence", "arousal", "dominance"]
    found[numbers] = found[numbers].astype(float)
    frame = frame.merge(one_row_each(found, ["utterance"], "IEMOCAP"), on="utterance")
    wanted = FOUR if labels == "four" else EMOTIONS
    frame = frame[~frame["code"].isin(EMOTIONS.keys() - wanted.keys())]
    frame["emotion"] = frame["code"].map(wanted)
    frame["speaker"] = frame["utterance"].str[:5] + frame["talker"]
    frame["session"] = frame["utterance"].str[4]
    frame["sex"] = frame["talker"].map({"F": "female", "M": "male"})
    script = frame["dialog"].str.extract("(script\\d\\d)", expand=False)
    frame["sentence"] = script.fillna(frame["utterance"])
    spoken = {
        match["utterance"]: match["text"].strip()
        for path in texts
        if path.parent.name == "transcriptions"
        for match in TRANSCRIPT.finditer(path.read_text(encoding="utf-8", errors="replace"))
    }
    if spoken:
        frame["text"] = frame["utterance"].map(spoken)
    return as_corpus("IEMOCAP", frame.drop(columns="talker"), DESCRIPTION, N_CLIPS[labels])
