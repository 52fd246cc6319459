"""Known learning curves are recovered within their intervals; what is too little is refused."""

from __future__ import annotations

import numpy as np
import pytest

from kerastl.errors import InputError
from kerastl.experiments.curves.power_law import Estimate, PowerLaw, fit_power_law
from tests.support.curves import REPEATS, SIZES, measured

CURVES = {
    "usual": ((0.05, 2.0, -0.5), SIZES, REPEATS),
    "steep": ((0.10, 3.0, -0.7), SIZES, REPEATS),
    "flat": ((0.02, 1.0, -0.3), SIZES, REPEATS),
    "no error left": ((0.0, 1.0, -0.4), SIZES, (3,) * 6),
    "few sizes": ((0.2, 4.0, -0.8), (100, 200, 400, 800), (6, 4, 3, 2)),
}


def truths(curve, size):
    alpha, eta, gamma = curve
    at = lambda n: alpha + eta * n**gamma  # noqa: E731
    return {
        "at": at(size), "twice": at(2 * size), "reliance": -2 * eta * gamma * size**gamma,
        "doubling": at(size) - at(2 * size), "alpha": alpha, "gamma": gamma,
    }  # fmt: skip


def estimates(found: PowerLaw, size):
    return {
        "at": found.at(size), "twice": found.at(2 * size), "reliance": found.reliance(size),
        "doubling": found.doubling(size), "alpha": Estimate.of(found.alpha),
        "gamma": Estimate.of(found.gamma),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_intervals_hold_the_truth_in_95_percent_of_200_draws(name):
    curve, sizes, repeats = CURVES[name]
    held = dict.fromkeys(truths(curve, 1), 0)
    for seed in range(200):
        found = fit_power_law(*measured(curve, sizes, repeats, seed), draws=1000, seed=seed)
        known = truths(curve, sizes[-1])
        for what, told in estimates(found, sizes[-1]).items():
            held[what] += told.low <= known[what] <= told.high
    # 200 draws of 0.95 lie above 0.915 in 97.5 %; where a bound presses, more are held.
    assert min(held.values()) >= 0.9 * 200, held
    assert np.mean(list(held.values())) >= 0.93 * 200, held


def test_without_noise_the_curve_is_found():
    curve = (0.05, 2.0, -0.5)
    found = fit_power_law(*measured(curve, SIZES, (2,) * 6, 0, fixed=0, drawn=0))
    known = truths(curve, 1600)
    for what, told in estimates(found, 1600).items():
        assert told.value == pytest.approx(known[what], abs=0.01), what
    assert found.sizes == SIZES


def test_more_repeats_narrow_the_interval():
    def width(repeats):
        told = fit_power_law(*measured((0.05, 2.0, -0.5), SIZES, repeats, 0)).at(3200)
        return told.high - told.low

    assert width((40,) * 6) < 0.6 * width((4,) * 6)


def test_an_error_is_never_below_nothing():
    n, e = measured((0.0, 1.0, -0.9), SIZES, (3,) * 6, 0, fixed=0.02)
    found = fit_power_law(n, np.maximum(e, 0))
    assert (found.draws_at([1600, 10**9]) >= 0).all()
    assert (found.gamma < 0).all()
    assert (found.eta >= 0).all()


def test_the_same_seed_gives_the_same_draws():
    n, e = measured((0.05, 2.0, -0.5), SIZES, REPEATS, 0)
    first, again, other = (fit_power_law(n, e, seed=seed).alpha for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_order_of_measurements_does_not_matter():
    n, e = measured((0.05, 2.0, -0.5), SIZES, REPEATS, 0)
    turned = fit_power_law(n[::-1], e[::-1])
    np.testing.assert_allclose(turned.alpha, fit_power_law(n, e).alpha, atol=1e-9)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ([], "at least 3 sizes.*Received: none"),
        ([10, 10, 20, 20, 20], "Received: 10, 20"),
        ([10, 20, 40, 40], "at least 2 repeats.*Received: 1 beyond one"),
    ],
)
def test_too_little_is_refused(sizes, told):
    with pytest.raises(InputError, match=told):
        fit_power_law(sizes, [0.5] * len(sizes))


