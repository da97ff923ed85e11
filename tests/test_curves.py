from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, nnls

from schedplan.curves import MIN_POINTS, Curve, Exponential, find_family, fit
from schedplan.errors import EstimatorError

Array = NDArray[np.float64]
FAMILY = Exponential()


@st.composite
def noisy_curves(draw: st.DrawFn, max_epochs: int = 60) -> Array:
    """A bending curve with the noise of a validation set."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t = np.arange(draw(st.integers(MIN_POINTS, max_epochs)))
    rise = draw(st.floats(0.05, 1.0)) * (1 - np.exp(-draw(st.floats(0.02, 1.0)) * t))
    fall = draw(st.floats(0.0, 0.01)) * t
    return rise - fall + draw(st.floats(0.001, 0.05)) * rng.standard_normal(len(t))


def real_curves() -> list[Array]:
    """Real validation scores, one array per training, all finite."""
    folder = os.environ.get("SCHEDPLAN_TEST_DATA")
    if folder is None:
        pytest.skip("SCHEDPLAN_TEST_DATA is not set")
    with np.load(Path(folder) / "curves.npz") as data:
        offsets, stored = data["offsets"], data["val"].astype(np.float64)
    return [stored[start:end] for start, end in pairwise(offsets)]


def reference_sse(scores: Array, rates: int = 400) -> float:
    """The least error over a dense grid of rates, each solved by an independent NNLS."""
    t = np.arange(len(scores)) / (len(scores) - 1)
    grid = np.geomspace(0.01, 20 * (len(scores) - 1), rates)
    rest = np.stack([np.ones_like(t), -np.ones_like(t), t, -t, -t * t], axis=1)
    return min(nnls(np.column_stack([rest, -np.exp(-r * t)]), scores)[1] ** 2 for r in grid)


@settings(deadline=None)
@given(
    st.tuples(st.floats(-2, 2), st.floats(-2, 0), st.floats(-5, -0.001)),
    st.tuples(st.floats(-0.1, 0.1), st.floats(-0.01, 0)),
)
def test_slope_and_jacobian_are_the_derivatives_of_the_value(head, tail):
    parameters, t = np.array(head + tail), np.array([0.0, 1.0, 7.5, 40.0])
    step = 1e-6
    difference = FAMILY.value(parameters, t + step) - FAMILY.value(parameters, t - step)
    np.testing.assert_allclose(FAMILY.slope(parameters, t), difference / (2 * step), atol=1e-6)
    numeric = approx_fprime(parameters, lambda p: FAMILY.value(p, t), 1e-7)
    np.testing.assert_allclose(FAMILY.jacobian(parameters, t), numeric, atol=1e-3, rtol=1e-3)


@settings(deadline=None)
@given(noisy_curves())
def test_a_fit_keeps_its_bounds_and_is_concave(scores):
    curve = fit(FAMILY, scores)
    _, amplitude, rate, _, quadratic = curve.parameters
    assert amplitude <= 0 and rate < 0 and quadratic <= 0
    assert (np.diff(curve.slope(np.linspace(0, 100, 50))) <= 1e-9).all()
    assert curve.sse == pytest.approx(((curve.value(np.arange(len(scores))) - scores) ** 2).sum())
    assert curve.sse <= ((scores - scores.mean()) ** 2).sum() * (1 + 1e-9)


@settings(deadline=None)
@given(noisy_curves())
def test_the_peak_is_where_no_epoch_is_higher(scores):
    curve = fit(FAMILY, scores)
    assert curve.value(np.linspace(0, 200, 400)).max() <= curve.peak + 1e-9
    if 0 < curve.peak_epoch < np.inf:
        assert abs(curve.slope(curve.peak_epoch)) < 1e-6


@settings(deadline=None)
@given(noisy_curves(), st.floats(1e-9, 1e9), st.floats(-10, 10))
@example(np.log1p(np.arange(30.0)), 100.0, 0.0)
def test_the_fit_is_free_of_scale(scores, a, shift):
    b = a * shift
    last = len(scores) - 1
    curve, scaled = fit(FAMILY, scores), fit(FAMILY, a * scores + b)
    t = np.arange(last + 1)
    # Rounding may end the search one step sooner or later.
    np.testing.assert_allclose(scaled.value(t), a * curve.value(t) + b, atol=1e-4 * a)
    assert scaled.sse == pytest.approx(a * a * curve.sse, rel=1e-6, abs=1e-8 * a * a)
    here, there = np.clip([curve.peak_epoch, scaled.peak_epoch], 0, last)
    # Where the top is flat the place of the peak is loose, its height is not.
    assert abs(here - there) < 1e-3 * last or abs(curve.value(here) - curve.value(there)) < 1e-5


@settings(deadline=None)
@given(st.floats(0.1, 1), st.floats(0.05, 0.5), st.floats(-1e-3, 0), st.floats(-1e-3, -1e-4))
def test_an_exact_curve_is_recovered(amplitude, rate, linear, quadratic):
    true = Curve(FAMILY, (1.0, -amplitude, -rate, linear, quadratic), 0.0)
    curve = fit(FAMILY, true.value(np.arange(60)))
    assert curve.sse < 1e-10
    assert curve.peak_epoch == pytest.approx(true.peak_epoch, abs=0.02)
    assert curve.peak == pytest.approx(true.peak, abs=1e-6)


@settings(deadline=None)
@given(noisy_curves(), st.data())
def test_scores_that_are_not_finite_are_left_out_and_keep_the_epochs_of_others(scores, data):
    holes = data.draw(st.sets(st.integers(0, len(scores) - 1)))
    scores[list(holes)] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    curve = fit(FAMILY, scores)
    finite = np.flatnonzero(np.isfinite(scores))
    assert (curve is None) == (len(finite) < MIN_POINTS)
    if curve is not None:
        errors = curve.value(finite) - scores[finite]
        assert curve.sse == pytest.approx(errors @ errors, abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "peak_epoch"),
    [
        (np.full(9, 0.1), 0.0),
        (np.zeros(9), 0.0),
        (0.7 + 1e-16 * np.arange(9.0), 0.0),
        (-np.arange(9.0), 0.0),
        (np.r_[1.0, np.zeros(9)], 0.0),
        (np.arange(9.0), np.inf),
        (1e-9 * np.arange(9.0), np.inf),
    ],
)
def test_peaks_of_plain_shapes(scores, peak_epoch):
    assert fit(FAMILY, scores).peak_epoch == peak_epoch


def test_the_peak_of_a_curve_that_rises_for_ever_is_its_limit():
    assert Curve(FAMILY, (0.9, -0.5, -0.2, 0.0, 0.0), 0.0).peak == 0.9
    assert Curve(FAMILY, (0.9, -0.5, -0.2, 0.01, 0.0), 0.0).peak == np.inf


def test_too_few_or_too_large_scores_determine_no_curve():
    assert fit(FAMILY, np.arange(MIN_POINTS - 1.0)) is None
    assert fit(FAMILY, np.full(50, np.nan)) is None
    assert fit(FAMILY, 1.7e308 * np.array([1, -1, 1, 0.5, 0.3, 1, 0.2])) is None


def test_a_search_that_breaks_down_leaves_the_best_of_the_grid(monkeypatch):
    def broken(*_args, **_options):
        raise np.linalg.LinAlgError("SVD did not converge")

    t = np.arange(40)
    scores = 0.9 - 0.5 * np.exp(-0.2 * t) - 1e-4 * t**2
    monkeypatch.setattr("scipy.optimize.least_squares", broken)
    assert fit(FAMILY, scores).peak_epoch == pytest.approx(16.93, abs=1.0)


def test_an_unknown_family_names_the_nearest():
    with pytest.raises(EstimatorError, match=r"'exponental'.*allowed: exponential.*did you mean"):
        find_family("exponental")


def test_two_thousand_points():
    true = Curve(FAMILY, (1.0, -1.0, -0.01, 0.0, -1e-8), 0.0)
    noise = 0.01 * np.random.default_rng(0).standard_normal(2000)
    curve = fit(FAMILY, true.value(np.arange(2000)) + noise)
    assert curve.peak_epoch == pytest.approx(true.peak_epoch, abs=20)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 143), st.floats(0, 1))
def test_real_curves_are_fitted_as_well_as_by_a_dense_search(index, part):
    scores = real_curves()[index]
    scores = scores[: MIN_POINTS + round(part * (len(scores) - MIN_POINTS))]
    assert fit(FAMILY, scores).sse <= 1.0005 * reference_sse(scores) + 1e-12


def test_every_sampled_prefix_of_the_real_curves_has_a_finite_fit():
    for scores in real_curves():
        for last in range(MIN_POINTS, len(scores) + 1, 7):
            assert np.isfinite(fit(FAMILY, scores[:last]).sse)
