from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, nnls
from scores import real_trainings

from schedplan.curves import (
    FAMILIES,
    MIN_POINTS,
    Curve,
    Exponential,
    Family,
    MultiExponential,
    Power,
    find_family,
    fit,
    goodness_of_fit,
    varpro,
)
from schedplan.errors import EstimatorError

Array = NDArray[np.float64]
FAMILY = Exponential()
families = st.sampled_from(FAMILIES)
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@st.composite
def noisy_curves(draw: st.DrawFn, max_epochs: int = 60) -> Array:
    """A bending curve with the noise of a validation set."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t = np.arange(draw(st.integers(MIN_POINTS, max_epochs)))
    rise = draw(st.floats(0.05, 1.0)) * (1 - np.exp(-draw(st.floats(0.02, 1.0)) * t))
    fall = draw(st.floats(0.0, 0.01)) * t
    return rise - fall + draw(st.floats(0.001, 0.05)) * rng.standard_normal(len(t))


@st.composite
def odd_scores(draw: st.DrawFn) -> Array:
    """Scores as a metric may go wrong, in any unit."""
    n = draw(st.integers(0, 40))
    t = np.arange(n, dtype=np.float64)
    shape = draw(
        st.sampled_from(
            [np.zeros(n), np.ones(n), -t, t, t**2, -np.sqrt(t), np.r_[1.0, np.zeros(n)], t % 2]
        )
    )
    noise = draw(st.sampled_from([0.0, 1e-12, 0.01, 3.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = shape + noise * rng.standard_normal(len(shape))
    with np.errstate(over="ignore"):
        scores = scores * draw(st.sampled_from([1.0, 100.0, 1e-9, 1e200, 1e-200, 5e307, 1e-320]))
    lost = rng.random(len(scores)) < draw(st.sampled_from([0.0, 0.1, 0.6]))
    scores[lost] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return scores


def least_sse(family: Family, scores: Array) -> float:
    """The least error over a dense grid of rates, or of pairs, each solved by SciPy's NNLS."""
    t = np.arange(len(scores), dtype=np.float64)
    fastest, slowest = family.rate_bounds(t[-1])
    grid = np.geomspace(fastest, slowest, 300 if family.terms == 1 else 24)
    s = t / t[-1]
    rest = np.stack([np.ones_like(t), -np.ones_like(t), s, -s, -s * s], axis=1)
    terms = [-np.exp(rate * family.clock(t)) for rate in grid]
    first = [[each] for each in terms]
    pairs = [[one, other] for i, one in enumerate(terms) for other in terms[:i]]
    return min(
        nnls(np.column_stack([rest, *columns]), scores, maxiter=1000)[1] ** 2
        for columns in (first if family.terms == 1 else pairs)
    )


def parameters_of(family: Family, rng: np.random.Generator) -> Array:
    """Parameters within a family's bounds."""
    parameters = -(10.0 ** rng.uniform(-2, 0, 2 * family.terms + 3))
    parameters[0], parameters[-2] = rng.normal(), 0.01 * rng.normal()
    parameters[-1] *= 0.01
    return parameters


@every_family
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_slope_and_jacobian_are_the_derivatives_of_the_value(family, seed):
    parameters = parameters_of(family, np.random.default_rng(seed))
    t = np.array([0.0, 1.0, 7.5, 40.0])
    step = 1e-6
    difference = family.value(parameters, t + step) - family.value(parameters, t - step)
    np.testing.assert_allclose(family.slope(parameters, t), difference / (2 * step), atol=1e-6)
    numeric = approx_fprime(parameters, lambda p: family.value(p, t), 1e-7)
    np.testing.assert_allclose(family.jacobian(parameters, t), numeric, atol=1e-3, rtol=1e-3)


