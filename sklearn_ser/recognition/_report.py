"""What was recognised, and a recognizer's card, on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sklearn_ser.evaluation._fits import POOLED

__all__ = ["print_card", "print_rows"]

# What a card says of features: what was selected, and what was computed by which weights.
SELECTED = ("model", "layer", "pooling")
PINNED = ("revision", "weights")


def print_rows(rows: Any) -> None:
    """Print what was recognised, a line a recording or window."""
    table = Table(
        caption="out: the share of held-out speakers' clips that are nearer to the clips of "
        "training. An emotion and its probability hold for speech like these.",
    )
    table.add_column("recording", min_width=16, overflow="ellipsis", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("emotion", no_wrap=True)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("out", justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for row in rows.to_dict("records"):
        known = isinstance(row["emotion"], str)
        seconds = (row["start"], row["end"])
        table.add_row(
            escape(Path(row["recording"]).name),
            "–".join("" if pd.isna(second) else f"{second:.1f}" for second in seconds),
            row["emotion"] if known else "",
            f"{row[row['emotion']]:.2f}" if known else "",
            "" if np.isnan(row["out_of_domain"]) else f"{row['out_of_domain']:.2f}",
            escape(row["note"]),
        )
    Console().print(table)


def print_card(card: dict[str, Any]) -> None:
    """Print what a recognizer was trained on, and how well it does."""
    scores = card["new_speakers"]
    interval = scores["uar_ci"]
    within = "" if interval is None else f" (95 %: {interval[0]:.3f}–{interval[1]:.3f})"
    averaging = f" {POOLED}" if scores.get("averaging") == POOLED else ""
    table = Table(title="A recognizer's card", show_header=False)
    for corpus in card["training"]:
        counts = ", ".join(f"{emotion} {count}" for emotion, count in corpus["emotions"].items())
        told = f"{corpus['n_clips']} clips of {corpus['n_speakers']} speakers: {counts}"
        table.add_row(f"trained on {corpus['corpus']}", told)
    table.add_row("emotions", ", ".join(card["emotions"]))
    table.add_row("features", _listed(card["features"]))
    table.add_row("classifier", card["classifier"])
    table.add_row(
        "speakers held out",
        f"UAR {scores['uar']:.3f}{within}{averaging}, accuracy {scores['accuracy']:.3f}, macro F1 "
        f"{scores['macro_f1']:.3f}, log loss {scores['log_loss']:.3f}",
    )
    table.add_row("domain told by", _listed(card["domain"]))
    for name, file in card.get("files", {}).items():
        table.add_row(f"code of {name}", f"{file['path']}, SHA-256 {file['sha256']}")
    table.add_row("made", card["created"])
    versions = [f"{name} {version}" for name, version in card["versions"].items()]
    table.add_row("versions", ", ".join(versions))
    Console().print(table)


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