def test_reliance_is_what_a_quarter_of_the_examples_would_add_to_first_order():
    found = fit_power_law(*measured((0.05, 2.0, -0.5), SIZES, (2,) * 6, 0, fixed=0, drawn=0))
    # With gamma -1/2 the first order is all there is.
    quarter = found.at(400).value - found.at(1600).value
    assert found.reliance(1600).value == pytest.approx(quarter, abs=1e-3)


def test_moved_means_move_the_curve_with_them():
    n, e = measured((0.05, 2.0, -0.5), SIZES, REPEATS, 0)
    still = fit_power_law(n, e)
    up = fit_power_law(n, e, moves=np.full((len(still.alpha), 6), 0.1))
    np.testing.assert_allclose(up.alpha, still.alpha + 0.1)
    np.testing.assert_allclose(up.draws_at(300), still.draws_at(300) + 0.1)
    curved = 0.3 * np.array(SIZES) ** -0.5
    more = fit_power_law(n, e, moves=np.tile(curved, (len(still.alpha), 1)))
    told, known = more.draws_at(300) - still.draws_at(300), 0.3 * 300**-0.5
    assert np.quantile(told, [0.05, 0.95]) == pytest.approx([known, known], abs=0.003)


def test_a_curve_that_is_moved_never_rises():
    found = fit_power_law(np.repeat(SIZES, 3), [0.25] * 18,
                          moves=np.tile(np.linspace(-0.1, 0.1, 6), (2000, 1)))  # fmt: skip
    assert (found.eta >= 0).all()
    assert found.at(1600).value == pytest.approx(0.35, abs=0.02)
    assert found.doubling(1600).value == pytest.approx(0, abs=1e-6)


def test_equal_errors_are_a_flat_curve():
    found = fit_power_law(np.repeat(SIZES, 3), [0.25] * 18)
    assert found.at(1600).value == pytest.approx(0.25, abs=1e-3)
    assert found.doubling(1600).value == pytest.approx(0, abs=1e-3)
    assert str(found.at(1600)) == "0.250 [0.250, 0.250]"


@pytest.mark.parametrize(
    "means",
    [(0.1, 0.2, 0.3, 0.4), (1.0, 0.98, 0.6, 0.01), (1.0, 1.0, 0.5, 0.01)],
    ids=["rising", "late", "later"],
)
@pytest.mark.parametrize("spread", [0.005, 0.02])
def test_what_does_not_fall_as_a_power_law_is_refused_and_never_told_too_surely(means, spread):
    sizes = np.repeat([25, 100, 400, 1600], 4)
    for seed in range(20):
        noise = spread * np.random.default_rng(seed).standard_normal(16)
        with pytest.raises(InputError, match="The errors do not fall"):
            fit_power_law(sizes, np.repeat(means, 4) + noise)


def test_a_real_curve_that_falls_late_is_refused():
    """Random weights in recipes/transfer_or_scratch.py: fitted, 0.28 were told at 320."""
    measured = {
        20: [0.759, 0.743, 0.695, 0.722, 0.717, 0.747],
        40: [0.676, 0.657, 0.625, 0.601, 0.644, 0.662],
        80: [0.45, 0.519, 0.464, 0.393, 0.51],
        160: [0.317, 0.329, 0.32, 0.271],
        320: [0.203, 0.195, 0.205, 0.182],
    }
    sizes = np.repeat(list(measured), [len(errors) for errors in measured.values()])
    with pytest.raises(InputError, match="The errors do not fall as a power law does"):
        fit_power_law(sizes, np.concatenate(list(measured.values())))


@pytest.mark.parametrize("name", CURVES)
def test_true_power_laws_are_not_refused(name):
    for seed in range(20):
        fit_power_law(*measured(*CURVES[name], seed), draws=10)