@every_family
@pytest.mark.parametrize("solver", ["varpro", "trf"])
@settings(deadline=None, max_examples=20)
@given(scores=noisy_curves())
def test_a_fit_keeps_its_bounds_and_is_concave(family, solver, scores):
    curve = fit(family, scores, solver)
    amplitudes, rates = curve.parameters[1:-2:2], curve.parameters[2:-2:2]
    assert max(amplitudes) <= 0 and max(rates) < 0 and curve.parameters[-1] <= 0
    assert list(rates) == sorted(rates), "the faster term comes first"
    assert (np.diff(curve.slope(np.linspace(0, 100, 50))) <= 1e-9).all()
    assert curve.sse == pytest.approx(((curve.value(np.arange(len(scores))) - scores) ** 2).sum())
    assert curve.sse <= ((scores - scores.mean()) ** 2).sum() * (1 + 1e-9)


@every_family
@settings(deadline=None, max_examples=15)
@given(scores=noisy_curves(max_epochs=30))
def test_no_dense_search_finds_a_better_fit(family, scores):
    assert fit(family, scores).sse <= 1.0001 * least_sse(family, scores) + 1e-12


@settings(deadline=None, max_examples=50)
@given(noisy_curves())
def test_a_second_term_never_fits_worse(scores):
    for one, two in (("exponential", "multi-exponential"), ("power", "multi-power")):
        simple, double = (fit(find_family(name), scores).sse for name in (one, two))
        assert double <= simple * (1 + 1e-9) + 1e-15


@settings(deadline=None, max_examples=60)
@given(families, noisy_curves())
def test_the_peak_is_where_no_epoch_is_higher(family, scores):
    curve = fit(family, scores)
    assert curve.value(np.linspace(0, 200, 400)).max() <= curve.peak + 1e-9
    if 0 < curve.peak_epoch < np.inf:
        assert abs(curve.slope(curve.peak_epoch)) < 1e-6


@settings(deadline=None)
@given(families, noisy_curves(), st.floats(1e-9, 1e9), st.floats(-10, 10))
@example(FAMILY, np.log1p(np.arange(30.0)), 100.0, 0.0)
def test_the_fit_is_free_of_scale(family, scores, a, shift):
    b = a * shift
    last = len(scores) - 1
    curve, scaled = fit(family, scores), fit(family, a * scores + b)
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


def test_two_terms_are_told_apart():
    true = Curve(MultiExponential(), (1.0, -0.3, -1.0, -0.5, -0.05, 0.0, -1e-6), 0.0)
    curve = fit(MultiExponential(), true.value(np.arange(100)))
    np.testing.assert_allclose(curve.parameters[1:5], true.parameters[1:5], rtol=1e-3)


@settings(deadline=None)
@given(families, noisy_curves(), st.data())
def test_scores_that_are_not_finite_are_left_out_and_keep_the_epochs_of_others(
    family, scores, data
):
    holes = data.draw(st.sets(st.integers(0, len(scores) - 1)))
    scores[list(holes)] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    curve = fit(family, scores)
    finite = np.flatnonzero(np.isfinite(scores))
    assert (curve is None) == (len(finite) < MIN_POINTS)
    if curve is not None:
        errors = curve.value(finite) - scores[finite]
        assert curve.sse == pytest.approx(errors @ errors, abs=1e-9)


@settings(deadline=None, max_examples=1000)
@given(families, odd_scores())
def test_odd_scores_have_a_finite_fit_or_none(family, scores):
    curve = fit(family, scores)
    if curve is not None:
        assert np.isfinite(curve.parameters).all() and np.isfinite(curve.sse)
        assert not np.isnan(curve.peak_epoch) and not np.isnan(curve.peak)


@every_family
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
def test_peaks_of_plain_shapes(family, scores, peak_epoch):
    assert fit(family, scores).peak_epoch == peak_epoch


def test_the_peak_of_a_curve_that_rises_for_ever_is_its_limit():
    assert Curve(FAMILY, (0.9, -0.5, -0.2, 0.0, 0.0), 0.0).peak == 0.9
    assert Curve(FAMILY, (0.9, -0.5, -0.2, 0.01, 0.0), 0.0).peak == np.inf
    assert Curve(FAMILY, (0.9, -0.5, -0.2, 0.01, -1e-320), 0.0).peak_epoch > 1e300


