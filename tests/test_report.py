"""The report holds what was found, and what it was found on, in one file."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import Bunch

SKILLS = {("mfcc", None): 0.2, ("ssl", 0): 0.6, ("ssl", 1): 0.9, ("egemaps", None): 0.75}
HOSTILE = '<script>alert("x")</script>{{ 7 * 7 }}'


def corpus_of(found):
    clips = found.predictions.drop_duplicates("clip")
    sexes = np.where(clips["speaker"].isin(["s00", "s01"]), "female", "male")
    frame = pd.DataFrame({"sex": sexes, "duration": np.linspace(1, 3, len(clips))})
    y, groups = (clips[name].to_numpy(dtype=str) for name in ("emotion", "speaker"))
    X = [f"{k}.wav" for k in range(len(y))]
    return Bunch(name=found.corpus, X=X, y=y, groups=groups, frame=frame)


@pytest.fixture(scope="module")
def found(make_comparison):
    return make_comparison(SKILLS)


@pytest.fixture(scope="module")
def page(found):
    return found.to_html(corpus=corpus_of(found), command="sklearn-ser compare 'a b'")


@pytest.fixture(scope="module")
def embedded(found):
    """Return the comparison with the features of its best row, and its page."""
    X = np.random.default_rng(0).normal(size=(found.n_clips, 5))
    X[:, 0] += 3 * (found.predictions.query("row == 0")["emotion"] == "anger")
    found = replace(found, embeddings=pd.DataFrame(X, index=range(found.n_clips)))
    return found, found.to_html(corpus=corpus_of(found))


class Page(HTMLParser):
    """Tables of a page by their captions, and all that it refers to."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.links, self.ids, self.inside = {}, [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        names = ("href", "src", "xlink:href", "action")
        self.links += [attributes[name] for name in names if attributes.get(name)]
        if tag == "table":
            self.rows, self.caption = [], ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            assert tag == "td" or attributes["scope"] in ("row", "col")
            self.rows[-1].append("")
        if tag in ("td", "th", "caption"):
            self.inside = tag

    def handle_endtag(self, tag):
        if tag == self.inside:
            self.inside = None
        if tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data):
        if self.inside == "caption":
            self.caption += data
        elif self.inside:
            self.rows[-1][-1] += data


def table(page, caption):
    read = Page(page)
    return next(rows for name, rows in read.tables.items() if name.startswith(caption))


def test_scores_are_those_of_the_rows_with_intervals_and_tests(found, page):
    heads, *rows = table(page, "Scores on held-out speakers")
    assert len(rows) == len(found.rows) + len(found.nested)
    for cells, row in zip(rows, found.rows, strict=False):
        cells = dict(zip(heads, cells, strict=True))
        assert cells["UAR"].split()[0] == f"{row.uar:.3f}"
        assert cells["95 % interval"] == "–".join(f"{end:.3f}" for end in row.uar_ci)
        assert cells["Holm's p"] == ("" if row.p_holm is None else f"{row.p_holm:.3f}")
        assert ("≈" in cells["UAR"]) is (row.p_holm is not None and row.p_holm >= 0.05)
    assert [cells[2].endswith("best") for cells in rows].index(True) == found.best


def test_the_corpus_is_counted(found, page):
    heads, *rows = table(page, "Tested clips by emotion")
    assert rows[0][:4] == ["anger", "30", "25", "6"]
    assert rows[-1][:4] == ["all", "120", "100", "6"]
    assert rows[-1][-2:] == ["2.0", "4.0"]  # 120 clips of 1 to 3 s
    assert heads[-1] == "sum (min)"


def test_scores_of_speakers_and_sexes_are_those_of_the_predictions(found, page):
    best = found.predictions[found.predictions["row"] == found.best]
    of_speaker = {cells[0]: cells for cells in table(page, "Each speaker")[1:]}
    for speaker, lines in best.groupby("speaker"):
        uar = balanced_accuracy_score(lines["emotion"], lines["predicted"])
        assert of_speaker[speaker][4] == f"{uar:.3f}"
    female = best[best["speaker"].isin(["s00", "s01"])]
    uar = balanced_accuracy_score(female["emotion"], female["predicted"])
    cells = next(row for row in table(page, "By the speakers' sex") if row[:2] == BEST_FEMALE)
    assert cells[2:] == ["2", "40", f"{uar:.3f}", ""]  # two speakers have no interval


BEST_FEMALE = ["ssl, layer 1", "female"]


def test_the_confusion_matrix_is_that_of_the_best_row(found, page):
    best = found.predictions[found.predictions["row"] == found.best]
    shares = pd.crosstab(best["emotion"], best["predicted"], normalize="index")
    drawn = [cells[1:] for cells in table(page, "Share of each emotion's clips")[1:]]
    assert drawn == [[f"{share:.2f}" for share in row] for row in shares.to_numpy()]


