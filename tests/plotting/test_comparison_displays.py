"""Displays of a comparison draw its numbers, with intervals, and cut no name."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import recall_score

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import CorporaComparison, compare_across, speaker_interval
from sklearn_ser.plotting import (
    ComparisonDisplay,
    DifferencesDisplay,
    RanksDisplay,
    RecallDisplay,
    ReliabilityDisplay,
    RiskCoverageDisplay,
    SpeakersDisplay,
    off_screen,
)
from sklearn_ser.plotting._style import series_style

DISPLAYS = [ComparisonDisplay, DifferencesDisplay, RecallDisplay, SpeakersDisplay]
DISPLAYS += [ReliabilityDisplay, RiskCoverageDisplay]
LAYERS = {("ssl", layer): 0.5 + 0.1 * layer for layer in range(4)}


@pytest.fixture(scope="module")
def found(make_comparison):
    return make_comparison({("mfcc", None): 0.3, **LAYERS, ("egemaps", None): 0.6})


def bars(container):
    """Return the ends of an error bar, lower and upper."""
    (segments,) = container[2]
    return np.array([segment.ravel() for segment in segments.get_segments()])


def test_every_row_has_its_interval_beside_the_curves(found):
    ax = ComparisonDisplay.from_comparison(found).ax_
    rows = {row.features: row for row in found.rows if row.layer is None}
    levels = {container.get_label(): bars(container)[0] for container in ax.containers}
    assert levels.keys() == rows.keys()
    for name, (x_low, low, x_high, high) in levels.items():
        assert (low, high) == pytest.approx(rows[name].uar_ci)
        assert x_low == x_high > 3  # beside the last layer
    (band,) = ax.collections[:1]
    vertices = band.get_paths()[0].vertices
    for row in found.rows:
        if row.features == "ssl":
            at = vertices[vertices[:, 0] == row.layer, 1]
            assert (at.min(), at.max()) == pytest.approx(row.uar_ci)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ([("mfcc", None), ("egemaps", None)], ["mfcc", "egemaps"]),
        ([("mfcc", None), ("ssl", 4)], ["mfcc", "ssl, layer 4"]),
        ([("deep", 6), ("flat", 2)], ["deep, layer 6", "flat, layer 2"]),
    ],
)
@pytest.mark.parametrize("relative_depth", [False, True])
def test_rows_are_side_by_side_where_no_feature_set_has_several_layers(
    make_comparison, keys, names, relative_depth
):
    found = make_comparison(dict(zip(keys, [0.3, 0.6], strict=True)))
    ax = ComparisonDisplay.from_comparison(found, relative_depth=relative_depth).ax_
    ends = [bars(container)[0][[0, 2]] for container in ax.containers]
    np.testing.assert_allclose(ends, [row.uar_ci for row in found.rows])
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    assert ax.get_xlabel().startswith("UAR")


def test_layers_of_models_of_different_depth_are_drawn_from_0_to_1(make_comparison):
    skills = {(name, k): 0.5 for name, n in (("deep", 5), ("flat", 3)) for k in range(n)}
    display = ComparisonDisplay.from_comparison(make_comparison(skills), relative_depth=True)
    x = {line.get_label(): list(line.get_xdata()) for line in display.ax_.get_lines()}
    assert x["deep, by layer"] == [0, 0.25, 0.5, 0.75, 1]
    assert x["flat, by layer"] == [0, 0.5, 1]


def test_without_intervals_it_is_said(make_comparison):
    found = make_comparison({("mfcc", None): 0.3, **LAYERS}, n_speakers=3)
    assert "fewer than four speakers" in ComparisonDisplay.from_comparison(found).ax_.get_ylabel()


@pytest.mark.parametrize("reference", [None, 0])
def test_differences_are_those_of_the_comparison(found, reference):
    ax = DifferencesDisplay.from_comparison(found, reference).ax_
    table = found.differences(reference)
    drawn = np.concatenate([bars(container)[:, [0, 2]] for container in ax.containers])
    np.testing.assert_allclose(drawn, table[["low", "high"]])
    filled = [c[0].get_markerfacecolor() != "none" for c in ax.containers]
    assert filled == (table["p_holm"] < 0.05).tolist()
    assert "n = 6" in " ".join(ax.get_xlabel().split())


def test_recalls_are_those_of_the_best_layers(found):
    ax = RecallDisplay.from_comparison(found).ax_
    best = [0, 1 + int(np.argmax([row.uar for row in found.rows[1:5]])), 5]
    assert len(ax.containers) == 3
    for position, container in zip(best, ax.containers, strict=True):
        tested = found.predictions[found.predictions["row"] == position]
        labels = [tested[name].to_numpy(dtype=str) for name in ("emotion", "predicted")]
        recalls = recall_score(*labels, average=None)
        np.testing.assert_allclose(container[0].get_xdata().astype(float), recalls)
        anger = tested[tested["emotion"] == "anger"]
        interval = speaker_interval(anger["emotion"], anger["predicted"], anger["speaker"])
        assert tuple(bars(container)[0][[0, 2]]) == pytest.approx(interval)


def test_every_speaker_is_a_point(found):
    ax = SpeakersDisplay.from_comparison(found, rows=[0]).ax_
    (points,) = ax.collections
    tested = found.predictions[found.predictions["row"] == 0]
    uars = [
        recall_score(lines["emotion"], lines["predicted"], average="macro")
        for _, lines in tested.groupby("speaker")
    ]
    np.testing.assert_allclose(points.get_offsets()[:, 0], uars)
    assert set(ax.get_lines()[0].get_xdata()) == {np.median(uars)}


@pytest.fixture(scope="module", params=[8, 70, 300])
def long_named(request, make_comparison):
    name = "".join(itertools.islice(itertools.cycle("_W$m/ x"), request.param))
    skills = {(f"{name}{k}", k % 2 or None): 0.5 for k in range(4)}
    emotions = [f"{name}{emotion}" for emotion in "ab"]
    return make_comparison(skills, emotions=emotions, corpus=name, without=[f"{name}3"])


@pytest.mark.one_in(4)
@pytest.mark.parametrize("display", DISPLAYS)
def test_no_name_is_cut_at_any_length(long_named, display):
    with off_screen():
        figure = display.from_comparison(long_named).figure_
    FigureCanvasAgg(figure).draw()
    # Ticks outside of the axes' limits are there, and not drawn; they are numbers.
    shown = [text for text in figure.findobj(Text) if any(map(str.isalpha, text.get_text()))]
    box, renderer = figure.bbox, FigureCanvasAgg(figure).get_renderer()
    for text in shown:
        extent = text.get_window_extent(renderer)
        assert min(extent.x0, extent.y0) > -2, text.get_text()
        assert extent.x1 < box.x1 + 2, text.get_text()
        assert extent.y1 < box.y1 + 2, text.get_text()
    drawn = "".join("".join(text.get_text() for text in shown).replace(r"\$", "$").split())
    expected = ["".join(row.features.split()) for row in long_named.rows]
    assert [name for name in expected if name not in drawn] == []


def test_a_display_is_drawn_where_it_is_told(found):
    ax = Figure().add_subplot()
    assert ComparisonDisplay.from_comparison(found, ax=ax).ax_ is ax
    assert len(ax.get_legend().texts) == 4


def test_figures_are_shown_in_notebooks_unless_they_are_written_to_files(found):
    import matplotlib.pyplot as plt

    plt.close("all")
    with off_screen():
        SpeakersDisplay.from_comparison(found)
    assert plt.get_fignums() == []
    figure = SpeakersDisplay.from_comparison(found).figure_
    assert [plt.figure(number) for number in plt.get_fignums()] == [figure]


# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision
# deficiency", 2009, at severity 1, for linear RGB.
SEEN = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def lab(color, seen):
    """Return CIELAB values of a colour, as it is seen."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = TO_XYZ @ np.clip(np.asarray(seen) @ linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("seen", SEEN)
