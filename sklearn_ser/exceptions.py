"""The errors and warnings of the package; every room may raise them."""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "ClipError",
    "ClipWarning",
    "LeakageWarning",
    "SilentClipError",
    "StoreWarning",
]


class ArgumentError(TypeError):
    """An argument that cannot be used: it has no effect, or lacks methods that are needed.

    See Also
    --------
    ClipError : A clip cannot be used.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> compare(corpus, ["mfcc"], dtype="float16")
    Traceback (most recent call last):
        ...
    sklearn_ser.exceptions.ArgumentError: ...
    """


class ClipError(ValueError):
    """A clip that cannot be used.

    Parameters
    ----------
    position : int
        Index of the clip in the collection.
    name : str
        File name, or what kind of value the clip is.
    cause, cure : str
        What is wrong, and what to do about it.

    See Also
    --------
    SilentClipError : Of a clip that is silent.
    ClipWarning : What ``on_error="warn"`` makes of it.

    Examples
    --------
    >>> from sklearn_ser import MFCCEmbedder
    >>> MFCCEmbedder().fit_transform(["nowhere.wav"])
    Traceback (most recent call last):
        ...
    sklearn_ser.exceptions.ClipError: clip 0 (nowhere.wav): ...
    """

    def __init__(self, position: int, name: str, cause: str, cure: str) -> None:
        super().__init__(position, name, cause, cure)
        self.position, self.name, self.cause, self.cure = position, name, cause, cure

    def __str__(self) -> str:
        return f"clip {self.position} ({self.name}): {self.cause}. {self.cure}"


class SilentClipError(ClipError):
    """A clip that holds nothing but silence.

    Parameters
    ----------
    position : int
        Index of the clip in the collection.
    name : str
        File name, or what kind of value the clip is.
    cause, cure : str
        What is wrong, and what to do about it.

    See Also
    --------
    ClipError : Of any clip that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ser import MFCCEmbedder
    >>> MFCCEmbedder().fit_transform([(np.zeros(16000), 16000)])
    Traceback (most recent call last):
        ...
    sklearn_ser.exceptions.SilentClipError: clip 0 ...
    """


class ClipWarning(UserWarning):
    """A clip could not be used, and its row is NaN; or something was done to it that matters.

    See Also
    --------
    ClipError : What ``on_error="raise"`` raises instead.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from sklearn_ser import MFCCEmbedder
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     rows = MFCCEmbedder(on_error="warn").fit_transform(["nowhere.wav", (noise, 16000)])
    >>> caught[0].category.__name__, np.isnan(rows).any(axis=1).tolist()
    ('ClipWarning', [True, False])
    """


class LeakageWarning(UserWarning):
    """A split puts one speaker's clips, or the same audio, into training and test folds.

    See Also
    --------
    sklearn_ser.audit.audit_split : Says what training and test sets share.

    Examples
    --------
    To make an error of it:

    >>> import warnings
    >>> from sklearn_ser.exceptions import LeakageWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", LeakageWarning)
    """


class StoreWarning(UserWarning):
    """A stored record was damaged, or could not be written; only time is lost.

    See Also
    --------
    sklearn_ser.store.Store : Where records are kept.

    Examples
    --------
    To run without it, where nothing can be written:

    >>> import warnings
    >>> from sklearn_ser.exceptions import StoreWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", StoreWarning)
    """
