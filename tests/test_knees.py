from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scores import real_trainings, trainings

from schedplan.curves import Curve, Exponential
from schedplan.errors import EstimatorError, TrainerError
from schedplan.knees import (
    All,
    Any,
    AtLeast,
    AtMost,
    CurveFit,
    FixedEpochs,
    Kneedle,
    KneeEstimator,
    Patience,
    Scale,
    Stationarity,
    Verdict,
)
from schedplan.trainer import scale_of

Array = NDArray[np.float64]

ESTIMATORS: list[KneeEstimator] = [
    CurveFit(),
    CurveFit(delay=2, growth=0.0, choice="fit", score="observed"),
    CurveFit("power", choice="observed"),
    CurveFit("multi-exponential"),
    Patience(3),
    Patience(3, min_delta=0.1),
    FixedEpochs(4),
    Stationarity(8),
    AtMost(12, CurveFit()),
    AtLeast(12, CurveFit()),
    All(CurveFit(), Patience(3)),
    Any(Patience(3), CurveFit()),
]
ACCURACY = Scale(chance=0.1, perfect=1.0)
PAPER = CurveFit(delay=10, growth=0.0, choice="fit", score="observed", margin=0.0)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)

odd_scores = st.floats(allow_nan=True, allow_infinity=True)
plain_scores = st.floats(-1, 1, width=32) | st.sampled_from([0.0, 1.0, math.nan, math.inf])
fuzzed = arrays(np.float64, st.integers(1, 40), elements=plain_scores) | arrays(
    np.float64, st.integers(1, 12), elements=odd_scores
)


def same(one: Verdict, other: Verdict) -> bool:
    """Equal verdicts, a NaN score being equal to itself."""
    return repr(one) == repr(other)


@every_estimator
@settings(deadline=None, max_examples=200)
@given(scores=fuzzed | trainings())
def test_the_chosen_epoch_is_observed_and_finite(estimator, scores):
    verdict = estimator(scores)
    assert 0 <= verdict.epoch < len(scores)
    assert verdict.reason
    considered = scores[:5] if isinstance(estimator, FixedEpochs) else scores
    if np.isfinite(considered).any():
        assert math.isfinite(scores[verdict.epoch])
        assert math.isfinite(verdict.score)
        assert scores[np.isfinite(scores)].min() <= verdict.score
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


@pytest.mark.parametrize(
    "estimator", [CurveFit(), Patience(3), Stationarity(8), AtMost(12, CurveFit())], ids=repr
)
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
    verdict = CurveFit(delay=delay, growth=0.0, choice="fit")(scores)
    enough = np.isfinite(scores).sum() >= 6
    assert verdict.stop == (enough and len(scores) - 1 > verdict.epoch + delay)
    growing = CurveFit(delay=delay, growth=0.5, choice="fit")(scores)
    last = growing.epoch + delay + growing.epoch // 2
    assert growing.stop == (enough and len(scores) - 1 > last)


@settings(deadline=None)
@given(st.floats(0.1, 1), st.floats(0.05, 0.5), st.floats(-1e-3, 0), st.floats(-1e-3, -1e-4))
def test_the_knee_of_an_exact_curve_is_the_curves_own(amplitude, rate, linear, quadratic):
    true = Curve(Exponential(), (1.0, -amplitude, -rate, linear, quadratic), 0.0)
    scores = true.value(np.arange(80))
    verdict = CurveFit()(scores)
    assert verdict.stop
    assert abs(verdict.epoch - true.peak_epoch) < 1.02
    assert verdict.epoch == CurveFit(choice="observed")(scores).epoch
    assert scores[verdict.epoch] == pytest.approx(scores.max(), abs=1e-6)
    assert verdict.score == pytest.approx(scores.max(), abs=1e-4)


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
    verdict = PAPER(scores)
    assert (verdict.stop, verdict.epoch) == (stop, epoch)


def test_a_curve_that_has_saturated_does_not_train_for_ever():
    assert CurveFit()(1 - np.exp(-0.5 * np.arange(80))).stop


def test_a_curve_that_cannot_be_fitted_falls_back_on_the_best_score(monkeypatch):
    monkeypatch.setattr("schedplan.knees.curve_fit.fit", lambda *_: None)
    scores = np.r_[0.1, 0.5, np.full(11, 0.3)]
    verdict = CurveFit()(scores)
    assert verdict == Verdict(
        True, 1, 0.5, "best score observed, as no exponential curve fits, at epoch 1, 11 epochs ago"
    )
    assert not CurveFit()(scores[:7]).stop


@settings(deadline=None)
@given(scores=trainings())
def test_a_choice_between_fit_and_observation(scores):
    verdicts = {
        choice: CurveFit(choice=choice, score="observed")(scores)
        for choice in ("fit", "blend", "observed")
    }
    curve, finite = verdicts["fit"].curve, np.flatnonzero(np.isfinite(scores))
    assert len({verdict.stop for verdict in verdicts.values()}) == 1
    for verdict in verdicts.values():
        np.testing.assert_equal(verdict.score, scores[verdict.epoch] if len(finite) else math.nan)
    if curve is not None:
        fitted, seen = curve.value(finite), scores[finite]
        close = 1e-8 * np.ptp(seen)
        assert curve.value(verdicts["fit"].epoch) >= fitted.max() - close
        assert scores[verdicts["observed"].epoch] == seen.max()
        blend = curve.value(verdicts["blend"].epoch) + scores[verdicts["blend"].epoch]
        assert blend >= (fitted + seen).max() - close
        worth = min(fitted.max(), seen.max())
        assert CurveFit()(scores).score == pytest.approx(worth)


