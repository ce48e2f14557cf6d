"""Critical-difference diagrams."""

import numpy as np
import pandas as pd
import pytest

from sklearn_ser.evaluation._ranks import rank
from sklearn_ser.plotting import RanksDisplay


@pytest.mark.parametrize("names", [list("abcdef"), ["x" * 90, "$y_1$", "b" * 20, "c", "d", "e"]])
def test_ranks_and_groups_are_drawn_and_no_name_is_cut(names):
    scores = pd.DataFrame(np.repeat(np.arange(6.0)[::-1, None], 12, axis=1), index=names)
    ranks = rank(scores)
    display = RanksDisplay(ranks).plot()
    ax = display.ax_
    assert ax.get_xlim()[0] > ax.get_xlim()[1]  # the best on the right
    bars = [line for line in ax.lines if line.get_linewidth() == 4]
    assert len(bars) == len(ranks.groups) == 4
    for bar, group in zip(bars, ranks.groups, strict=True):
        ends = [ranks.mean_ranks[name] for name in (group[0], group[-1])]
        np.testing.assert_allclose(bar.get_xdata(), [ends[0] - 0.05, ends[1] + 0.05])
    (difference,) = [line for line in ax.lines if line.get_marker() == "|"]
    assert np.ptp(difference.get_xdata()) == pytest.approx(ranks.critical_difference)
    texts = {text.get_text().replace("\n", "").replace("\\$", "$") for text in ax.texts}
    for name in names:
        assert f"{name} ({ranks.mean_ranks[name]:.2f})" in texts
    figure = display.figure_
    figure.canvas.draw()
    whole = figure.bbox
    for text in ax.texts:
        box = text.get_window_extent()
        assert whole.x0 - 1 <= box.x0
        assert box.x1 <= whole.x1 + 1


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 3), (2, 2)])
def test_few_are_drawn_too(shape):
    ranks = rank(pd.DataFrame(np.random.default_rng(0).random(shape)).rename(str))
    RanksDisplay(ranks).plot().figure_.canvas.draw()
