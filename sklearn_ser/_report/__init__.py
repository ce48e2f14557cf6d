"""The report of a comparison: one HTML file that needs nothing else, and the figures in it.

``template/`` holds the page, its style sheet and its script; `_content` what is filled in, and
`_figures` what is drawn.
"""

from sklearn_ser._report._content import clips_of
from sklearn_ser._report._figures import figures_of, written_figures
from sklearn_ser._report._page import render_corpora, render_report

__all__ = ["clips_of", "figures_of", "render_corpora", "render_report", "written_figures"]