def test_calibration_and_abstaining_are_those_of_the_predictions(found, page):
    calibration = {
        cells[0]: cells[1:] for cells in table(page, "Calibration on the test folds")[1:]
    }
    risks = {cells[0]: cells[1:] for cells in table(page, "Error rates of the most")[1:]}
    assert list(calibration) == list(risks) == ["mfcc", "ssl, layer 1", "egemaps"]
    lines = found.predictions[found.predictions["row"] == found.best]
    right = (lines["emotion"] == lines["predicted"]).to_numpy()
    confidence = lines["confidence"].to_numpy()
    bins = np.ceil(confidence * 10)
    ece = sum(abs(np.sum((right - confidence)[bins == k])) for k in range(11)) / len(right)
    means = [right.mean(), confidence.mean(), ece]
    assert calibration["ssl, layer 1"] == ["120", *(f"{value:.3f}" for value in means)]
    errors = ~right[np.argsort(-confidence)]
    shares = [errors[:n].mean() for n in (120, 108, 90, 60)]
    area = np.mean(np.cumsum(errors) / np.arange(1, 121))
    assert risks["ssl, layer 1"] == [f"{value:.3f}" for value in (*shares, area)]


def test_where_no_row_has_probabilities_it_is_said(make_comparison):
    found = make_comparison({("mfcc", None): 0.5, ("svm", None): 0.6}, without=["svm"])
    page = found.to_html()
    assert table(page, "Calibration on the test folds")[-1] == [
        "svm",
        "",
        "",
        "",
        "no probabilities",
    ]
    assert table(page, "Error rates")[-1] == ["svm", *[""] * 4, "no probabilities"]
    page = make_comparison({("svm", None): 0.6}, without=["svm"]).to_html()
    assert page.count("No row has probabilities") == 2
    assert "Calibration on the test folds" not in page


def test_the_map_says_what_is_read_from_the_features_at_hand(found, page, embedded):
    pytest.importorskip("matplotlib")
    from sklearn_ser.plotting import EmbeddingMapDisplay

    assert "There is no map: features are at hand only" in page
    found, page = embedded
    corpus = corpus_of(found)
    given = {"sex": corpus.frame["sex"], "durations": corpus.frame["duration"]}
    X = found.embeddings.to_numpy()
    scores = EmbeddingMapDisplay.from_embeddings(X, corpus.y, corpus.groups, **given).scores
    cells = {cells[0]: cells[1:] for cells in table(page, "Silhouettes and linear probes")[1:]}
    assert list(cells) == ["emotion", "speaker", "sex", "duration"] == list(scores.index)
    for name, its in scores.iterrows():
        assert cells[name][2] == f"{its['probe']:.3f}".replace("-", "−")
    assert scores.loc["emotion", "probe"] > 0.3
    assert "n = 120 clips" in page


@pytest.mark.slow
def test_a_map_of_many_clips_is_small(make_comparison):
    few, many = (make_comparison({("mfcc", None): 0.5}, n_speakers=n) for n in (20, 200))
    pages = []
    for found in (few, many):
        X = np.random.default_rng(0).normal(size=(found.n_clips, 4))
        pages.append(replace(found, embeddings=pd.DataFrame(X)).to_html())
    sizes = [len(page.encode()) for page in pages]
    assert len(many.predictions) == 10 * len(few.predictions) == 4000
    assert sizes[1] < 2e6
    assert sizes[1] < 2 * sizes[0]
    assert [link for link in Page(pages[1]).links if not link.startswith(("#", "data:"))] == []


@pytest.mark.parametrize("embeddings", [np.ones((120, 3)), np.eye(120)[:, :1]])
def test_features_that_make_no_map_make_no_error(found, embeddings):
    page = replace(found, embeddings=pd.DataFrame(embeddings)).to_html()
    assert ("There is no map" in page) is bool((embeddings == 1).all())


