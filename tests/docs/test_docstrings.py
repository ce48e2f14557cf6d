"""Everything public says what it takes and what it gives, as numpydoc understands it."""

import importlib
import inspect
import pkgutil
import re

import pytest
from numpydoc.validate import validate

import sklearn_ser

IGNORED = {
    "ES01": "an extended summary is not needed by everything",
    **dict.fromkeys(["PR07", "RT03"], "name, type and shape may say all"),
    **dict.fromkeys(["PR08", "PR09", "RT04", "RT05", "SS02"], "how sentences begin and end"),
    "RT02": "what is returned has a name, as in scikit-learn",
}
# Of methods and properties: those that a user calls are in the example of their class.
OF_THE_CLASS = dict.fromkeys(["SA01", "EX01"], "its class has the section")
# What is made by something else, whose example shows it.
SHOWN = {
    "audit.Diagnosis": "audit.diagnose",
    "audit.Finding": "audit.diagnose",
    "audit.SplitAudit": "audit.audit_split",
    "embedders.RecordEmbedder": "embedders.BaseEmbedder",
    "evaluation.Nested": "evaluation.compare",
    "evaluation.RatingNested": "evaluation.compare",
    "model_selection.Protocol": "model_selection.LeaveOneSpeakerOut",
}
EXCEPTIONS = {
    **{f"sklearn_ser.{name}": ({"EX01"}, f"see {maker}") for name, maker in SHOWN.items()},
    "sklearn_ser.cli.main": ({"EX01"}, "the pages of the user guide show every command"),
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
MEMBERS = {name for name in OBJECTS if name.rpartition(".")[0] in OBJECTS}


def faults(name):
    """Return the faults of a docstring, by their codes."""
    excused, _ = EXCEPTIONS.get(name, (set(), ""))
    if name in MEMBERS:
        excused = {*excused, *OF_THE_CLASS}
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


@pytest.mark.parametrize("name", sorted(set(SHOWN.values())))
def test_what_shows_others_has_an_example(name):
    assert "EX01" not in dict(validate(f"sklearn_ser.{name}")["errors"])


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
