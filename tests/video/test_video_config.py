"""The hyperparameters of a stage: defaults, bounds, messages."""

from __future__ import annotations

import pytest

from schedplan.errors import UsageError
from schedplan_video.config import check_defaults, stage_settings

STAGE = {"sampling": "consecutive", "clip_length": 16, "learning_rate": 0.1, "batch_size": 8}


def test_defaults_complete_and_params_win() -> None:
    settings = stage_settings(STAGE, {"batch_size": 2, "accumulation": 4})
    assert (settings.batch_size, settings.accumulation) == (8, 4)


def test_what_may_be_left_out() -> None:
    settings = stage_settings(STAGE)
    assert (settings.stride, settings.accumulation) == (1, 1)
    assert settings.freeze_batchnorm is False
    assert settings.scaled_rate == 0.1


def test_rate_scale_multiplies_the_learning_rate() -> None:
    assert stage_settings(STAGE | {"rate_scale": 0.1}).scaled_rate == pytest.approx(0.01)


def test_segments_may_be_given_where_they_agree_with_the_clip() -> None:
    assert stage_settings(STAGE | {"sampling": "uniform", "segments": 4})
    assert stage_settings(STAGE | {"segments": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_sizes": 3}, r"unknown parameter 'batch_sizes'.*did you mean 'batch_size'"),
        ({"momentun": 3}, r"unknown parameter 'momentun', allowed: sampling, clip_length"),
        ({"clip_length": 0}, r"clip_length is 0.*greater than or equal to 1"),
        ({"clip_length": 16.5}, r"clip_length is 16.5.*integer"),
        ({"clip_length": True}, r"clip_length is True.*integer"),
        ({"learning_rate": 0}, r"learning_rate is 0.*greater than 0"),
        ({"learning_rate": float("nan")}, r"learning_rate is nan.*finite"),
        ({"learning_rate": "fast"}, r"learning_rate is 'fast'.*number"),
        ({"sampling": "random"}, r"sampling is 'random'.*'consecutive' or 'uniform'"),
        ({"segments": 4}, r"segments is 4, but a consecutive clip of 16 frames has 1"),
        ({"sampling": "uniform", "segments": 3}, r"segments is 3, but a uniform clip .* has 4"),
        ({"sampling": "uniform", "clip_length": 18}, r"clip_length is 18.*multiples of 4"),
        ({"sampling": "uniform", "stride": 2}, r"stride is 2.*uniform.*1 only"),
        ({"freeze_batchnorm": "no"}, r"freeze_batchnorm is 'no'.*boolean"),
        ({"optimizer": "adam"}, r"optimizer is 'adam'.*'sgd' or 'adamw'"),
        ({"momentum": 1}, r"momentum is 1.*less than 1"),
        ({"dropout": 1}, r"dropout is 1.*less than 1"),
        ({"mixup": -0.1}, r"mixup is -0.1.*greater than or equal to 0"),
    ],
)
def test_bad_values_are_named_with_their_bound(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        stage_settings(STAGE | change)


def test_missing_values_are_named_together() -> None:
    with pytest.raises(UsageError, match=r"'sampling' is missing.*'batch_size' is missing"):
        stage_settings({})


def test_defaults_are_checked_alone() -> None:
    check_defaults({"batch_size": 4})
    with pytest.raises(UsageError, match=r"unknown parameter 'batchsize'"):
        check_defaults({"batchsize": 4})
    with pytest.raises(UsageError, match=r"batch_size is 0"):
        check_defaults({"batch_size": 0})
