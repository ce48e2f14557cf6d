"""Corpora of emotional speech."""

from sklearn_ser.datasets._audformat import load_audformat
from sklearn_ser.datasets._cremad import load_cremad
from sklearn_ser.datasets._emobox import load_emobox
from sklearn_ser.datasets._emodb import load_emodb
from sklearn_ser.datasets._esd import load_esd
from sklearn_ser.datasets._fetch import fetch_cremad, fetch_emodb, fetch_ravdess, fetch_urdu
from sklearn_ser.datasets._folder import load_folder
from sklearn_ser.datasets._huggingface import load_huggingface
from sklearn_ser.datasets._iemocap import load_iemocap
from sklearn_ser.datasets._labels import harmonize_labels
from sklearn_ser.datasets._meld import load_meld
from sklearn_ser.datasets._pool import pool_corpora
from sklearn_ser.datasets._ravdess import load_ravdess
from sklearn_ser.datasets._savee import load_savee
from sklearn_ser.datasets._synthetic import make_emotional_speech
from sklearn_ser.datasets._table import load_table
from sklearn_ser.datasets._tess import load_tess
from sklearn_ser.datasets._urdu import load_urdu

__all__ = [
    "fetch_cremad",
    "fetch_emodb",
    "fetch_ravdess",
    "fetch_urdu",
    "harmonize_labels",
    "load_audformat",
    "load_cremad",
    "load_emobox",
    "load_emodb",
    "load_esd",
    "load_folder",
    "load_huggingface",
    "load_iemocap",
    "load_meld",
    "load_ravdess",
    "load_savee",
    "load_table",
    "load_tess",
    "load_urdu",
    "make_emotional_speech",
    "pool_corpora",
]
