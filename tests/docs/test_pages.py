"""Every code block of README and documentation runs as it is copied, in order on its page."""

import ast
import contextlib
import doctest
import re
import runpy
import shlex
import sys
import textwrap
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

from sklearn_ser import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.rst", *sorted((ROOT / "docs").glob("*.rst"))]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
LANGUAGES = {"python", "pycon", "bash", "text"}
# Commands that are not run, and why.
NOT_RUN = {
    "python -m pip": "it installs",
    "pip": "it installs",
    "python -m venv": "it makes an environment",
    "source": "it enters an environment",
    "git clone": "it downloads",
    "cd sklearn-ser": "it enters the clone",
    "pytest": "it is this suite",
    "sphinx-build": "it builds the site, as .ci/run does",
    "huggingface-cli": "it downloads",
}
# Pages that train networks or start clusters take a minute, and so do comparisons of several
# feature sets.
SLOW_PAGES = {"coming_from", "compare", "corpora", "fine_tuning", "heads", "recordings"}
SLOW_PAGES |= {"scaling_out", "words", "your_own_features"}
SLOW_COMMANDS = ("sklearn-ser compare", "sklearn-ser cross", "python docs/")
# What corpora of few clips, and recordings that are not of EmoDB, are warned of.
EXPECTED = [
    r".*clips of (EmoDB|RAVDESS|CREMA-D|MELD).*",
    r".*are left out.*",
]


class Block(NamedTuple):
    """A block of a page: its language, its lines, and the number of the first one."""

    language: str
    text: str
    line: int


def blocks_of(page):
    """Return the blocks of code on a page."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".md":
        pattern = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    else:
        pattern = re.compile(
            r"^ *\.\. code-block::(?: (\w+))?\n(?: +:.*\n)*\n((?: +.*\n|\n)+)", re.MULTILINE
        )
    return [
        Block(match[1] or "", textwrap.dedent(match[2]), text.count("\n", 0, match.start(2)) + 1)
        for match in pattern.finditer(text)
    ]


def commands_of(block):
    """Return the commands of a block, each as a list of its words."""
    lines = block.text.replace("\\\n", " ").splitlines()
    texts = [part for line in lines for part in line.split(" && ")]
    return [words for text in texts if (words := shlex.split(text, comments=True))]


def kind_of(command):
    """Return the reason why a command is not run, or None."""
    starts = (" ".join(command[:n]) for n in (3, 2, 1))
    return next((NOT_RUN[start] for start in starts if start in NOT_RUN), None)


BLOCKS = {page: blocks_of(page) for page in PAGES}
COMMANDS = [
    pytest.param(command, id=f"{page.stem}: {' '.join(command)[:60]}")
    for page, blocks in BLOCKS.items()
    for block in blocks
    if block.language == "bash"
    for command in commands_of(block)
]


def is_slow(command):
    return " ".join(command).startswith(SLOW_COMMANDS) and "egemaps --out" not in " ".join(command)


def cases():
    """Yield each page with blocks that run; once more, slow, where commands take long."""
    for page, blocks in BLOCKS.items():
        if any(block.language != "text" for block in blocks):
            marks = [pytest.mark.slow] if page.stem in SLOW_PAGES else []
            yield pytest.param(page, False, id=page.stem, marks=marks)
        commands = [c for block in blocks if block.language == "bash" for c in commands_of(block)]
        if any(map(is_slow, commands)):
            yield pytest.param(page, True, id=f"{page.stem}, with all", marks=pytest.mark.slow)


def run_command(command):
    if command[0] == "sklearn-ser":
        return cli.main(command[1:])
    assert command[:1] == ["python"], command
    sys.argv[:] = command[1:]
    runpy.run_path(command[1], run_name="__main__")
    return 0


def run_prompts(text, names, page, line):
    test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), line)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report = []
    runner.run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize(("page", "everything"), list(cases()))
def test_blocks_run_in_order(page, everything, page_folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["python"])
    names = {"__name__": "__main__"}
    with warnings.catch_warnings():
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message)
        for language, text, line in BLOCKS[page]:
            if language == "python":
                code = compile("\n" * (line - 1) + text, page, "exec")
                exec(code, names)
            elif language == "pycon":
                run_prompts(text, names, page, line)
            elif language == "bash":
                for command in commands_of(Block(language, text, line)):
                    if kind_of(command) or (is_slow(command) and not everything):
                        continue
                    assert run_command(command) == 0, f"{page.name}:{line}: {shlex.join(command)}"


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_the_options_that_pages_name(command):
    if reason := kind_of(command):
        pytest.skip(reason)
    if command[0] == "python":
        assert (ROOT / command[1]).is_file()
        return
    assert command[0] == "sklearn-ser"
    with contextlib.suppress(SystemExit) if "--help" in command else contextlib.nullcontext():
        options = cli._parser().parse_args(command[1:])
        assert options.run is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_name_their_language(page):
    text = page.read_text(encoding="utf-8")
    assert {block.language for block in BLOCKS[page]} <= LANGUAGES
    if page.suffix == ".rst":
        assert re.findall(r"^(?!\s*\.\.).*::$", text, re.MULTILINE) == []
        assert len(BLOCKS[page]) == text.count(".. code-block::")
    else:
        assert 2 * len(BLOCKS[page]) == text.count("```")


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "gallery").glob("plot_*.py")), ids=lambda page: page.stem
)
def test_gallery_pages_have_a_title_and_end_in_a_result(page):
    text = page.read_text(encoding="utf-8")
    title, rule = text.split("\n")[1:3]
    assert len(rule) == len(title)
    assert set(rule) == {"="}
    last = text.split("# %%")[-1].strip()
    assert last, "it ends in a picture or a table"


def messages():
    """Return the texts in the package, with "…" for what is filled in."""

    def text_of(node):
        if isinstance(node, ast.JoinedStr):
            return "".join(
                part.value if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""

    package = Path(cli.__file__).parents[1]
    for path in package.rglob("*.py"):
        yield from map(text_of, ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def test_troubleshooting_quotes_messages_that_there_are():
    page = (ROOT / "docs" / "troubleshooting.rst").read_text(encoding="utf-8")
    quoted = re.findall(r'^"(.+)"$', page, re.MULTILINE)
    assert len(quoted) > 20
    known = list(messages())
    assert [text for text in quoted if not any(text in message for message in known)] == []
