from __future__ import annotations

import math
import os
from dataclasses import FrozenInstanceError
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from schedplan import knees
from schedplan.curves import Curve, Exponential
from schedplan.errors import EstimatorError
from schedplan.knees import AtMost, CurveFit, FixedEpochs, KneeEstimator, Patience, Verdict

Array = NDArray[np.float64]

ESTIMATORS: list[KneeEstimator] = [
    CurveFit(),
    CurveFit(delay=2),
    Patience(3),
    Patience(3, min_delta=0.1),
    FixedEpochs(4),
    AtMost(12, CurveFit()),
]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)

odd_scores = st.floats(allow_nan=True, allow_infinity=True)
plain_scores = st.floats(-1, 1, width=32) | st.sampled_from([0.0, 1.0, math.nan, math.inf])
fuzzed = arrays(np.float64, st.integers(1, 40), elements=plain_scores) | arrays(
    np.float64, st.integers(1, 12), elements=odd_scores
)


@st.composite
def trainings(draw: st.DrawFn) -> Array:
    """A training's scores: fractions with noise, some of them lost."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t = np.arange(draw(st.integers(1, 60)))
    rise = 1 - np.exp(-draw(st.floats(0.02, 1.0)) * t) - draw(st.floats(0.0, 0.02)) * t
    scores = rise + draw(st.floats(0.001, 0.1)) * rng.standard_normal(len(t))
    scores[rng.random(len(t)) < draw(st.sampled_from([0.0, 0.2]))] = math.nan
    return scores


def same(one: Verdict, other: Verdict) -> bool:
    """Equal verdicts, a NaN score being equal to itself."""
    return repr(one) == repr(other)


@every_estimator
@settings(deadline=None, max_examples=300)
@given(scores=fuzzed | trainings())
def test_the_chosen_epoch_is_observed_and_finite(estimator, scores):
    verdict = estimator(scores)
    assert 0 <= verdict.epoch < len(scores)
    assert verdict.reason
    considered = scores[:5] if isinstance(estimator, FixedEpochs) else scores
    if np.isfinite(considered).any():
        assert math.isfinite(scores[verdict.epoch])
        finite = scores[np.isfinite(scores)]
        assert finite.min() <= verdict.score <= finite.max()
    else:
        assert verdict.epoch == 0 and math.isnan(verdict.score)
        assert "no finite score" in verdict.reason


@every_estimator
@settings(deadline=None)
@given(scores=trainings())
def test_minimising_is_maximising_the_negated_scores(estimator, scores):
    lowest, highest = estimator(scores, mode="min"), estimator(-scores, mode="max")
    assert (lowest.stop, lowest.epoch) == (highest.stop, highest.epoch)
    assert (lowest.reason, repr(lowest.curve)) == (highest.reason, repr(highest.curve))
    np.testing.assert_equal(lowest.score, -highest.score)


@every_estimator
@settings(deadline=None)
@given(scores=trainings(), cut=st.integers(1, 60))
def test_a_verdict_depends_on_nothing_but_the_scores_so_far(estimator, scores, cut):
    prefix = scores[:cut]
    before = estimator(prefix)
    estimator(scores)
    assert same(estimator(prefix.tolist()), before)


@pytest.mark.parametrize("estimator", [CurveFit(), Patience(3), AtMost(12, CurveFit())], ids=repr)
@settings(deadline=None)
@given(scores=trainings(), a=st.floats(1e-9, 1e9), shift=st.floats(-10, 10))
def test_the_knee_is_free_of_scale(estimator, scores, a, shift):
    # Rounded as a counted metric is, so that ties stay ties under a power of two.
    a = 2.0 ** round(math.log2(a))
    scores = np.round(scores * 1024) / 1024
    b = a * round(shift)
    verdict, scaled = estimator(scores), estimator(a * scores + b)
    assert (verdict.stop, verdict.epoch) == (scaled.stop, scaled.epoch)
    np.testing.assert_allclose(scaled.score, a * verdict.score + b, atol=1e-6 * a)


@settings(deadline=None)
@given(scores=trainings(), a=st.sampled_from([100.0, 1e-9, 0.3]), b=st.floats(-1, 1))
def test_the_knee_is_the_same_in_percent(scores, a, b):
    verdict, scaled = CurveFit()(scores), CurveFit()(a * scores + a * b)
    if verdict.epoch != scaled.epoch:  # two epochs of equal height
        np.testing.assert_allclose(scaled.score, a * (verdict.score + b), atol=1e-6 * a)


@settings(deadline=None)
@given(scores=fuzzed | trainings(), delay=st.integers(0, 12))
def test_a_curve_fit_stops_exactly_when_the_delay_has_passed(scores, delay):
    verdict = CurveFit(delay=delay)(scores)
    enough = np.isfinite(scores).sum() >= 6
    assert verdict.stop == (enough and len(scores) - 1 > verdict.epoch + delay)


@settings(deadline=None)
@given(st.floats(0.1, 1), st.floats(0.05, 0.5), st.floats(-1e-3, 0), st.floats(-1e-3, -1e-4))
def test_the_knee_of_an_exact_curve_is_the_curves_own(amplitude, rate, linear, quadratic):
    true = Curve(Exponential(), (1.0, -amplitude, -rate, linear, quadratic), 0.0)
    scores = true.value(np.arange(80))
    verdict = CurveFit()(scores)
    assert verdict.stop
    assert abs(verdict.epoch - true.peak_epoch) < 1.02
    assert scores[verdict.epoch] == pytest.approx(scores.max(), abs=1e-6)
    assert verdict.score == pytest.approx(scores.max(), abs=1e-4)


@settings(deadline=None)
@given(scores=trainings(), epochs=st.integers(1, 40))
def test_a_cap_changes_nothing_before_it_and_always_stops_at_it(scores, epochs):
    inner, capped = CurveFit()(scores), AtMost(epochs, CurveFit())(scores)
    assert capped.stop == (inner.stop or len(scores) - 1 >= epochs)
    assert (capped.epoch, repr(capped.score)) == (inner.epoch, repr(inner.score))
    assert ("cap" in capped.reason) == (capped.stop and not inner.stop)


@pytest.mark.parametrize(
    ("scores", "stop", "epoch"),
    [
        ([0.1, 0.3, 0.2], False, 1),  # too few
        (np.full(30, 0.5), True, 0),  # flat
        (np.zeros(11), False, 0),
        (np.ones(12), True, 0),
        (np.arange(30.0), False, 29),  # straight rise
        (-np.arange(12.0), True, 0),  # falls only
        (np.r_[1.0, np.zeros(11)], True, 0),  # spike at 0
        (1e-9 * -np.arange(12.0), True, 0),
        (np.r_[np.nan, -np.arange(12.0)], True, 1),
        (np.full(100, np.nan), False, 0),
        (np.r_[np.arange(10.0), np.full(11, np.nan)], True, 9),
    ],
)
def test_verdicts_of_a_curve_fit_on_plain_shapes(scores, stop, epoch):
    verdict = CurveFit()(scores)
    assert (verdict.stop, verdict.epoch) == (stop, epoch)


def test_a_curve_that_has_saturated_does_not_train_for_ever():
    assert CurveFit()(1 - np.exp(-0.5 * np.arange(80))).stop


def test_a_curve_that_cannot_be_fitted_falls_back_on_the_best_score(monkeypatch):
    monkeypatch.setattr(knees, "fit", lambda *_: None)
    scores = np.r_[0.1, 0.5, np.full(11, 0.3)]
    verdict = CurveFit()(scores)
    assert verdict == Verdict(
        True, 1, 0.5, "best score observed, as no exponential curve fits, at epoch 1, 11 epochs ago"
    )
    assert not CurveFit()(scores[:-1]).stop


def test_a_curve_fit_smooths_its_score_and_keeps_its_fit():
    rng = np.random.default_rng(0)
    t = np.arange(40)
    verdict = CurveFit()(0.9 - 0.5 * np.exp(-0.2 * t) - 1e-4 * t**2 + rng.normal(0, 0.02, 40))
    assert verdict.score == pytest.approx(float(verdict.curve.value(verdict.epoch)))
    assert verdict.score == pytest.approx(0.8544, abs=0.01)


def test_patience_waits_for_an_improvement():
    scores = [0.1, 0.5, 0.4, 0.52, 0.3]
    assert not Patience(3)(scores).stop
    lenient = Patience(3, min_delta=0.1)(scores)
    assert (lenient.stop, lenient.epoch, lenient.score) == (True, 3, 0.52)
    assert Patience(3)([np.nan] * 4).stop


def test_fixed_epochs_stop_at_that_epoch_and_pass_over_nan():
    assert not FixedEpochs(2)([0.1, 0.5]).stop
    verdict = FixedEpochs(2)([0.1, 0.5, np.nan, 0.9])
    assert (verdict.stop, verdict.epoch, verdict.score) == (True, 1, 0.5)
    assert "finite score being 1" in verdict.reason


def test_the_lookback_is_the_delay_and_wrappers_pass_it_on():
    assert CurveFit(delay=7).lookback == AtMost(50, CurveFit(delay=7)).lookback == 7
    assert Patience().lookback == FixedEpochs(3).lookback == 0


@every_estimator
def test_estimators_are_frozen_and_refuse_scores_without_meaning(estimator):
    with pytest.raises(FrozenInstanceError):
        estimator.epochs = 3
    with pytest.raises(EstimatorError, match=r"scores have the shape \(0,\)"):
        estimator([])
    with pytest.raises(EstimatorError, match=r"scores have the shape \(2, 1\)"):
        estimator([[0.1], [0.2]])
    with pytest.raises(EstimatorError, match=r"mode is 'mx'; allowed: max, min; did you mean"):
        estimator([0.1], mode="mx")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CurveFit(delay=-1), "delay is -1; allowed: whole numbers of at least 0"),
        (lambda: CurveFit(family="power-ish"), "no family of curves is called 'power-ish'"),
        (lambda: Patience(0), "epochs is 0; allowed: whole numbers of at least 1"),
        (lambda: Patience(2.5), "epochs is 2.5; allowed"),
        (lambda: Patience(min_delta=math.nan), "min_delta is nan; allowed"),
        (lambda: FixedEpochs(-1), "epochs is -1; allowed"),
        (lambda: AtMost(0, CurveFit()), "epochs is 0; allowed: whole numbers of at least 1"),
    ],
)
def test_arguments_out_of_bounds_are_named(build, message):
    with pytest.raises(EstimatorError, match=message):
        build()


def test_two_thousand_epochs():
    scores = np.sqrt(np.arange(2000)) + np.random.default_rng(0).normal(0, 0.1, 2000)
    for estimator in ESTIMATORS:
        assert math.isfinite(estimator(scores).score)


def epochs_by_replay(estimator: KneeEstimator, scores: Array) -> tuple[int, int]:
    """The epoch chosen and the epochs spent when `scores` come in one by one."""
    capped, last = AtMost(len(scores) - 1, estimator), 0
    while not (verdict := capped(scores[: last + 1])).stop:
        last += 1
    return verdict.epoch, last


def test_real_trainings_end_early_at_epochs_that_test_well():
    folder = os.environ.get("SCHEDPLAN_TEST_DATA")
    if folder is None:
        pytest.skip("SCHEDPLAN_TEST_DATA is not set")
    with np.load(Path(folder) / "curves.npz") as data:
        offsets, val, test = data["offsets"], data["val"].astype(np.float64), data["test"]
    regrets, epochs = [], []
    for start, end in list(pairwise(offsets))[::4]:
        chosen, spent = epochs_by_replay(CurveFit(), val[start:end])
        smooth = np.convolve(test[start:end], np.full(5, 0.2), mode="valid")
        regrets.append(smooth.max() - test[start + chosen])
        epochs.append(spent)
    assert np.mean(regrets) < 0.03
    assert np.mean(epochs) < 40
