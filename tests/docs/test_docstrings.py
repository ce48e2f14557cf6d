"""Everything public says what it takes and what it gives, as numpydoc understands it."""

import importlib
import inspect
import pkgutil
import re

import pytest
from numpydoc.validate import validate

import sklearn_ser

IGNORED = {
    **dict.fromkeys(["SA01", "ES01", "EX01"], "a section that not everything needs"),
    **dict.fromkeys(["PR07", "RT03"], "name, type and shape may say all"),
    **dict.fromkeys(["PR08", "PR09", "RT04", "RT05", "SS02"], "how sentences begin and end"),
    "RT02": "what is returned has a name, as in scikit-learn",
}
EXCEPTIONS = {
    "sklearn_ser.evaluation.compare_across": (
        {"PR03", "PR04"},
        "it lists parameters that are those of compare together",
    ),
    "sklearn_ser.classifiers.PretrainedEmotionRegressor": (
        {"PR04"},
        "it lists parameters that are those of PretrainedEmotionClassifier together",
    ),
}


def public_objects():
    """Return all classes, their methods and functions in public modules, by name."""
    found = {}
    for module in pkgutil.walk_packages(sklearn_ser.__path__, "sklearn_ser."):
        if any(part.startswith("_") for part in module.name.split(".")):
            continue
        here = importlib.import_module(module.name)
        for name in getattr(here, "__all__", ()):
            thing = getattr(here, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                found[f"{module.name}.{name}"] = thing
            if inspect.isclass(thing):
                own = [base for base in thing.__mro__ if base.__module__.startswith("sklearn_ser")]
                found |= {
                    f"{module.name}.{name}.{method}": value
                    for base in reversed(own)
                    for method, value in vars(base).items()
                    if not method.startswith("_")
                    and (inspect.isfunction(value) or isinstance(value, (classmethod, property)))
                }
    return found


OBJECTS = public_objects()


def faults(name):
    """Return the faults of a docstring, by their codes."""
    excused, _ = EXCEPTIONS.get(name, (set(), ""))
    found = validate(name)
    return {code: text for code, text in found["errors"] if code not in {*IGNORED, *excused}}


@pytest.mark.parametrize("name", OBJECTS)
def test_docstrings_are_whole(name):
    assert faults(name) == {}


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_are_needed(name, monkeypatch):
    codes, _ = EXCEPTIONS[name]
    monkeypatch.delitem(EXCEPTIONS, name)
    assert set(faults(name)) == codes


CLASSES = [name for name, thing in OBJECTS.items() if inspect.isclass(thing)]


@pytest.mark.parametrize("name", CLASSES)
def test_a_parameter_that_is_deleted_is_noticed(name, monkeypatch):
    cls = OBJECTS[name]
    text = inspect.getdoc(cls)
    n_deleted = 0
    for parameter in inspect.signature(cls).parameters if "Parameters\n---" in text else ():
        kept = re.sub(rf"\n{parameter} : .*(\n    .*|\n(?=\n    ))*", "", text)
        if kept != text:
            monkeypatch.setattr(cls, "__doc__", kept)
            assert "PR01" in faults(name), parameter
            n_deleted += 1
    assert n_deleted > 0 or "Parameters\n---" not in text