def test_the_page_refers_to_nothing_outside_of_it(embedded):
    page = embedded[1]
    read = Page(page)
    assert [link for link in read.links if not link.startswith("#")] == []
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)
    assert len(set(read.ids)) == len(read.ids)
    assert "default-src 'none'" in unescape(page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert len(page.encode()) < 3e6


def test_it_says_how_to_repeat_the_run_and_holds_the_table_in_latex(found, page):
    text = unescape(page)
    assert "sklearn-ser compare 'a b'" in text
    assert found.to_latex() in text
    assert '"classifier": "logistic"' in text
    assert found.audit["verdict"] in text


def test_black_is_the_colour_of_the_text_on_the_map_of_many_speakers(make_comparison):
    found = make_comparison({("mfcc", None): 0.5}, n_speakers=9)
    X = np.random.default_rng(0).normal(size=(found.n_clips, 4))
    page = replace(found, embeddings=pd.DataFrame(X)).to_html()
    drawn = page[page.index('id="embedding_map-') :]
    of_speaker = found.predictions["speaker"].eq("s07").sum()
    assert len(re.findall(r'<use [^>]*style="fill: currentColor', drawn)) == of_speaker + 1


def test_figures_have_a_text_and_the_colour_of_the_page(page):
    figures = re.findall(r'<svg role="img" aria-label="([^"]+)"', page)
    assert len(figures) == 6
    assert "ssl, layer 1 with" in figures[0]
    assert page.count("<figcaption>") == 6
    assert "currentColor" in page
    assert not re.search(r"(fill|stroke): #000000", page)


def test_names_are_text_and_no_markup(make_comparison):
    emotions = [f"{HOSTILE}{k}" for k in "ab"]
    skills = {(HOSTILE, None): 0.5, ("other", None): 0.6}
    page = make_comparison(skills, emotions=emotions, corpus=HOSTILE).to_html(command=HOSTILE)
    assert page.count("<script>") == 1
    assert "{{ 7 * 7 }}" in page
    assert [row[0] for row in table(page, "Scores on")[1:]] == [HOSTILE, "other"]


def test_of_one_row_there_are_no_differences(make_comparison):
    page = make_comparison({("mfcc", None): 0.5}, n_speakers=3).to_html()
    assert page.count('<svg role="img"') == 5
    assert "none: fewer than four speakers" in page
    assert "By the speakers' sex" not in page


def test_another_corpus_is_refused(found):
    corpus = corpus_of(found)
    other = Bunch(**{**corpus, "groups": corpus.groups[::-1].copy()})
    with pytest.raises(ValueError, match="is not the one that was compared"):
        found.to_html(corpus=other)


@pytest.mark.parametrize("formats", ["png", ["gif"]])
def test_unknown_formats_are_refused_before_anything_is_written(found, tmp_path, formats):
    with pytest.raises(ValueError, match="known are png, pdf, svg, in a list"):
        found.save(tmp_path / "out", formats=formats)
    assert not (tmp_path / "out").exists()


def test_without_matplotlib_it_says_that_there_are_no_figures(found, monkeypatch):
    nothing = SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: None))
    monkeypatch.setattr("sklearn_ser._report._figures.importlib", nothing)
    assert found.to_html().count("as matplotlib is not installed") == 4


def test_a_clip_that_several_folds_test_counts_once_as_a_clip(found):
    """Folds of repeated splits test clips again; n is of clips, as in the title."""
    from sklearn_ser._report import clips_of, figures_of

    n = found.n_clips
    first = found.predictions[found.predictions["clip"] < n // 2]
    predictions = pd.concat([found.predictions, first.assign(fold=first["fold"] + 100)])
    again = replace(found, predictions=predictions.reset_index(drop=True))
    page = again.to_html(corpus=corpus_of(found))
    counts = found.predictions.query("row == 0")["emotion"].value_counts()
    heads = [row[0] for row in table(page, "Share of each emotion's clips")[1:]]
    assert heads == [f"{emotion} (n = {count})" for emotion, count in counts.sort_index().items()]
    assert {row[1] for row in table(page, "Calibration on the test folds")[1:]} == {str(n)}
    pytest.importorskip("matplotlib")
    drawn = figures_of(again, clips_of(again))
    said = f"(n = {n + n // 2} predictions of {n} clips of 6 speakers)"
    assert drawn["reliability"].display.ax_[1].get_xlabel().endswith(said)
    assert drawn["reliability"].display.ax_[1].get_ylabel() == "predictions"
    assert drawn["risk_coverage"].display.ax_.get_xlabel().endswith(said)


def test_what_the_corpus_does_not_know_of_some_clips_is_counted(found):
    corpus = corpus_of(found)
    corpus.frame["sex"] = corpus.frame["sex"].where(corpus.groups != "s05", None)
    corpus.frame["duration"] = 3.0
    corpus.frame.loc[corpus.groups == "s04", "duration"] = np.nan
    page = found.to_html(corpus=corpus)
    heads, *rows = table(page, "By the speakers' sex")
    best = [dict(zip(heads, cells, strict=True)) for cells in rows[:3]]
    assert {(line["sex"], line["speakers"], line["clips"]) for line in best} == {
        ("female", "2", "40"),
        ("male", "3", "60"),
        ("unknown", "1", "20"),
    }
    assert [cells[1] for cells in table(page, "Each speaker")[1:]][-1] == "unknown"
    heads, *rows = table(page, "Tested clips by emotion")
    assert heads[-1] == "sum (min) of the 100 clips of known length"
    assert rows[-1][-1] == "5.0"  # 100 clips of 3 s
