"""Corpora of emotional speech."""

from sklearn_ser.datasets._emodb import load_emodb
from sklearn_ser.datasets._folder import load_folder
from sklearn_ser.datasets._synthetic import make_emotional_speech
from sklearn_ser.datasets._table import load_table

__all__ = ["load_emodb", "load_folder", "load_table", "make_emotional_speech"]
