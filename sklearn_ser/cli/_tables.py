"""Tables on the terminal: what was compared, audited, trained, recognised and stored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from sklearn_ser.audit import SplitAudit
from sklearn_ser.evaluation import Comparison, CorporaComparison, CrossComparison, describe_nested
from sklearn_ser.preprocessing import stored_copies

__all__ = [
    "print_audit",
    "print_card",
    "print_cross",
    "print_ranks",
    "print_rows",
    "print_table",
    "show",
    "store_table",
]

IN_FILE = ("accuracy", "macro F1", "Pearson", "RMSE", "seconds")  # left out where not all fits
NUMBERS = ("layer", "UAR", "CCC", "95 % interval", *IN_FILE)  # never wrapped
N_NAMED = 5  # clips that were left out, on the terminal
# What a card says of features: what was selected, and what was computed by which weights.
SELECTED = ("model", "layer", "pooling")
PINNED = ("revision", "weights")


def show(renderable: Any) -> None:
    """Print a table or a text, whose brackets and colons are no markup but names' own."""
    _console().print(renderable)


def _console() -> Console:
    return Console(markup=False, emoji=False)


def print_table(comparison: Comparison) -> None:
    """Print the rows of a comparison, the best in bold."""
    _show_tables(comparison)
    for nested in comparison.nested:
        show(describe_nested(nested, comparison.rows))
    if comparison.emotions_not_tested:
        show(f"Never tested: {', '.join(comparison.emotions_not_tested)}.")
    _print_left_out(comparison)
    show(f"Audit: {comparison.audit['verdict']}")
    _print_published(comparison)


def _show_tables(comparison: Comparison | CorporaComparison | CrossComparison) -> None:
    """Print what a comparison shows as rich tables, as wide as the terminal.

    Where not all fits, scores that are in results.json are left out; then names are folded.
    """
    console = _console()
    unlimited = console.options.update(max_width=10_000)
    for cells in comparison.tables():
        table = _rich_table(cells, cells.columns, cells.notes)
        left_out = [name for name in cells.columns if name in IN_FILE]
        if left_out and console.measure(table, options=unlimited).maximum > console.width:
            columns = [name for name in cells.columns if name not in IN_FILE]
            note = f"In results.json: {', '.join(left_out)}."
            table = _rich_table(cells, columns, [*cells.notes, note])
        show(table)


def _rich_table(cells: Any, columns: Sequence[str], notes: Sequence[str]) -> Table:
    """Return some of the columns of a table as a rich one, the best row in bold."""
    table = Table(title=cells.title, caption=" ".join(notes))
    names = cells.columns[: cells.n_names]
    for name in columns:
        if name in names:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=name in NUMBERS)
    for k, row in enumerate(cells.cells):
        best = any(position == k for position, _ in cells.bold)
        shown = [cell for name, cell in zip(cells.columns, row, strict=True) if name in columns]
        table.add_row(*shown, style="bold" if best else None)
    return table


def _print_left_out(comparison: Any) -> None:
    left_out = comparison.clips_left_out
    if not left_out:
        return
    show(f"{len(left_out)} clips could not be used and were left out of every row:")
    for clip in left_out[:N_NAMED]:
        reasons = "; ".join(dict.fromkeys(clip["reasons"].values()))
        show(f"  {clip['name']}: {reasons}")
    if len(left_out) > N_NAMED:
        show(f"  and {len(left_out) - N_NAMED} more, which results.json names.")


def _print_published(comparison: Any) -> None:
    if comparison.published:
        table = Table(title=f"Published for {comparison.cv}, the same clips and emotions")
        for name in ("features", "system", "scaled by", "metric", "value", "source"):
            table.add_column(name, justify="right" if name == "value" else "left")
        for row in comparison.published:
            spread = "" if row["spread"] is None else f" ± {row['spread']:.3f}"
            metric = {"uar": "UAR"}.get(row["metric"], row["metric"])
            value = f"{row['value']:.3f}{spread}"
            cells = row["features"], row["system"], row["scaling"], metric, value, row["source"]
            table.add_row(*cells)
        show(table)
    if comparison.published_note:
        show(f"Not shown: {comparison.published_note}")


def print_ranks(found: CorporaComparison) -> None:
    """Print a table of feature sets by corpus, and their ranks."""
    _show_tables(found)
    for line in str(ranks := found.ranks()).splitlines()[1 + len(ranks.mean_ranks) :]:
        show(line)


def print_cross(comparison: CrossComparison) -> None:
    """Print a square of UARs for each feature set and alignment, at its best layer."""
    _show_tables(comparison)
    show(f"Audit: {comparison.audit}")
    _print_left_out(comparison)


def print_audit(audit: SplitAudit) -> None:
    """Print what training and test set of each fold share, and the verdict."""
    table = Table(title=f"Audit of {audit.cv}", caption="How many are in training and test set.")
    columns = {
        "fold": "fold",
        "n_train": "train",
        "n_test": "test",
        "shared_speakers": "speakers",
        "shared_sessions": "sessions",
        "shared_sentences": "sentences",
        "n_identical": "copies",
        "n_near_identical": "near-copies",
    }
    for name in columns.values():
        table.add_column(name, justify="right")
    for row in audit.folds[list(columns)].itertuples(index=False):
        table.add_row(*("?" if np.isnan(value) else f"{value:.0f}" for value in row))
    show(table)
    show(audit.verdict)


