"""Feature sets by text: models by their id or folder, several joined, several poolings."""

import itertools
from collections import Counter

import numpy as np
import pytest
from sklearn.pipeline import FeatureUnion

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser._models import find_model
from sklearn_ser.cli import _parser
from sklearn_ser.cli._options import embedding_parameters
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import _feature_tables as feature_tables
from sklearn_ser.evaluation import compare
from sklearn_ser.evaluation._feature_tables import embed
from sklearn_ser.evaluation._features import as_embedders, feature_sets, split_names
from sklearn_ser.evaluation._recipes import recipe_of


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a speech model, whose path has the sign that joins."""
    place = tmp_path_factory.mktemp("c++") / "nano+copy"
    place.symlink_to(find_model("nano"), target_is_directory=True)
    return place


def tables(corpus, features, **given):
    sets = feature_sets(features, defaults={"layer": "all"}, **given)
    return embed(corpus, sets).tables


def block(corpus, embedder):
    return embedder.fit_transform(corpus.X).astype(float)


def test_joined_features_stand_side_by_side_for_each_layer(corpus, folder):
    names = ["egemaps", "egemaps+nano", f"mfcc+ssl:{folder}", "nano"]
    found = tables(corpus, names, layer=[1, 3], pooling="mean")
    told = [(t.description["features"], t.description["layer"]) for t in found]
    layers = [(name, layer) for name in names[1:] for layer in (1, 3)]
    assert told == [("egemaps", None), *layers]
    egemaps, mfcc = block(corpus, EGeMAPSEmbedder()), block(corpus, MFCCEmbedder(pooling="mean"))
    nano = {layer: block(corpus, SSLEmbedder("nano", layer)) for layer in (1, 3)}
    expected = [egemaps, *(np.hstack([egemaps, nano[k]]) for k in nano)]
    expected += [*(np.hstack([mfcc, nano[k]]) for k in nano), *nano.values()]
    for table, values in zip(found, expected, strict=True):
        assert np.array_equal(table.values, values)
    models = [table.description["model"] for table in found]
    assert models == [None, "nano", "nano", str(folder), str(folder), "nano", "nano"]


def test_each_clip_is_embedded_once_by_each_embedder(corpus, monkeypatch):
    calls, embed_rows = Counter(), feature_tables.embed_rows

    def counted(name, embedder, *given):
        calls[type(embedder).__name__] += 1
        return embed_rows(name, embedder, *given)

    monkeypatch.setattr(feature_tables, "embed_rows", counted)
    names = ["egemaps", "egemaps+nano", "nano", "mfcc+egemaps", "mfcc+egemaps+nano"]
    own = {"own": FeatureUnion([("a", MFCCEmbedder(cache=None)), ("b", MFCCEmbedder(5))])}
    found = tables(corpus, {**dict(zip(names, names, strict=True)), **own}, cache=None)
    assert calls == {"EGeMAPSEmbedder": 1, "SSLEmbedder": 1, "MFCCEmbedder": 2}
    assert len(found) == 1 + 5 + 5 + 1 + 5 + 1


@pytest.mark.slow
def test_a_joined_row_can_be_made_again(corpus):
    found = compare(corpus, ["egemaps+nano"], layer=[2, 4], classifier="lda", audit=False)
    for row in found.rows:
        union = FeatureUnion(
            [
                ("egemapsembedder", EGeMAPSEmbedder(n_jobs=None)),
                ("sslembedder", SSLEmbedder("nano", layer=row.layer)),
            ]
        )
        assert row.embedder == recipe_of(union)
        (alone,) = compare(corpus, {"it": union}, classifier="lda", audit=False).rows
        assert alone.fold_uar == row.fold_uar
        assert alone.layer == row.layer
    assert len(found.nested) == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("egemaps", ["egemaps"]),
        ("egemaps+nano+mfcc", ["egemaps", "nano", "mfcc"]),
        ("ssl:facebook/hubert-base-ls960+egemaps", ["ssl:facebook/hubert-base-ls960", "egemaps"]),
        ("ssl:{0}", ["ssl:{0}"]),
        ("egemaps+ssl:{0}+nano", ["egemaps", "ssl:{0}", "nano"]),
        ("ssl:{0}+ssl:{0}", ["ssl:{0}", "ssl:{0}"]),
        ("{1}:Own+mfcc", ["{1}:Own", "mfcc"]),
        ("ssl:a/b@v1+mfcc+ssl:a/b@v2", ["ssl:a/b@v1", "mfcc", "ssl:a/b@v2"]),
        ("ssl:{0}@main+mfcc", ["ssl:{0}@main", "mfcc"]),
    ],
)
def test_names_are_split_where_they_join(text, names, folder):
    (file := folder.with_name("a+b.py")).write_text("")
    found = split_names(text.format(folder, file))
    assert found == [name.format(folder, file) for name in names]


@pytest.mark.parametrize(
    ("text", "model", "revision"),
    [
        ("ssl:facebook/hubert-base-ls960", "facebook/hubert-base-ls960", None),
        ("ssl:facebook/hubert-base-ls960@main", "facebook/hubert-base-ls960", "main"),
        ("ssl:some_model.v2@refs/pr/1", "some_model.v2", "refs/pr/1"),
        ("ssl:org/model@0af1", "org/model", "0af1"),
        ("pretrained:org/model@v1@2", "org/model", "v1@2"),
        ("ssl:{0}", "{0}", None),  # a folder with @ in its path
        ("ssl:{0}@main", "{0}", "main"),  # which the model's folder refuses
        ("ssl:./no/such@place/model", "./no/such@place/model", None),
        ("ssl:/no/such@place", "/no/such@place", None),
        ("ssl:~/no@place", "~/no@place", None),
    ],
)
def test_a_model_may_name_its_revision(tmp_path, text, model, revision):
    (place := tmp_path / "a@b" / "model@c").mkdir(parents=True)
    ((name, made),) = feature_sets([text.format(place)])
    assert name == text.format(place)
    assert made.model == model.format(place)
    assert made.revision == revision


def test_revisions_are_of_their_own_models():
    names = ["ssl:a/b@one", "egemaps+ssl:a/b@two", "ssl:c/d"]
    first, (_, union), third = feature_sets(names, revision="other")
    assert [name for name, _ in (first, third)] == ["ssl:a/b@one", "ssl:c/d"]
    assert [each.revision for each in (first[1], union.transformer_list[1][1], third[1])] == [
        "one",
        "two",
        "other",
    ]
    with pytest.raises(TypeError, match="'revision' would have no effect"):
        feature_sets(names[:2], revision="other")
    with pytest.raises(ValueError, match="no revision is named after a/b@"):
        feature_sets(["ssl:a/b@"])
    options = _parser().parse_args(["compare", "--features", *names, "--revision", "other"])
    assert options.features == names


def test_a_folder_has_no_revision(corpus, folder):
    with pytest.raises(ValueError, match=r"revision='main' is of models on the hub; .* is a folde"):
        compare(corpus, [f"ssl:{folder}@main"], audit=False)


def test_several_models_have_rows_of_their_own(corpus, folder):
    found = compare(
        corpus, ["nano", f"ssl:{folder}"], layer=2, window=30.0, classifier="lda", audit=False
    )
    rows = {row.features: row for row in found.rows}
    assert list(rows) == ["nano", f"ssl:{folder}"]
    assert rows[f"ssl:{folder}"].name == "ssl:nano+copy"
    assert rows["nano"].fold_uar == rows[f"ssl:{folder}"].fold_uar
    assert {row.embedder["parameters"]["window"] for row in found.rows} == {30.0}


@pytest.mark.parametrize(
    ("features", "given", "error", "message"),
    [
        (["egemaps+mfc"], {}, ValueError, "unknown features 'mfc'"),
        (["egemaps+"], {}, ValueError, "unknown features ''"),
        (["egemaps+egemaps"], {}, ValueError, "join egemaps with itself"),
        (["egemaps+nano", "egemaps+nano"], {}, ValueError, "two feature sets are called"),
        (["nano+ssl:{}"], {}, ValueError, "joins 2 models with .5, 5. layers each"),
        (["ssl:{}"], {"model": "nano"}, TypeError, "'model' would have no effect"),
        (["ssl:{}+mfcc"], {"model": "nano"}, TypeError, "'model' would have no effect"),
        (["egemaps+nano"], {"pooling": None}, ValueError, "gives frames"),
        (["ssl:"], {}, ValueError, "no model is named"),
        (["nano"], {"pooling": [["mean"], "mean"]}, ValueError, "the same statistics twice"),
        (["nano"], {"pooling": [["mean"], ["mode"]]}, ValueError, "mode"),
    ],
)
def test_what_cannot_be_joined_is_refused(corpus, folder, features, given, error, message):
    features = [name.format(folder) for name in features]
    with pytest.raises(error, match=message):
        compare(corpus, features, classifier="lda", audit=False, **given)


@pytest.mark.slow
def test_poolings_are_alternatives_among_which_inner_folds_choose(corpus):
    pooling = ["mean", ["mean", "std"]]
    features = ["nano", "egemaps", "egemaps+nano"]
    given = {"layer": [1, 2], "classifier": "lda", "audit": False}
    found = compare(corpus, features, pooling=pooling, **given)
    told = [(row.features, row.pooling, row.layer) for row in found.rows]
    both = list(itertools.product(["mean", "mean+std"], [1, 2]))
    assert told == [
        *(("nano", *each) for each in both),
        ("egemaps", None, None),
        *(("egemaps+nano", *each) for each in both),
    ]
    for row in found.rows:
        if row.features == "nano":
            alone = compare(corpus, ["nano"], pooling=row.pooling.split("+"), **given).rows
            assert row.fold_uar == alone[row.layer - 1].fold_uar
    for nested in found.nested:
        rows = [found.rows[k] for k in nested.rows]
        assert nested.poolings == [row.pooling for row in rows]
        assert {row.features for row in rows} == {nested.features}
        lines = found.predictions
        inner = [
            lines[(lines["row"] == k) & (lines["fold"] == f)] for f, k in enumerate(nested.rows)
        ]
        hits = np.concatenate([each["emotion"] == each["predicted"] for each in inner])
        assert nested.accuracy == pytest.approx(hits.mean())
    assert [nested.features for nested in found.nested] == ["nano", "egemaps+nano"]
    with pytest.raises(ValueError, match="only compare takes alternatives"):
        as_embedders(["nano"], pooling=pooling)


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ("--pooling mean std", {"pooling": ["mean", "std"]}),
        ("--pooling mean+std", {"pooling": ["mean", "std"]}),
        ("--pooling mean mean+std", {"pooling": [["mean"], ["mean", "std"]]}),
        ("--window none", {"window": None}),
        ("--window 2.5", {"window": 2.5}),
        ("--window auto --dtype bfloat16", {"window": "auto", "dtype": "bfloat16"}),
        ("--device cpu --revision main", {"device": "cpu", "revision": "main"}),
        ("--cache none", {"cache": None}),
    ],
)
@pytest.mark.parametrize("command", ["compare", "cross synthetic"])
def test_the_command_line_reaches_every_setting(command, arguments, parameters):
    given = f"{command} --features ssl:some/model {arguments}"
    options = _parser().parse_args(given.split())
    assert embedding_parameters(options) == parameters
    for _, embedder in feature_sets(options.features, **embedding_parameters(options)):
        for name, value in parameters.items():
            if name != "pooling" or not isinstance(value[0], list):
                assert embedder.get_params()[name] == value
