"""dtype="bfloat16": near, and never mixed with exact records."""

import numpy as np
import pytest

from sklearn_ser import SSLEmbedder


@pytest.mark.one_in(4)
@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_it_is_near(dtype, family, tiny_model, clips):
    if dtype == "float16" and family.startswith(("WavLM", "SEW-D")):
        pytest.skip("float16 is for GPUs; not all of its operators exist on a CPU")
    exact = SSLEmbedder(tiny_model(family), layer="all", cache=None).fit_transform(clips)
    near = SSLEmbedder(tiny_model(family), layer="all", cache=None, dtype=dtype)
    found = near.fit_transform(clips)
    assert found.dtype == np.float32
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert 1e-5 < error < 0.05


def test_it_has_records_of_its_own(tiny_model, clips, tmp_path):
    embedded = [
        SSLEmbedder(tiny_model(), dtype=dtype, cache=tmp_path).fit_transform(clips[:1])
        for dtype in ("float32", "bfloat16", "float32")
    ]
    assert (embedded[0] != embedded[1]).any()
    np.testing.assert_array_equal(embedded[0], embedded[2])
    assert len(list(tmp_path.glob("ssl-*"))) == 2