def test_too_few_or_too_large_scores_determine_no_curve():
    assert fit(FAMILY, np.arange(MIN_POINTS - 1.0)) is None
    assert fit(FAMILY, np.full(50, np.nan)) is None
    assert fit(FAMILY, 1.7e308 * np.array([1, -1, 1, 0.5, 0.3, 1, 0.2])) is None


def test_what_is_kept_of_the_epochs_changes_no_result():
    scores = np.sin(np.arange(40.0) / 20)
    for family in FAMILIES:
        kept = fit(family, scores)
        varpro._kept_design.cache_clear()
        assert fit(family, scores) == kept


def test_a_trust_region_that_breaks_down_leaves_the_best_of_the_grid(monkeypatch):
    def broken(*_args, **_options):
        raise np.linalg.LinAlgError("SVD did not converge")

    t = np.arange(40)
    scores = 0.9 - 0.5 * np.exp(-0.2 * t) - 1e-4 * t**2
    monkeypatch.setattr("scipy.optimize.least_squares", broken)
    assert fit(FAMILY, scores, solver="trf").peak_epoch == pytest.approx(16.93, abs=1.0)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(EstimatorError, match=r"'exponental'.*allowed: power.*did you mean 'expon"):
        find_family("exponental")
    with pytest.raises(EstimatorError, match=r"no solver 'tfr'; allowed: varpro, trf; did you"):
        fit(FAMILY, np.arange(9.0), solver="tfr")


@every_family
def test_five_thousand_points(family):
    true = Curve(FAMILY, (1.0, -1.0, -0.01, 0.0, -1e-8), 0.0)
    noise = 0.01 * np.random.default_rng(0).standard_normal(5000)
    curve = fit(family, true.value(np.arange(5000)) + noise)
    if family.clock is FAMILY.clock:
        assert curve.peak_epoch == pytest.approx(true.peak_epoch, rel=0.1)
    assert curve.sse < 1.5 * (noise @ noise) or isinstance(family, Power)


def test_goodness_of_fit_averages_over_the_curves_that_all_families_can_fit():
    rng = np.random.default_rng(0)
    t = np.arange(40)
    good = [1 - np.exp(-rate * t) + 0.01 * rng.standard_normal(40) for rate in (0.1, 0.5)]
    few, flat = good[0][:7], np.full(30, 0.5)
    found = goodness_of_fit([*good, few, flat, [np.nan] * 30])
    assert [each.family for each in found] == [family.name for family in FAMILIES]
    for each, family in zip(found, FAMILIES, strict=True):
        sse = [fit(family, scores).sse for scores in good]
        assert each.curves == 2
        assert each.rmse == pytest.approx(np.mean(np.sqrt(np.array(sse) / 40)))
        free = 40 - (2 * family.terms + 3)
        assert each.adjusted_rmse == pytest.approx(np.mean(np.sqrt(np.array(sse) / free)))
        assert 0.9 < each.r2 < 1
    assert goodness_of_fit([flat])[0].curves == 0


@every_family
def test_real_curves_are_fitted_as_well_as_by_a_dense_search(family):
    rng = np.random.default_rng(0)
    curves = [val for val, *_ in real_trainings()]
    for index in rng.integers(0, len(curves), 12 if family.terms == 1 else 4):
        scores = curves[index][: rng.integers(MIN_POINTS, len(curves[index]) + 1)]
        assert fit(family, scores).sse <= 1.001 * least_sse(family, scores) + 1e-12


def test_every_sampled_prefix_of_the_real_curves_has_a_finite_fit():
    for scores in [val for val, *_ in real_trainings()]:
        for last in range(MIN_POINTS, len(scores) + 1, 7):
            assert np.isfinite(fit(FAMILY, scores[:last]).sse)
