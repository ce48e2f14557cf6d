"""A comparison shows itself as a table: plain text, Markdown, LaTeX and HTML."""

import re
import shutil
import subprocess
import warnings
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare_across
from sklearn_ser.evaluation._formats import Table

AWKWARD = [
    r"a_b & 50 % of $x^2$ #1 {y} ~ \alpha",
    "[red]*a*[/red] <b>|c|</b> `d`",
    'two\nlines "quoted" – ≈ → × ± ≥ …',
    "*starred",
]


@pytest.fixture(scope="module")
def found(make_comparison):
    skills = {("mfcc", None): 0.2, ("ssl", 0): 0.7, ("ssl", 1): 0.8, ("ssl", 2): 0.75}
    return make_comparison(skills)


@pytest.fixture(scope="module")
def awkward(make_comparison):
    return make_comparison({(name, None): 0.5 for name in AWKWARD}, corpus=AWKWARD[0])


def cells_of_html(text):
    """Return the text of each row's cells, as a browser reads it."""

    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.rows, self.inside = [], False

        def handle_starttag(self, tag, attributes):
            if tag == "tr":
                self.rows.append([])
            elif tag in ("td", "th"):
                self.rows[-1].append("")
                self.inside = True

        def handle_endtag(self, tag):
            self.inside &= tag not in ("td", "th")

        def handle_data(self, data):
            if self.inside:
                self.rows[-1][-1] += data

    reader = Reader()
    reader.feed(text)
    return reader.rows


def cells_of(found, form):
    """Return the cells of a table, unescaped, without what makes them bold."""
    if form == "html":
        return cells_of_html(found._repr_html_())
    if form == "markdown":
        lines = [line for line in found.to_markdown().splitlines() if line.startswith("|")]
        cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in (lines[0], *lines[2:])]
        cells = [[cell.strip() for cell in row] for row in cells]
        return [[re.sub(r"\\(.)", r"\1", re.sub(r"^\*\*|\*\*$", "", c)) for c in r] for r in cells]
    lines = [line for line in found.to_latex().splitlines() if line.endswith(r"\\")]
    cells = [line.removesuffix(r" \\").split(" & ") for line in lines]
    plain = {r"\textbf{": "", r"$\approx$": "≈", r"\%": "%", "--": "–", "}": ""}
    return [[_replaced(cell, plain) for cell in row] for row in cells]


def _replaced(text, signs):
    for sign, plain in signs.items():
        text = text.replace(sign, plain)
    return text


def test_negative_numbers_have_a_minus_in_latex():
    cells = ["wav2vec2-base", "-0.3 (-0.51–-0.02)", "0.2--0.3"]
    text = Table("ratings from -1 to 1", ["a", "b", "c"], [cells], []).to_latex()
    assert "wav2vec2-base & $-$0.3 ($-$0.51--$-$0.02) & 0.2--0.3" in text
    assert "from $-$1 to 1" in text


@pytest.mark.parametrize("form", ["html", "markdown", "latex"])
def test_tables_hold_the_rounded_scores_of_every_row_and_the_nested_one(found, form):
    heads, *rows = cells_of(found, form)
    assert heads[:4] == ["features", "layer", "UAR", "95 % interval"]
    assert len(rows) == len(found.rows) + len(found.nested) == 5
    for cells, row in zip(rows, [*found.rows, *found.nested], strict=True):
        assert cells[2].removesuffix(" ≈") == f"{row.uar:.3f}"
        assert cells[3] == "–".join(f"{end:.3f}" for end in row.uar_ci)
    assert [cells[:2] for cells in rows][::2] == [["mfcc", ""], ["ssl", "1"], ["ssl", "nested"]]


def test_the_best_is_bold_and_what_is_not_different_from_it_is_marked(found):
    best = found.rows[found.best]
    expected = [row.p_holm is not None and row.p_holm >= 0.05 for row in found.rows]
    assert 0 < sum(expected) < len(expected)
    marked = ["≈" in cells[2] for cells in cells_of(found, "latex")[1:5]]
    assert marked == expected
    assert re.findall(r"\\textbf\{(.*?)\}", found.to_latex()) == [f"{best.uar:.3f}"]
    assert f"<strong>{best.uar:.3f}</strong>" in found._repr_html_()
    assert f"**{best.uar:.3f}**" in found.to_markdown()


@pytest.mark.parametrize("form", [repr, str, lambda f: f.to_latex(), lambda f: f._repr_html_()])
def test_captions_say_what_intervals_are_and_of_how_many(found, form):
    shown = " ".join(form(found).replace("\\%", "%").split())
    assert "interval: 95 %, for new speakers" in shown
    assert "n = 6 speakers, 120 clips" in shown
    assert "Chance is 0.250" in shown


def test_what_the_audit_found_is_shown_with_the_table(found, across):
    verdict = found.audit["verdict"]
    assert repr(found).endswith(f"\nAudit: {verdict}")
    assert f"<p>Audit: {verdict}</p>" in found._repr_html_()
    assert repr(across).endswith(f"\nAudit: {across.audit}")


def test_frames_hold_the_scores_as_numbers(found):
    frame = found.to_frame()
    assert frame["uar"].tolist() == [row.uar for row in [*found.rows, *found.nested]]
    assert frame["uar_high"].tolist() == [row.uar_ci[1] for row in [*found.rows, *found.nested]]
    assert frame["row"].tolist()[:-1] == [0, 1, 2, 3]
    assert np.isnan(frame["row"].iloc[-1])
    assert frame["layer"].tolist() == [None, 0, 1, 2, "nested"]
    assert frame["n_speakers"].eq(6).all()
    assert frame["n_clips"].eq(120).all()


