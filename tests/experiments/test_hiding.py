import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kerastl.experiments.hiding import chance_of_uncertain, components, hide


def pattern(count=1500, seed=0):
    """Features, the true chance of "?", and codes that were made uncertain by it."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(count, 6)) * [1, 1, 1, 5, 5, 5] + 3
    truth = (draw.random(count) < 0.4).astype(float)
    chance = 1 / (1 + np.exp(2 - 1.5 * (features[:, 0] - 3)))
    return features, chance, np.where(draw.random(count) < chance, -2, truth)


def test_components_are_white():
    features, _, _ = pattern()
    found = components(features)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(6), atol=1e-8)


def test_the_chance_is_estimated_and_calibrated():
    features, chance, codes = pattern()
    found = chance_of_uncertain(components(features), codes)
    assert np.corrcoef(found, chance)[0, 1] > 0.95
    assert found.mean() == pytest.approx((codes == -2).mean(), abs=0.01)


def test_pure_chance_is_not_taken_for_a_pattern():
    draw = np.random.default_rng(1)
    features, codes = draw.normal(size=(600, 40)), draw.choice([-2, 0, 1], 600)
    found = chance_of_uncertain(components(features), codes)
    assert 0.4 < roc_auc_score(codes == -2, found) < 0.6


def test_no_chance_is_fitted_to_its_own_label():
    """With as many features as labels an ordinary fit would know every label."""
    draw = np.random.default_rng(2)
    inputs, codes = draw.normal(size=(60, 60)), draw.choice([-2, 0], 60)
    assert roc_auc_score(codes == -2, chance_of_uncertain(inputs, codes)) < 0.75


@pytest.mark.parametrize("codes", [[-2, 0, 1, 0, 1], [-2, -2, -2, -1, -1], [-1] * 5])
def test_too_few_to_fit_is_one_chance_for_all(codes):
    codes = np.array(codes)
    found = chance_of_uncertain(np.eye(5), codes)
    assert len(set(found)) == 1
    assert found[0] == pytest.approx((codes == -2).sum() / max(1, (codes != -1).sum()))


def test_as_many_are_hidden_as_asked_and_only_known_ones():
    _, chance, codes = pattern()
    hidden = hide(codes, chance, 200, seed=0)
    assert hidden.sum() == 200
    assert (codes[hidden] >= 0).all()
    assert (hide(codes, chance, 200, seed=0) == hidden).all()
    assert (hide(codes, chance, 200, seed=1) != hidden).any()


def test_at_most_half_of_either_class_is_hidden():
    codes = np.array([0.0] * 21 + [1.0] * 8 + [0.7] * 2 + [-1] * 5 + [-2] * 90)
    hidden = hide(codes, np.full(len(codes), 0.5), 90, seed=0)
    assert (hidden & (codes >= 0.5)).sum() == 5
    assert (hidden & (codes >= 0) & (codes < 0.5)).sum() == 10


def test_the_hidden_labels_look_like_the_uncertain_ones():
    """Drawn by odds, they have the uncertain ones' mean, which the known ones have not."""
    features, chance, codes = pattern(6000)
    hidden = np.zeros(len(codes))
    for seed in range(20):
        hidden += hide(codes, chance, 150, seed)
    mean = np.average(features[:, 0], weights=hidden)
    assert mean == pytest.approx(features[codes == -2, 0].mean(), abs=0.1)
    assert features[codes >= 0, 0].mean() < mean - 0.5


def test_the_odds_decide_who_is_hidden():
    """One label out of two, with odds of 3 against 1: three times in four."""
    codes, chances = np.array([0.0, 0.0]), np.array([0.75, 0.5])
    first = np.mean([hide(codes, chances, 1, seed)[0] for seed in range(2000)])
    assert first == pytest.approx(0.75, abs=0.03)
