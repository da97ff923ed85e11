"""Scores to judge: trainings drawn by hypothesis, and recorded ones."""

from __future__ import annotations

import json
import math
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from schedplan.knees import Scale

Array = NDArray[np.float64]


@st.composite
def trainings(draw: st.DrawFn) -> Array:
    """A training's scores: fractions with noise, some of them lost."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t = np.arange(draw(st.integers(1, 60)))
    rise = 1 - np.exp(-draw(st.floats(0.02, 1.0)) * t) - draw(st.floats(0.0, 0.02)) * t
    scores = rise + draw(st.floats(0.001, 0.1)) * rng.standard_normal(len(t))
    scores[rng.random(len(t)) < draw(st.sampled_from([0.0, 0.2]))] = math.nan
    return scores


def real_trainings() -> list[tuple[Array, Array, Scale]]:
    """Validation scores, test scores and the scale of every recorded training."""
    folder = os.environ.get("SCHEDPLAN_TEST_DATA")
    if folder is None:
        pytest.skip("SCHEDPLAN_TEST_DATA is not set")
    with np.load(Path(folder) / "curves.npz") as data:
        spans = [slice(*span) for span in pairwise(data["offsets"].tolist())]
        val, test = data["val"].astype(np.float64), data["test"].astype(np.float64)
        kinds = [each["ds"] for each in json.loads(str(data["meta"]))]
    classes = {"digits": 10, "patches": 16, "diabetes": 3, "wine": 3, "cancer": 2}
    return [
        (val[span], test[span], Scale(1 / classes[kind], 1.0))
        for span, kind in zip(spans, kinds, strict=True)
    ]
