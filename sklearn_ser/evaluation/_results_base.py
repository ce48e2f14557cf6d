"""What comparisons have in common: their schema, and how they are written and read.

`compare` gives a `Comparison`, `compare_across` a `CrossComparison`; each holds one `Row` a feature
set, layer, classifier and pair of corpora, or of ratings one `RatingRow`. ``results.json`` is
`to_dict`; `from_dict` reads it.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, dataclass, field, fields
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from sklearn_ser._utils import (
    DRAWN,
    naming_file,
    read_text,
    remove_figure,
    replacing,
    write_atomically,
)
from sklearn_ser.evaluation._formats import Shown
from sklearn_ser.evaluation._nested import Nested, RatingNested
from sklearn_ser.evaluation._rows import RatingRow, Row, record_of

__all__ = ["Results"]

SCHEMA = 4  # of results.json; raise it when a field goes, or changes its meaning


@dataclass(frozen=True, repr=False)
class Results(Shown):
    """What both kinds of comparison hold."""

    kind: ClassVar[str]
    n_speakers: Any
    n_clips_left_out: int
    clips_left_out: list[dict[str, Any]]
    digests: dict[str, Any]
    emotions: list[str]
    chance: float
    cv: str
    cv_parameters: Any
    cv_folds: Any
    classifier: str
    classifier_parameters: dict[str, Any]
    audit: Any
    versions: dict[str, str]
    rows: list[Any]
    nested: list[Any]
    predictions: pd.DataFrame = field(compare=False, repr=False)
    command: dict[str, Any] | None = field(default=None, kw_only=True)
    rating: str | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{self._audit_in_words}"

    def _repr_html_(self) -> str:
        return f"{super()._repr_html_()}\n<p>{escape(self._audit_in_words)}</p>"

    @property
    def _audit_in_words(self) -> str:
        return f"Audit: {self.audit if isinstance(self.audit, str) else self.audit['verdict']}"

    @property
    def of_ratings(self) -> bool:
        """Whether ratings were predicted, and not emotions."""
        return isinstance(self.rows[0], RatingRow)

    @property
    def results(self) -> dict[str, Any]:
        """What ``results.json`` holds, as `to_dict`."""
        return self.to_dict()

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame."""
        return pd.DataFrame([asdict(row) for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: every field but predictions and embeddings.

        Returns
        -------
        results : dict
        """
        saved = [f.name for f in fields(self) if not f.metadata.get("in_memory")]
        of_fields = {name: getattr(self, name) for name in saved}
        del of_fields["predictions"]
        rows = [asdict(row) for row in self.rows]
        nested = [asdict(each) for each in self.nested]
        given = {**of_fields, "rows": rows, "nested": nested}
        return {"schema": SCHEMA, "kind": self.kind, **given}

    @classmethod
    def from_dict(cls, results: dict[str, Any], predictions: pd.DataFrame) -> Any:
        """Return the comparison that `to_dict` described.

        Parameters
        ----------
        results : dict
            What `to_dict` returned, or ``results.json`` holds.
        predictions : DataFrame
            What ``predictions.csv`` holds.

        Returns
        -------
        comparison : Comparison or CrossComparison

        Raises
        ------
        ValueError
            If these are results of another kind or schema, or fields are missing or unknown.
        """
        schema, kind = results.get("schema"), results.get("kind")
        if (schema, kind) != (SCHEMA, cls.kind):
            raise ValueError(
                f"these are results of kind {kind!r} by schema {schema!r}; {cls.__name__} reads "
                f"kind {cls.kind!r} by schema {SCHEMA}. Run the comparison again."
            )
        values = {k: v for k, v in results.items() if k not in ("schema", "kind")}
        of_ratings = _of_ratings(results)
        row, nest = (RatingRow, RatingNested) if of_ratings else (Row, Nested)
        rows = [record_of(row, each, "a row") for each in values.pop("rows", [])]
        nested = [record_of(nest, each, "nested") for each in values.pop("nested", [])]
        values |= {"rows": rows, "nested": nested, "predictions": predictions}
        return record_of(cls, values, "results")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Any:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : str or path-like
            Holds ``results.json`` and ``predictions.csv``.

        Returns
        -------
        comparison : Comparison or CrossComparison

        Raises
        ------
        OSError
            If a file cannot be opened.
        ValueError
            If one is damaged, or these are results of another kind or schema.
        """
        path, table = Path(folder, "results.json"), Path(folder, "predictions.csv")
        with naming_file(path):
            results = json.loads(read_text(path))
            if not isinstance(results, dict):
                raise ValueError(f"it holds a {type(results).__name__}, not an object")
            of_ratings = _of_ratings(results)
        if not table.exists():
            raise FileNotFoundError(f"{table} is missing: {path.name} is read together with it.")
        with naming_file(table):
            labels = dict.fromkeys(("speaker", "emotion", "predicted", "confidence"), str)
            text = io.StringIO(read_text(table))
            predictions = pd.read_csv(text, dtype=labels, keep_default_na=False)
            for name in ("emotion", "predicted") if of_ratings else ("confidence",):
                if name in predictions:  # of other schemas it is not, which are refused
                    numbers = [float(value or "nan") for value in predictions[name]]
                    predictions[name] = numbers  # to the last bit
        with naming_file(path):
            return cls.from_dict(results, predictions)

    def save(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write ``results.json`` and ``predictions.csv``.

        Parameters
        ----------
        folder : str or path-like
            Made if it is not there. Both files of an earlier comparison in it are replaced, and
            its figures and its report are removed.

        Returns
        -------
        names : list of str
            Of the files written.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        # No file of an earlier comparison stays beside those of this one, even if killed here.
        names = ["results.json", "predictions.csv"]
        for name in names:
            Path(folder, name).unlink(missing_ok=True)
        for name in DRAWN:
            remove_figure(Path(folder, name))
        with replacing(Path(folder, "predictions.csv")) as table:
            self.predictions.to_csv(table, index=False)
        write_atomically(Path(folder, "results.json"), f"{text}\n".encode())
        return names


def _of_ratings(results: dict[str, Any]) -> bool:
    """Tell whether these are results of ratings, by the fields of their rows."""
    rows = results.get("rows") or [{}]
    return RatingRow.score_field in rows[0]
