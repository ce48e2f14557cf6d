"""Published corpora that anyone may download: where they are, and functions that fetch them."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

from sklearn.utils import Bunch

from sklearn_ser._utils import Number, StrOptions, validate_params
from sklearn_ser.datasets._cremad import load_cremad
from sklearn_ser.datasets._download import Archive, Source, download
from sklearn_ser.datasets._emodb import load_emodb
from sklearn_ser.datasets._ravdess import load_ravdess
from sklearn_ser.datasets._urdu import load_urdu

__all__ = ["SOURCES", "fetch_cremad", "fetch_emodb", "fetch_ravdess", "fetch_urdu"]

SOURCES = {
    # The record of EmoDB 1.3.0, to which the README of its author's felixbur/nkululeko links. Its
    # MD5, size and licence: jiuluo-if/EmoLight, src/emolight/training/prepare_emodb.py and notes,
    # which had them from Zenodo's interface.
    "emodb": Source(
        "EmoDB",
        {
            "all": Archive(
                "emodb",
                "https://zenodo.org/records/7447302/files/emodb.zip?download=1",
                "emodb.zip",
                "md5:9d21362dbc5676ef3ab4745d83ced0db",
                39_981_818,
            )
        },
        "Licence: CC BY 4.0. Cite F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier, B. Weiss, "
        '"A database of German emotional speech", Interspeech 2005.',
    ),
    # The record of RAVDESS 1.0.0. The MD5 that it states, and sizes: ryan-voitiskis/lossytrace,
    # research/sources/evidence/ravdess-1.0.0-observed-20260802.json ("provider_md5").
    "ravdess": Source(
        "RAVDESS",
        {
            "speech": Archive(
                "ravdess/speech",
                "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1",
                "Audio_Speech_Actors_01-24.zip",
                "md5:bc696df654c87fed845eb13823edef8a",
                208_468_073,
            ),
            "song": Archive(
                "ravdess/song",
                "https://zenodo.org/records/1188976/files/Audio_Song_Actors_01-24.zip?download=1",
                "Audio_Song_Actors_01-24.zip",
                "md5:5411230427d67a21e18aa4d466e6d1b9",
                225_505_317,
            ),
        },
        "Licence: CC BY-NC-SA 4.0, so no commercial use. Cite S. Livingstone, F. Russo, "
        '"The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)", PLoS ONE '
        "13(5), 2018.",
    ),
    # The publisher's repository and, as its README has it, its mirror. An archive of it holds Git
    # LFS pointers, which are the checksums of the clips. The checksum of the pointers is printed by
    # `git ls-tree 1658cd3 AudioWAV VideoDemographics.csv | git mktree`. The addresses of clips are
    # those of tensorflow/datasets (audio/crema_d.py), the size of clips their
    # pointers' sum.
    "cremad": Source(
        "CREMA-D",
        {
            "all": Archive(
                "cremad",
                "https://github.com/CheyneyComputerScience/CREMA-D/archive/"
                "1658cd342dff90010aa843eaeebd53610a08b1dc.zip",
                "cremad.zip",
                "git:f52c662e0a6b34d906e6e872289589d4a04ee5db",
                24_000_000 + 605_899_936,
                ("AudioWAV/", "VideoDemographics.csv"),
                (
                    "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/"
                    "master/AudioWAV",
                    "https://gitlab.com/cs-cooper-lab/crema-d-mirror/-/raw/main/AudioWAV",
                ),
            )
        },
        "Licence: Open Database License 1.0, and Database Contents License 1.0. Its authors ask "
        "users to fill in the form that https://github.com/CheyneyComputerScience/CREMA-D links "
        'to. Cite H. Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", '
        "IEEE Transactions on Affective Computing 5(4), 2014.",
        "clone https://gitlab.com/cs-cooper-lab/crema-d-mirror with Git LFS, and put its folder "
        "AudioWAV and its file VideoDemographics.csv into {folder}",
    ),
    # The publisher's repository. The checksum is its tree: `git rev-parse 4b546d4^{tree}`. GitHub
    # does not state the size of an archive; here it is that of `git archive --format=zip 4b546d4`.
    "urdu": Source(
        "URDU",
        {
            "all": Archive(
                "urdu",
                "https://github.com/siddiquelatif/URDU-Dataset/archive/"
                "4b546d4e0fa36d1c86c53a281631b2ab7ce2fdec.zip",
                "urdu.zip",
                "git:fd97cfbdda9d771ca56f7eab5b4c9edfb11edbbf",
                75_587_945,
            )
        },
        "Licence: for research only. Cite S. Latif, A. Qayyum, M. Usman, J. Qadir, "
        '"Cross lingual speech emotion recognition: Urdu vs. Western languages", International '
        "Conference on Frontiers of Information Technology, 2018.",
    ),
}

CONSTRAINTS: dict[str, list[Any]] = {
    "data_home": [str, os.PathLike, None],
    "download_if_missing": ["boolean"],
    "n_retries": [Number(Integral, 0, None, closed="left")],
    "delay": [Number(Real, 0, None, closed="left")],
    "verbose": ["boolean"],
}


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_emodb(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: bool = True,
) -> Bunch:
    """Download the Berlin Database of Emotional Speech (EmoDB) if it is not there, and load it.

    40 MB from Zenodo, under CC BY 4.0: 535 clips of ten speakers.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of data, in which corpora have folders: by default the environment variable
        ``SKLEARN_SER_DATA`` or, without it, ``~/sklearn_ser_data``.
    download_if_missing : bool, default=True
        Whether to download what is not there, or to raise an OSError.
    n_retries : int, default=3
        How often a download is tried again. It goes on where it stopped.
    delay : float, default=1.0
        Seconds between two tries.
    verbose : bool, default=True
        Whether to show a progress bar, in a terminal or a notebook. What is downloaded, and its
        terms, are logged.

    Returns
    -------
    corpus : Bunch
        As :func:`load_emodb` returns it.

    Raises
    ------
    OSError
        If it cannot be downloaded; the error says where to put it by hand.
    ValueError
        If an archive that was put there by hand is not the one that was published.

    See Also
    --------
    load_emodb : Load it from a folder.

    References
    ----------
    F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier, B. Weiss, "A database of German emotional
    speech", Interspeech 2005. https://doi.org/10.5281/zenodo.7447302

    Examples
    --------
    >>> from sklearn_ser.datasets import fetch_emodb
    >>> corpus = fetch_emodb()  # doctest: +SKIP
    """
    given = (data_home, download_if_missing, n_retries, delay, verbose)
    home = download(SOURCES["emodb"], ["all"], *given)
    return load_emodb(home / "emodb")


@validate_params(
    {**CONSTRAINTS, "vocal_channel": [StrOptions({"speech", "song", "all"})]},
    prefer_skip_nested_validation=True,
)
def fetch_ravdess(
    *,
    vocal_channel: str = "speech",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: bool = True,
) -> Bunch:
    """Download RAVDESS, its audio without video, if it is not there, and load it.

    Speech is 208 MB and song 226 MB, from Zenodo, under CC BY-NC-SA 4.0: 1440 and 1012 clips of 24
    speakers.

    Parameters
    ----------
    vocal_channel : {"speech", "song", "all"}, default="speech"
        What the actors do. Nothing else is downloaded.
    data_home : str or path-like, default=None
        The folder of data, in which corpora have folders: by default the environment variable
        ``SKLEARN_SER_DATA`` or, without it, ``~/sklearn_ser_data``.
    download_if_missing : bool, default=True
        Whether to download what is not there, or to raise an OSError.
    n_retries : int, default=3
        How often a download is tried again. It goes on where it stopped.
    delay : float, default=1.0
        Seconds between two tries.
    verbose : bool, default=True
        Whether to show a progress bar, in a terminal or a notebook. What is downloaded, and its
        terms, are logged.

    Returns
    -------
    corpus : Bunch
        As :func:`load_ravdess` returns it.

    Raises
    ------
    OSError
        If it cannot be downloaded; the error says where to put it by hand.
    ValueError
        If an archive that was put there by hand is not the one that was published.

    See Also
    --------
    load_ravdess : Load it from a folder.

    References
    ----------
    S. Livingstone, F. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song
    (RAVDESS)", PLoS ONE 13(5), 2018. https://doi.org/10.5281/zenodo.1188976

    Examples
    --------
    >>> from sklearn_ser.datasets import fetch_ravdess
    >>> corpus = fetch_ravdess()  # doctest: +SKIP
    """
    channels = ["speech", "song"] if vocal_channel == "all" else [vocal_channel]
    given = (data_home, download_if_missing, n_retries, delay, verbose)
    home = download(SOURCES["ravdess"], channels, *given)
    return load_ravdess(home / "ravdess", vocal_channel=vocal_channel)


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_cremad(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: bool = True,
) -> Bunch:
    """Download CREMA-D, its audio without video, if it is not there, and load it.

    About 630 MB from the publisher's repository on GitHub, or else from its mirror on GitLab, under
    the Open Database License: 7442 clips of 91 speakers, one download each. The authors ask users
    to fill in the form that the repository's README links to.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of data, in which corpora have folders: by default the environment variable
        ``SKLEARN_SER_DATA`` or, without it, ``~/sklearn_ser_data``.
    download_if_missing : bool, default=True
        Whether to download what is not there, or to raise an OSError.
    n_retries : int, default=3
        How often a download is tried again. It goes on where it stopped.
    delay : float, default=1.0
        Seconds between two tries.
    verbose : bool, default=True
        Whether to show a progress bar, in a terminal or a notebook. What is downloaded, and its
        terms, are logged.

    Returns
    -------
    corpus : Bunch
        As :func:`load_cremad` returns it.

    Raises
    ------
    OSError
        If it cannot be downloaded; the error says where to put it by hand.
    ValueError
        If an archive that was put there by hand is not the one that was published.

    See Also
    --------
    load_cremad : Load it from a folder.

    References
    ----------
    H. Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Transactions
    on Affective Computing 5(4), 2014. https://github.com/CheyneyComputerScience/CREMA-D

    Examples
    --------
    >>> from sklearn_ser.datasets import fetch_cremad
    >>> corpus = fetch_cremad()  # doctest: +SKIP
    """
    given = (data_home, download_if_missing, n_retries, delay, verbose)
    home = download(SOURCES["cremad"], ["all"], *given)
    return load_cremad(home / "cremad")


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_urdu(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: bool = True,
) -> Bunch:
    """Download the URDU corpus if it is not there, and load it.

    About 76 MB from the publisher's repository on GitHub, for research only: 400 clips.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of data, in which corpora have folders: by default the environment variable
        ``SKLEARN_SER_DATA`` or, without it, ``~/sklearn_ser_data``.
    download_if_missing : bool, default=True
        Whether to download what is not there, or to raise an OSError.
    n_retries : int, default=3
        How often a download is tried again. It goes on where it stopped.
    delay : float, default=1.0
        Seconds between two tries.
    verbose : bool, default=True
        Whether to show a progress bar, in a terminal or a notebook. What is downloaded, and its
        terms, are logged.

    Returns
    -------
    corpus : Bunch
        As :func:`load_urdu` returns it.

    Raises
    ------
    OSError
        If it cannot be downloaded; the error says where to put it by hand.
    ValueError
        If an archive that was put there by hand is not the one that was published.

    See Also
    --------
    load_urdu : Load it from a folder.

    References
    ----------
    S. Latif, A. Qayyum, M. Usman, J. Qadir, "Cross lingual speech emotion recognition: Urdu vs.
    Western languages", International Conference on Frontiers of Information Technology, 2018.
    https://github.com/siddiquelatif/URDU-Dataset

    Examples
    --------
    >>> from sklearn_ser.datasets import fetch_urdu
    >>> corpus = fetch_urdu()  # doctest: +SKIP
    """
    given = (data_home, download_if_missing, n_retries, delay, verbose)
    home = download(SOURCES["urdu"], ["all"], *given)
    return load_urdu(home / "urdu")
