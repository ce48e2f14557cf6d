"""Trained recognizers: kept in a file, and used to predict on recordings.

What is imported as itself is for the command line, and not public.
"""

from sklearn_ser.recognition._domain import OutOfDomainDetector
from sklearn_ser.recognition._file import card_of as card_of
from sklearn_ser.recognition._file import domain_embedders as domain_embedders
from sklearn_ser.recognition._file import embedders_of as embedders_of
from sklearn_ser.recognition._file import load_recognizer, save_recognizer
from sklearn_ser.recognition._recognizer import EmotionRecognizer
from sklearn_ser.recognition._recordings import ABSTAINED as ABSTAINED
from sklearn_ser.recognition._recordings import frame_of as frame_of
from sklearn_ser.recognition._recordings import rows_of as rows_of

__all__ = ["EmotionRecognizer", "OutOfDomainDetector", "load_recognizer", "save_recognizer"]
