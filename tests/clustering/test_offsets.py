"""Half squared norms, and which centroids count as one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nave.clustering.clusters import coincident
from nave.clustering.offsets import offsets


def test_a_centroid_that_repeats_another_is_given_no_points():
    centroids = torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(0)).repeat(1, 4, 1)
    centroids[0, 2] += 1
    centroids[0, 3] *= 1 + 1e-7
    assert offsets(centroids)[0].isinf().tolist() == [False, True, False, True]
    centroids[0, 3] *= 1 + 1e-3
    assert offsets(centroids)[0].isinf().tolist() == [False, True, False, False]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 8), st.integers(1, 40), st.sampled_from([0, 1e-7, 1e-6, 1e-4]), st.booleans(), st.integers(0, 999)
)
def test_the_compiled_rule_is_that_of_the_tensors(k, d, near, zeros, seed):
    generator = torch.Generator().manual_seed(seed)
    centroids = torch.randn(2, k, d, generator=generator) * (0 if zeros else 1)
    centroids = torch.cat([centroids, centroids * (1 + near)], dim=1)
    expected = ((centroids**2).sum(2) / 2).masked_fill(coincident(centroids).tril(-1).any(2), torch.inf)
    torch.testing.assert_close(offsets(centroids), expected)
