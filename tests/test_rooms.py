"""A room is entered by its `__init__`: nobody imports another room's private module."""

import ast
from pathlib import Path

import pytest

import sklearn_ser

PACKAGE = Path(sklearn_ser.__file__).parent
CLOSED = ["audit", "cli", "model_selection", "preprocessing"]


def private_imports():
    """Return (importing room, room, module) of each import of another room's private module."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        here = file.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                package, _, path = name.partition(".")
                room, *inside = path.split(".")
                if package == "sklearn_ser" and room != here and inside and inside[0][0] == "_":
                    found.append((here, room, name))
    return found


@pytest.mark.parametrize("room", CLOSED)
def test_rooms_are_entered_and_left_by_their_doors(room):
    assert [found for found in private_imports() if room in found[:2]] == []
