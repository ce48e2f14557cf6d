"""The card of the model: what one must know of it, with the figures of the run that made it."""

from pathlib import Path

from recordings import PACKAGES
from student import CONFIG
from synthesis import TEXTS
from teacher import LAYERS


def write_card(folder, facts, measured):
    """Write a model's README.md from the template beside this file.

    Parameters
    ----------
    folder : Path
        The model's.
    facts : dict
        What the steps of the run told.
    measured : str
        What `evaluate` returned.
    """
    from transformers import AutoModel

    n_layers = CONFIG["num_hidden_layers"]
    packages = [f"- {name}: {what} ({licence})" for name, (what, licence) in PACKAGES.items()]
    packages += [
        "- espeak-ng and flite speaking sentences of "
        f"{', '.join(sorted(set(TEXTS.values())))} (GPL-3+; a BSD-like licence; various)"
    ]
    distances = ", ".join(f"{name} {d}" for name, d in facts["distances"].items())
    text = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    card = text.format(
        n_weights=f"{AutoModel.from_pretrained(folder).num_parameters() / 1e6:.1f}",
        n_layers=n_layers,
        n_dims=CONFIG["hidden_size"],
        student_layers=" and ".join(map(str, range(n_layers + 1 - len(LAYERS), n_layers + 1))),
        teacher_layers=" and ".join(map(str, LAYERS)),
        hours=facts["hours"],
        synthetic=facts["synthetic"],
        n_utterances=f"{facts['n_utterances']:,}",
        minutes=round(facts["learnt_minutes"]),
        heard=facts["heard_hours"],
        distances=distances,
        packages="\n".join(packages),
        measured=measured,
    )
    Path(folder, "README.md").write_text(card, encoding="utf-8")
