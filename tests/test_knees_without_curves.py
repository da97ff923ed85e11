"""Estimators that fit no curve, and estimators made of estimators."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scores import trainings

from schedplan.errors import MissingDependencyError
from schedplan.knees import (
    All,
    Any,
    AtLeast,
    AtMost,
    CurveFit,
    FixedEpochs,
    Kneedle,
    Patience,
    Stationarity,
)


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


@settings(deadline=None)
@given(scores=trainings(), epochs=st.integers(1, 40))
def test_a_cap_changes_nothing_before_it_and_always_stops_at_it(scores, epochs):
    inner, capped = CurveFit()(scores), AtMost(epochs, CurveFit())(scores)
    assert capped.stop == (inner.stop or len(scores) - 1 >= epochs)
    assert (capped.epoch, repr(capped.score)) == (inner.epoch, repr(inner.score))
    assert ("cap" in capped.reason) == (capped.stop and not inner.stop)


@settings(deadline=None)
@given(scores=trainings(), epochs=st.integers(0, 40))
def test_a_minimum_changes_nothing_but_that_it_goes_on(scores, epochs):
    inner, held = CurveFit()(scores), AtLeast(epochs, CurveFit())(scores)
    assert held.stop == (inner.stop and len(scores) - 1 >= epochs)
    assert (held.epoch, repr(held.score)) == (inner.epoch, repr(inner.score))


@settings(deadline=None)
@given(scores=trainings())
def test_all_and_any_combine_stops_and_leave_the_choice_to_the_first(scores):
    parts = CurveFit(), Patience(4), Stationarity(8)
    stops = [part(scores).stop for part in parts]
    both, either = All(*parts)(scores), Any(*parts)(scores)
    assert (both.stop, either.stop) == (all(stops), any(stops))
    first = parts[0](scores)
    for verdict in (both, either):
        assert (verdict.epoch, repr(verdict.score)) == (first.epoch, repr(first.score))
        assert verdict.reason
    assert All(*parts) == All(*parts) == pickle.loads(pickle.dumps(All(*parts)))


def test_stationarity_stops_when_the_trend_ends():
    rng = np.random.default_rng(0)
    rise = np.r_[np.linspace(0.1, 0.9, 40), np.full(40, 0.9)] + 0.005 * rng.standard_normal(80)
    stops = [n for n in range(1, 81) if Stationarity(15)(rise[:n]).stop]
    assert 45 <= stops[0] <= 60
    assert Stationarity(15)(rise[: stops[0]]).epoch == int(np.argmax(rise[: stops[0]]))
    assert Stationarity(8)(np.full(8, 0.3)).stop
    assert not Stationarity(8)(np.arange(8.0)).stop
    assert not Stationarity(9)(np.full(8, 0.3)).stop


def test_stationarity_is_rarely_taken_in_by_noise_that_lingers():
    rng = np.random.default_rng(0)
    stopped = []
    for _ in range(200):
        noise = rng.standard_normal(30)
        for i in range(1, 30):
            noise[i] += 0.5 * noise[i - 1]
        stopped.append(Stationarity(30)(noise).stop)
    assert np.mean(stopped) > 0.75  # 0.9 without the few lags that can be allowed for


def test_kneedle_takes_the_knee_and_waits():
    pytest.importorskip("kneed")
    scores = 1 - np.exp(-0.5 * np.arange(40))
    verdict = Kneedle(delay=10)(scores)
    assert verdict.stop and 2 <= verdict.epoch <= 10
    assert verdict.score == scores[verdict.epoch]
    assert not Kneedle(delay=10)(scores[: verdict.epoch + 8]).stop
    assert Kneedle()(-np.arange(20.0)).epoch == 0
    assert Kneedle()(np.full(20, 0.5)).stop
    assert not Kneedle()(np.arange(20.0)).stop


def test_kneedle_names_the_extra_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "kneed", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'schedplan\[kneedle\]'"):
        Kneedle()
