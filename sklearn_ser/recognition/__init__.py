"""Trained recognizers: kept in a file, and used on anyone's recordings."""

from sklearn_ser.recognition._domain import OutOfDomainDetector
from sklearn_ser.recognition._file import load_recognizer, save_recognizer
from sklearn_ser.recognition._recognizer import EmotionRecognizer

__all__ = ["EmotionRecognizer", "OutOfDomainDetector", "load_recognizer", "save_recognizer"]