def store_table(store: Any) -> Table:
    """Return what a store holds as a table, a line a set of settings."""
    table = Table(title=str(store.folder))
    for name in ("features", "settings"):
        table.add_column(name, overflow="fold")
    for name in ("clips", "MB", "last used"):
        table.add_column(name, justify="right", no_wrap=True)
    held = [(records, files) for records in store.list() if (files := list(records.files()))]
    names = [_settings_in_words(records.settings) for records, _ in held]
    called = Counter((held[k][0].features, name) for k, name in enumerate(names))
    parts = []
    for (records, files), settings in zip(held, names, strict=True):
        if called[records.features, settings] > 1 and "weights" in records.settings:
            weights = f"weights={records.settings['weights']}"  # all else is alike
            settings = f"{settings}, {weights}" if settings else weights
        settings = settings or ("(default)" if records.settings else "(they cannot be read)")
        n_clips, n_bytes = (
            sum(file.n_records for file in files),
            sum(file.n_bytes for file in files),
        )
        used = max(file.used for file in files)
        parts.append((records.features, settings, n_clips, n_bytes, used))
    if copies := stored_copies(store.folder):
        n_bytes, used = sum(copy.st_size for copy in copies), max(copy.st_mtime for copy in copies)
        parts.append(("augmented copies", "(deleted by --clear only)", len(copies), n_bytes, used))
    for features, settings, n_clips, n_bytes, used in parts:
        date = f"{datetime.fromtimestamp(used):%Y-%m-%d %H:%M}"
        table.add_row(features, settings, str(n_clips), f"{n_bytes / 1e6:.1f}", date)
    clips, size = sum(part[2] for part in parts), sum(part[3] for part in parts)
    table.add_row("all", "", str(clips), f"{size / 1e6:.1f}", "", style="bold")
    return table


def _settings_in_words(settings: dict[str, Any]) -> str:
    """Return settings as text, without digests and the versions of records."""
    return ", ".join(
        f"{name}={value}"
        for name, value in settings.items()
        if name not in ("meaning", "record", "source")
        and value is not None
        and (name == "revision" or not re.fullmatch("[0-9a-f]{16,}", str(value)))
    )


def print_rows(rows: Any) -> None:
    """Print what was recognised, one line per recording or window."""
    table = Table(
        caption="out: quantile of the out-of-distribution score, the share of held-out clips that "
        "are nearer to the training clips. Emotions and probabilities hold where it is low.",
    )
    table.add_column("recording", min_width=16, overflow="ellipsis", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("emotion", no_wrap=True)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("out", justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for row in rows.to_dict("records"):
        known = not pd.isna(row["emotion"])
        seconds = (row["start"], row["end"])
        table.add_row(
            Path(row["recording"]).name,
            "–".join("" if pd.isna(second) else f"{second:.1f}" for second in seconds),
            str(row["emotion"]) if known else "",
            f"{row[row['emotion']]:.2f}" if known else "",
            "" if np.isnan(row["out_of_domain"]) else f"{row['out_of_domain']:.2f}",
            row["note"],
        )
    show(table)


def print_card(card: dict[str, Any]) -> None:
    """Print what a recognizer was trained on, and how well it does."""
    scores = card["new_speakers"]
    interval = scores["uar_ci"]
    within = (
        " (no interval: fewer than four speakers)"
        if interval is None
        else f" (95 %: {interval[0]:.3f}–{interval[1]:.3f})"
    )
    averaging = scores.get("averaging", "")
    averaging = f" {averaging}" if averaging.startswith("pooled") else ""
    table = Table(title="A recognizer's card", show_header=False)
    for corpus in card["training"]:
        counts = ", ".join(f"{emotion} {count}" for emotion, count in corpus["emotions"].items())
        clips = f"{corpus['n_clips']} clips of {corpus['n_speakers']} speakers: {counts}"
        table.add_row(f"trained on {corpus['corpus']}", clips)
    table.add_row("emotions", ", ".join(map(str, card["emotions"])))
    table.add_row("features", _listed(card["features"]))
    table.add_row("classifier", card["classifier"])
    table.add_row(
        "speakers held out",
        f"UAR {scores['uar']:.3f}{within}{averaging}, accuracy {scores['accuracy']:.3f}, macro F1 "
        f"{scores['macro_f1']:.3f}, log loss {scores['log_loss']:.3f}",
    )
    if scores.get("confounded"):
        known = f"UAR of {scores['speaker_uar']:.3f} (chance {1 / len(card['emotions']):.3f})"
        table.add_row(
            "CONFOUNDED with speaker",
            f"the speaker label alone predicts the emotion with a {known}: scores may tell "
            "speakers apart, and not their emotions",
        )
    table.add_row("out-of-distribution score by", _listed(card["domain"]))
    for name, file in card.get("files", {}).items():
        table.add_row(f"code of {name}", f"{file['path']}, SHA-256 {file['sha256']}")
    table.add_row("made", card["created"])
    versions = [f"{name} {version}" for name, version in card["versions"].items()]
    table.add_row("versions", ", ".join(versions))
    show(table)


def _listed(features: list[dict[str, Any]]) -> str:
    return "\n".join(
        ", ".join(
            [
                each["features"],
                *(f"{name} {each[name]}" for name in SELECTED if each.get(name) is not None),
                *(
                    f"{name} {each['computed'][name]}"
                    for name in PINNED
                    if each["computed"].get(name)
                ),
            ]
        )
        for each in features
    )