def test_any_two_series_differ_to_anyone_by_colour_or_by_marker_and_hatch(seen):
    styles = [series_style(k) for k in range(24)]
    for one, other in itertools.combinations(styles, 2):
        distance = np.linalg.norm(lab(one["color"], SEEN[seen]) - lab(other["color"], SEEN[seen]))
        differ = [one[look] != other[look] for look in ("marker", "hatch")]
        assert distance >= 15 or all(differ)


@pytest.mark.parametrize("seen", SEEN)
def test_the_first_five_series_differ_to_anyone_by_colour_alone(seen):
    colors = [lab(series_style(k)["color"], SEEN[seen]) for k in range(5)]
    pairs = itertools.combinations(colors, 2)
    assert min(np.linalg.norm(one - other) for one, other in pairs) >= 15


@pytest.mark.one_in(3)
@pytest.mark.parametrize("display", [*DISPLAYS, RanksDisplay])
def test_another_kind_of_comparison_is_refused_with_what_to_draw(display, found):
    corpora = {
        name: make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)
        for seed, name in enumerate(["one", "two"])
    }
    across = compare_across(corpora, ["mfcc"], classifier="lda", cache=None, audit=False)
    with pytest.raises(TypeError, match=r"got a CrossComparison\. Draw the rows that test one"):
        display.from_comparison(across)
    other = found if display is RanksDisplay else CorporaComparison({"one": found})
    made_by = "compare_corpora" if display is RanksDisplay else "compare"
    with pytest.raises(
        TypeError, match=f"draws what {made_by} returns; got a {type(other).__name__}"
    ):
        display.from_comparison(other)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="there are no rows to draw"):
        ComparisonDisplay([], "title", 0.25)


@pytest.mark.parametrize("by", ["alignment", "train", "test"])
@pytest.mark.parametrize("layers", [(0, 1, 2, 3), (2,)])
def test_rows_of_several_alignments_or_corpora_are_curves_of_their_own(found, by, layers):
    """Rows between corpora, as `compare_across` makes them, drawn together."""
    values = {"alignment": (None, "coral"), "train": ("one", "two"), "test": ("one", "two")}[by]
    of_ssl = [row for row in found.rows if row.features == "ssl" and row.layer in layers]
    rows = [
        replace(row, **{by: value}, uar=row.uar - 0.1 * k)
        for row in of_ssl
        for k, value in enumerate(values)
    ]
    display = ComparisonDisplay(rows, "title", 0.25).plot()
    if len(layers) == 1:
        assert len({bar.get_label() for bar in display.ax_.containers}) == 2
        return
    first, second = display.ax_.get_lines()[:2]
    for k, line in enumerate((first, second)):
        np.testing.assert_array_equal(line.get_xdata(), layers)
        np.testing.assert_allclose(line.get_ydata(), [row.uar - 0.1 * k for row in of_ssl])
