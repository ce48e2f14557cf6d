"""Displays of training draw the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from sklearn_ser.classifiers import LayerWeightedClassifier
from sklearn_ser.plotting import HistoryDisplay, LayerWeightsDisplay


@pytest.fixture(scope="module")
def head():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 40)
    X = rng.normal(size=(80, 12)) + y[:, None]
    head = LayerWeightedClassifier(3, max_epochs=4, random_state=0)
    return head.fit(X, y, groups=np.repeat(np.arange(8), 10))


def test_curves_are_the_history(head):
    display = HistoryDisplay.from_estimator(head)
    assert all(tick == round(tick) for ax in display.ax_ for tick in ax.get_xticks())
    loss, uar = display.ax_
    train, valid, kept = loss.lines
    np.testing.assert_array_equal(train.get_ydata(), head.history_["train_loss"])
    np.testing.assert_array_equal(valid.get_ydata(), head.history_["valid_loss"])
    np.testing.assert_array_equal(uar.lines[0].get_ydata(), head.history_["valid_uar"])
    assert kept.get_xdata()[0] == head.n_epochs_
    assert [text.get_text() for text in display.figure_.legends[0].texts] == [
        "trained on",
        "held out",
        "weights kept",
    ]


def test_bars_are_the_layers_weights(head):
    (ax,) = LayerWeightsDisplay.from_estimators(head).figure_.axes
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, head.layer_weights_)
    several = LayerWeightsDisplay([[0.2, 0.8], [0.4, 0.6]]).plot()
    np.testing.assert_allclose([bar.get_height() for bar in several.ax_.patches], [0.3, 0.7])


def test_bars_stand_at_the_layers_that_were_chosen(head):
    """Of ``SSLEmbedder(layer=[4, 8, 12])`` the weights are of layers 4, 8 and 12."""
    rng = np.random.default_rng(0)
    y, groups = np.tile([0, 1], 20), np.repeat(np.arange(4), 10)
    names = [f"nano_layer{layer}_mean_{k}" for layer in (4, 8, 12) for k in range(2)]
    X = pd.DataFrame(rng.normal(size=(40, 6)) + y[:, None], columns=names)
    heads = [
        LayerWeightedClassifier(n, max_epochs=1, random_state=0).fit(X, y, groups=groups)
        for n in ("auto", 3)
    ]
    assert [head.layers_ for head in heads] == [[4, 8, 12]] * 2
    ax = LayerWeightsDisplay.from_estimators(*heads).ax_
    centres = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches]
    np.testing.assert_allclose(centres, [4, 8, 12])
    assert head.layers_ == [0, 1, 2]  # columns have no names
    given = LayerWeightsDisplay.from_estimators(head, layers=[6, 7, 9]).ax_
    assert given.patches[2].get_x() + given.patches[2].get_width() / 2 == pytest.approx(9)
    for estimators, layers in (((head, heads[0]), None), ((head,), [1, 2])):
        with pytest.raises(ValueError, match="not the same layers"):
            LayerWeightsDisplay.from_estimators(*estimators, layers=layers)
