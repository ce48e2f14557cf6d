"""A timeline shows the probabilities of each window, and what is no emotion as such."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex

from sklearn_ser.plotting import TimelineDisplay


def timeline(emotions=("anger", None, "neutral"), **given):
    known = np.array([emotion is not None for emotion in emotions])
    rows = pd.DataFrame(
        {
            "recording": "speech.mp3",
            "start": [0.0, 1.5, 3.0],
            "end": [2.0, 3.5, 5.0],
            "emotion": emotions,
            "anger": np.where(known, [0.7, 0.6, 0.2], np.nan),
            "neutral": np.where(known, [0.3, 0.4, 0.8], np.nan),
            "out_of_domain": [0.1, 0.99, 0.4],
            "note": ["", "abstained", ""],
        }
    )
    return TimelineDisplay.from_rows(rows, ["anger", "neutral"], **given)


def colors_of_legend(display):
    (legend,) = display.figure_.legends
    handles = zip(legend.texts, legend.legend_handles, strict=True)
    return {
        text.get_text(): to_hex(handle.get_facecolor())
        for text, handle in handles
        if hasattr(handle, "get_facecolor")
    }


def test_a_timeline_stacks_probabilities_and_leaves_gaps():
    display = timeline()
    probabilities, distance = display.ax_
    anger, neutral, blank = probabilities.containers
    assert [bar.get_height() for bar in anger] == [0.7, 0, 0.2]
    assert [bar.get_y() for bar in neutral] == [0.7, 0, 0.2]
    assert [(bar.get_x(), bar.get_width()) for bar in blank] == [(1.5, 1.5)]
    assert [bar.get_width() for bar in anger] == [1.5, 1.5, 2.0]
    assert [bar.get_height() for bar in distance.containers[0]] == [0.1, 0.99, 0.4]
    assert probabilities.get_title() == "speech.mp3"


def test_no_emotion_has_a_colour_of_its_own_and_is_in_the_legend_where_there_is_any():
    colors = colors_of_legend(timeline())
    assert list(colors) == ["anger", "neutral", "no emotion"]
    assert len(set(colors.values())) == 3
    drawn = [container[0].get_facecolor() for container in timeline().ax_[0].containers]
    assert [to_hex(color) for color in drawn] == list(colors.values())
    assert list(colors_of_legend(timeline(("anger", "anger", "neutral")))) == ["anger", "neutral"]


def test_the_threshold_and_the_waveform_are_shown():
    samples = np.zeros(8000, dtype=np.float32)
    samples[4000:] = 0.5
    display = timeline(threshold=0.95, waveform=(samples, 1600))
    _, distance, waveform = display.ax_
    (line,) = distance.get_lines()
    assert set(line.get_ydata()) == {0.95}
    (shape,) = waveform.collections
    vertices = shape.get_paths()[0].vertices
    assert vertices[vertices[:, 1] == 0.5][:, 0].min() == pytest.approx(2.5, abs=0.01)
    assert vertices[:, 0].max() == pytest.approx(5, abs=0.01)
    assert display.figure_.axes[0] is waveform


def test_rows_of_several_recordings_are_no_timeline():
    rows = timeline().rows
    both = pd.concat([rows, rows.assign(recording="other.mp3")])
    with pytest.raises(ValueError, match=r"rows are of 2: speech.mp3, other.mp3. Draw each"):
        TimelineDisplay.from_rows(both, ["anger", "neutral"])
    with pytest.raises(ValueError, match="rows are of 0"):
        TimelineDisplay.from_rows(rows.iloc[:0], ["anger", "neutral"])
