"""How the package is built: rooms, private names of others, sizes. Its lists may only shrink."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import skorch
from sklearn import base, pipeline
from sklearn.model_selection import GridSearchCV

import sklearn_ser

PACKAGE = Path(sklearn_ser.__file__).parent
COMPAT = "_utils/_sklearn.py"

# Imports of another room's private module that stay, and why: five at most.
LASTING_IMPORTS: dict[tuple[str, str], str] = {}

# What classes say to scikit-learn under a private name, as its developer guide has them do.
HOOKS = {"_parameter_constraints", "_doc_link_module", "_doc_link_template", "_estimator_type"}
# And to notebooks.
HOOKS |= {"_repr_html_"}

MAX_LINES = 400
# Longer files that are left to cut, and how long they may be until then.
LONG_FILES: dict[str, int] = {}
# A room's `__init__` lists its names, and `__main__` starts it.
MIN_LINES = 25
# The aim is 110 modules and 16,500 lines.
MAX_MODULES, MAX_TOTAL = 176, 35_450


@cache
def modules():
    """Return the syntax tree of each module, by its path in the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in paths
    }


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def imported(path, tree):
    """Yield (dotted name, name it is bound to) of all imports, relative ones too."""
    package = ["sklearn_ser", *Path(path).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{module}.{alias.name}", alias.asname or alias.name


def chains(tree):
    """Yield each dotted name, such as ``torch.nn.Linear``, as a list, with its node."""
    for node in ast.walk(tree):
        parts, value = [], node
        while isinstance(value, ast.Attribute):
            parts.append(value.attr)
            value = value.value
        if parts and isinstance(value, ast.Name):
            yield [value.id, *parts[::-1]], node


def private_room_imports():
    """Return (path, private module of another room) of each such import."""
    found = set()
    for path, tree in modules().items():
        here = Path(path).parts[0]
        for name, _ in imported(path, tree):
            package, room, *inside = (*name.split("."), "")
            private = next((i for i, part in enumerate(inside) if is_private(part)), None)
            if package == "sklearn_ser" and room != here and private is not None:
                found.add((path, ".".join([room, *inside[: private + 1]])))
    return found


def private_names_of(libraries):
    """Yield (path, dotted name) of each use of a private name of libraries, however imported."""
    for path, tree in modules().items():
        bound = {}
        for name, alias in imported(path, tree):
            if name.split(".")[0] in libraries:
                bound[alias] = name if alias != name.split(".")[0] else alias
                if any(map(is_private, name.split("."))):
                    yield path, name
        for (root, *parts), _ in chains(tree):
            if root in bound and any(map(is_private, parts)):
                yield path, ".".join([bound[root], *parts])


def test_a_room_is_entered_by_its_door():
    found = private_room_imports()
    assert len(LASTING_IMPORTS) <= 5
    assert all(LASTING_IMPORTS.values())
    assert found == {*LASTING_IMPORTS}


def test_only_one_file_knows_private_names_of_scikit_learn_and_skorch():
    found = {(path, name) for path, name in private_names_of({"sklearn", "skorch"})}
    assert {path for path, _ in found} == {COMPAT}, sorted(found)


def test_no_class_uses_or_overrides_private_methods_of_scikit_learn_or_skorch():
    parents = (
        base.BaseEstimator,
        base.TransformerMixin,
        base.ClassifierMixin,
        pipeline.Pipeline,
        pipeline.FeatureUnion,
        GridSearchCV,
        skorch.NeuralNet,
    )
    theirs = {name for parent in parents for name in dir(parent) if is_private(name)} - HOOKS
    found = set()
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                own = [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
                own += [t.id for n in node.body if isinstance(n, ast.Assign) for t in n.targets]
                found |= {(path, name) for name in own if name in theirs}
            elif isinstance(node, ast.Attribute) and node.attr in theirs:
                found.add((path, node.attr))
    assert {path for path, _ in found} == {COMPAT}, sorted(found)


def test_torch_is_used_as_it_is_documented():
    """No private names, no operators by their registration, no patched functions."""
    assert list(private_names_of({"torch", "torchaudio"})) == []
    patched = []
    for path, tree in modules().items():
        names = dict(imported(path, tree))
        assert not [n for n in names if n.startswith(("torch.ops", "torch.overrides"))], path
        torch_names = {alias for name, alias in imported(path, tree) if name.startswith("torch")}
        for parts, node in chains(tree):
            if parts[0] in torch_names:
                assert parts[:2] != ["torch", "ops"], path
                if isinstance(node.ctx, ast.Store):
                    patched.append((path, ".".join(parts)))
    assert patched == []


def test_files_are_written_whole_or_not_at_all():
    """By `write_atomically` and `replacing`; as they come, a download and rows of predictions."""
    as_they_come = {"_utils/_files.py", "datasets/_download.py", "cli/_predict.py"}
    as_they_come |= {"embedders/_opensmile.py"}  # into a temporary folder of its own
    found = set()
    for path, tree in modules().items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            mode = ast.unparse(call.args[1]) if len(call.args) > 1 else ""
            if name.endswith((".write_text", ".write_bytes")) or (
                name == "open"
                and re.fullmatch(r"'[wax]b?'", mode)
                and "temporary" not in ast.unparse(call.args[0])
            ):
                found.add(path)
    assert found <= as_they_come


def test_files_are_neither_long_nor_tiny():
    lines = {
        path: len((PACKAGE / path).read_text(encoding="utf-8").splitlines()) for path in modules()
    }
    long = {path: n for path, n in lines.items() if n > MAX_LINES}
    assert {path: n for path, n in long.items() if n > LONG_FILES.get(path, 0)} == {}
    assert LONG_FILES.keys() - long.keys() == set(), "take these off the list"
    short = {
        path
        for path, n in lines.items()
        if n < MIN_LINES and "/" in path and not Path(path).name.startswith("__")
    }
    assert short == set()
    print(f"{len(lines)} modules, {sum(lines.values())} lines")
    assert len(lines) <= MAX_MODULES
    assert sum(lines.values()) <= MAX_TOTAL


def pinned(name):
    """Return the versions in a constraints file, by package."""
    text = (PACKAGE.parent / name).read_text(encoding="utf-8")
    return {normalised(line[0]): line[1] for line in re.findall(r"(?m)^([\w.-]+)==(\S+)", text)}


def normalised(package):
    return re.sub(r"[-_.]+", "-", package).lower()


def as_numbers(version):
    """Return the first three parts of a version; 2.0 is 2.0.0."""
    return tuple(int(part) for part in [*re.findall(r"\d+", version), 0, 0][:3])


def test_the_oldest_versions_that_are_allowed_are_those_that_are_tested():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [*project["project"]["dependencies"], *project["dependency-groups"]["test"]]
    for extra in project["project"]["optional-dependencies"].values():
        needed += [each for each in extra if "[" not in each]
    oldest, newest = pinned("constraints-oldest.txt"), pinned("constraints.txt")
    bounds = {normalised(name): bound for name, bound in (each.split(">=") for each in needed)}
    assert len(bounds) >= 30
    for package, bound in bounds.items():
        assert as_numbers(oldest[package]) == as_numbers(bound), package
        assert as_numbers(newest.get(package, bound)) >= as_numbers(bound), package