def test_digits_are_those_asked_for(found):
    assert f" {found.rows[1].uar:.2f} " in found.to_markdown(digits=2).replace("*", " ")


def test_without_intervals_it_is_said(make_comparison):
    few = make_comparison({("mfcc", None): 0.5, ("egemaps", None): 0.5}, n_speakers=3)
    assert "none: fewer than four speakers" in repr(few)
    assert "≈" not in repr(few)
    assert cells_of(few, "latex")[1][3] == ""


@pytest.mark.parametrize(("n_rows", "of"), [(2, ""), (4, " of 6 pairs of rows")])
def test_notes_say_how_many_pairs_are_corrected_for(make_comparison, n_rows, of):
    found = make_comparison({("ssl", layer): 0.5 + 0.1 * layer for layer in range(n_rows)})
    assert f"(paired by speaker, Holm's p{of} ≥ .05)" in repr(found)


def test_the_mark_is_explained_where_it_is(make_comparison):
    apart = make_comparison({("bad", None): 0.0, ("good", None): 1.0}, n_speakers=12)
    assert not any(row.not_worse_than_best for row in apart.rows if row.score < 1)
    assert "≈" not in repr(apart)
    alike = make_comparison({("ssl", layer): 0.5 + 0.1 * layer for layer in range(4)})
    best = alike.rows[alike.best].score
    marked = [row for row in alike.rows if row.not_worse_than_best and row.score < best]
    assert repr(alike).count("≈") == len(marked) + 1 > 1  # at these rows, and in the note


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_awkward_names_are_read_as_they_are(awkward, form):
    read = [" ".join(cells[0].split()) for cells in cells_of(awkward, form)[1:]]
    assert read == [" ".join(name.split()) for name in AWKWARD]


@pytest.fixture(scope="module")
def across():
    corpora = {
        name: make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)
        for seed, name in enumerate(["a_b & c", "[two]"])
    }
    return compare_across(corpora, ["mfcc"], classifier="lda", cache=None, audit=False)


def test_comparisons_across_corpora_show_their_squares(across):
    matrix = across.matrix()
    heads, *rows = cells_of(across, "html")
    assert heads == ["trained on", *(f"tested on {name}" for name in matrix)]
    assert rows == [
        [name, *(f"{value:.3f}" for value in values)] for name, values in matrix.iterrows()
    ]
    assert repr(across).count("trained on") == 2
    assert across.to_frame()["n_speakers"].tolist() == [3] * 4


def test_squares_of_corpora_hold_the_interval_of_every_score():
    corpora = {
        name: make_emotional_speech(n_speakers=4, n_sentences=1, random_state=seed)
        for seed, name in enumerate(["zebra", "ant", "cow"])
    }
    for sign, corpus in zip((1, -1, 1), corpora.values(), strict=True):  # so that one is negative
        corpus.y = sign * np.array([{"anger": 0.9, "sadness": 0.1}.get(e, 0.5) for e in corpus.y])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = {"nano": "nano", "mfcc": "mfcc"}
        found = compare_across(corpora, features, layer=2, same_scale=True, cache=None, audit=False)
    titles = [table.title.partition(":")[0] for table in found.tables()]
    assert titles == ["nano, layer 2", "mfcc"]  # in the order that was asked for
    (frame,) = (scores for name, scores in found.to_frame().groupby("features") if name == "mfcc")
    assert frame["ccc"].min() < 0
    cells = {(row[0], name): row[1 + k] for row in found.tables()[1].cells for k, name in
             enumerate(corpora)}  # fmt: skip
    for line in frame.itertuples():
        numbers = re.findall(r"−?\d\.\d+", cells[line.train, line.test])
        shown = [float(number.replace("−", "-")) for number in numbers]
        np.testing.assert_allclose(shown, [line.ccc, line.ccc_low, line.ccc_high], atol=0.0006)
        assert (" to " in cells[line.train, line.test]) == (line.ccc_low < -0.0005)
    assert "95 % interval for new speakers" in repr(found)


def booktabs():
    """Return where the package lies, or "" without it."""
    if shutil.which("pdflatex") is None:
        return ""
    found = subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, text=True)
    return found.stdout.strip()


@pytest.mark.skipif(not booktabs(), reason="pdflatex, or its package booktabs, is not installed")
@pytest.mark.parametrize("which", ["found", "awkward", "across"])
def test_latex_compiles(which, request, tmp_path):
    table = request.getfixturevalue(which).to_latex(label="tab:scores")
    preamble = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "table.tex").write_text(f"{preamble}\n{table}\nTable~\\ref{{tab:scores}}.\n"
                                        r"\end{document}", encoding="utf-8")  # fmt: skip
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert ran.returncode == 0, ran.stdout[-2000:]


def test_rows_with_several_classifiers_name_them(found):
    names = ["svm", "lda", "svm", "lda"]
    rows = [replace(row, classifier=name) for row, name in zip(found.rows, names, strict=True)]
    named = replace(found, rows=rows, nested=[])
    assert [cells[1] for cells in cells_of(named, "html")] == ["classifier", *names]
    assert named.to_frame()["classifier"].tolist() == names