def test_the_fitted_score_is_no_better_than_all_that_was_measured():
    collapses_early = np.r_[0.15, 0.49, 0.2, 0.69, 0.2, 0.64, 0.95, 0.72, 0.93, np.full(18, 0.97)]
    verdict = CurveFit()(collapses_early)
    assert verdict.curve.value(np.arange(27)).max() > 0.99
    assert verdict.score == 0.97
    assert CurveFit()(-collapses_early, "min").score == -0.97


def test_a_late_starter_goes_on_while_it_is_hardly_better_than_chance():
    rng = np.random.default_rng(0)
    flat = 0.1 - 0.0005 * np.arange(60) + 0.01 * rng.standard_normal(60)
    assert CurveFit()(flat).stop
    waiting = CurveFit()(flat, scale=ACCURACY)
    assert not waiting.stop and waiting.reason.endswith("but hardly better than chance yet")
    assert not CurveFit()(1 - flat, "min", Scale(0.9, 0.0)).stop
    assert CurveFit(margin=0.0)(flat, scale=Scale(0.0, 1.0)).stop
    assert CurveFit()(flat + 0.3, scale=ACCURACY).stop
    flat[30] = 0.4  # once, by chance
    assert not CurveFit()(flat, scale=ACCURACY).stop


@settings(deadline=None)
@given(scores=trainings(), chance=st.floats(-1, 0.9))
def test_a_scale_may_only_make_a_training_longer(scores, chance):
    free, stated = CurveFit()(scores), CurveFit()(scores, scale=Scale(chance, 1.0))
    assert free.stop or not stated.stop
    assert (free.epoch, repr(free.curve)) == (stated.epoch, repr(stated.curve))


def test_the_lookback_covers_leaps_and_wrappers_pass_it_on():
    assert CurveFit().lookback == AtMost(50, CurveFit()).lookback == 20
    assert CurveFit(delay=30).lookback == AtLeast(5, CurveFit(delay=30)).lookback == 30
    assert All(CurveFit(), Patience()).lookback == 20 and Any(Patience(), CurveFit()).lookback == 0
    for estimator in (CurveFit(choice="observed"), Patience(), FixedEpochs(3), Stationarity()):
        assert estimator.lookback == 0


def test_a_trainer_may_state_the_scale_of_a_metric():
    stated = {"top1": (0.1, 1), "loss": Scale(2.3, 0.0), "wrong": 3, "same": (1, 1)}
    trainer = SimpleNamespace(scales=stated)
    assert scale_of(trainer, "top1") == ACCURACY
    assert scale_of(trainer, "loss") == Scale(2.3, 0.0)
    assert scale_of(trainer, "other") is None and scale_of(SimpleNamespace(), "top1") is None
    for name in ("wrong", "same"):
        with pytest.raises(TrainerError, match=f"the trainer's scale of '{name}' is"):
            scale_of(trainer, name)


def test_a_scale_says_how_far_a_score_has_come():
    assert Scale(math.log(10), 0).progress(math.log(10) / 4) == pytest.approx(0.75)
    with pytest.raises(EstimatorError, match="chance and perfect are both 1"):
        Scale(1, 1)
    with pytest.raises(EstimatorError, match="chance is nan; allowed: finite numbers"):
        Scale(math.nan, 1)
    with pytest.raises(EstimatorError, match=r"worse than 0\.1, that of guessing, where mode is"):
        CurveFit()([0.1], scale=Scale(0.1, 0.0))


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
        (lambda: CurveFit(growth=-0.1), "growth is -0.1; allowed: numbers from 0 to 1"),
        (lambda: CurveFit(margin=2), "margin is 2; allowed: numbers from 0 to 1"),
        (lambda: CurveFit(choice="fti"), "choice is 'fti'; allowed: .*; did you mean 'fit'"),
        (lambda: CurveFit(score="best"), "score is 'best'; allowed: fit, observed"),
        (lambda: CurveFit(solver="svd"), "there is no solver 'svd'; allowed: varpro, trf"),
        (lambda: Stationarity(3), "window is 3; allowed: whole numbers of at least 4"),
        (lambda: Stationarity(confidence=1), "confidence is 1; allowed: numbers from 0.5"),
        (lambda: Kneedle(sensitivity=-1), "sensitivity is -1; allowed: numbers from 0 to 100"),
        (lambda: AtLeast(-1, CurveFit()), "epochs is -1; allowed"),
        (lambda: All(), "All has no estimators; allowed: one or more"),
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


def regret_and_epochs(estimator: KneeEstimator) -> tuple[float, float]:
    """The mean regret in points and the mean epochs spent when scores come in one by one."""
    rows = []
    for val, test, scale in real_trainings():
        capped, last = AtMost(len(val) - 1, estimator), 0
        while not (verdict := capped(val[: last + 1], scale=scale)).stop:
            last += 1
        best = np.convolve(test, np.full(5, 0.2), mode="valid").max()
        rows.append((100 * (best - test[verdict.epoch]), last))
    regret, epochs = np.mean(rows, axis=0)
    return float(regret), float(epochs)


def test_real_trainings_end_early_at_epochs_that_test_well():
    regret, epochs = regret_and_epochs(CurveFit())
    assert regret <= 0.65 and epochs <= 34


def test_the_default_beats_the_papers_rule_on_real_trainings():
    (ours, sooner), (theirs, later) = map(regret_and_epochs, (CurveFit(), PAPER))
    assert ours < theirs and sooner < later
