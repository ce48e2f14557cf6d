"""What standardising each speaker gives, on speakers who are not in the training set.

    python docs/examples/speaker_scaling.py EMODB MODEL

prints the UAR (leave one speaker out, logistic regression, its C chosen inside the training folds)
of MFCC, eGeMAPS and the best layer of MODEL: standardised by the training folds; per speaker, with
test speakers scaled by the training folds (inductive); and by their own clips (transductive).
"""

import sys

from sklearn_ser.datasets import load_emodb
from sklearn_ser.evaluation import compare

SCALINGS = {
    "by the training fold": None,
    "per speaker, inductive": "global",
    "per speaker, transductive": "own",
}


def main(data, model):
    """Print the table."""
    corpus = load_emodb(data)
    found = {
        name: compare(corpus, ["mfcc", "egemaps", "ssl"], model=model, speaker_scaling=scaling)
        for name, scaling in SCALINGS.items()
    }
    # One layer for all: the best one when scaled as usual.
    usual = found["by the training fold"].frame
    best = usual.loc[usual["features"] == "ssl", "uar"].idxmax()
    rows = [*usual.index[usual["features"] != "ssl"], best]
    print(f"| features | {' | '.join(SCALINGS)} |")
    print(f"|---|{'---|' * len(SCALINGS)}")
    for row in rows:
        layer = usual.loc[row, "layer"]
        name = usual.loc[row, "features"] + (f", layer {layer:.0f}" if layer == layer else "")
        cells = []
        for comparison in found.values():
            result = comparison.results["rows"][row]
            low, high = result["uar_ci"]
            cells.append(f"{result['uar']:.3f} ({low:.3f}–{high:.3f})")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
