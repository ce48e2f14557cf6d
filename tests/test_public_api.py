"""Every public name and its signature, as public_api.txt records them.

Run this file to record what there is now: ``python tests/test_public_api.py``.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path

import sklearn_ser

RECORDED = Path(__file__).with_name("public_api.txt")


def signature_of(value):
    """Return the parameters, their order, kinds and defaults; annotations may become finer."""
    parameters = inspect.signature(value).parameters.values()
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(plain))


def public_names():
    """Yield a line for each name that public modules export, and each method and property."""
    modules = [
        module.name for module in pkgutil.walk_packages(sklearn_ser.__path__, "sklearn_ser.")
    ]
    for module in ["sklearn_ser", *modules]:
        if any(part.startswith("_") for part in module.split(".")):
            continue
        here = importlib.import_module(module)
        for name in getattr(here, "__all__", ()):
            value = getattr(here, name)
            if not callable(value):
                yield f"{module}.{name}"
                continue
            is_exception = inspect.isclass(value) and issubclass(value, BaseException)
            yield f"{module}.{name}{'' if is_exception else signature_of(value)}"
            for member, found in members_of(value) if inspect.isclass(value) else ():
                function = getattr(found, "__func__", found)
                called = inspect.isfunction(function)
                yield f"{module}.{name}.{member}{signature_of(function) if called else ''}"


def members_of(cls):
    """Yield the methods, properties and fields that our classes define, not those they inherit."""
    own = [base for base in cls.__mro__ if base.__module__.split(".")[0] == "sklearn_ser"]
    found = {}
    for base in reversed(own):
        found |= dict.fromkeys(inspect.get_annotations(base))
        found |= {
            name: value
            for name, value in vars(base).items()
            if inspect.isfunction(value) or isinstance(value, (classmethod, staticmethod, property))
        }
    yield from ((name, value) for name, value in found.items() if not name.startswith("_"))


def record():
    """Return the text of the file."""
    return "".join(f"{line}\n" for line in sorted(set(public_names())))


def test_public_names_and_signatures_are_those_that_are_recorded():
    recorded, now = RECORDED.read_text(encoding="utf-8"), record()
    gone = sorted({*recorded.splitlines()} - {*now.splitlines()})
    new = sorted({*now.splitlines()} - {*recorded.splitlines()})
    assert recorded == now, (
        f"The public API has changed.\n- {gone}\n+ {new}\nA name that goes, or a parameter "
        "that is renamed, moved or gets another default, warns for a release first, and "
        "is in CHANGELOG.md. Then: python tests/test_public_api.py"
    )


if __name__ == "__main__":
    RECORDED.write_text(record(), encoding="utf-8")
