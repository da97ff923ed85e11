"""`schedplan curves`, as a user would run it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from processes import schedplan

from schedplan.curves import FAMILIES, goodness_of_fit

RNG = np.random.default_rng(0)
CURVES = [
    1 - np.exp(-rate * np.arange(n)) + 0.01 * RNG.standard_normal(n)
    for rate, n in ((0.1, 40), (0.3, 25), (1.0, 12))
]
CONFIG = """\
name: short
metric: top1
axes: {rate: [0.1, 0.01]}
knee: {estimator: fixed, epochs: 9}
trainer: {use: simulated, noise: 0.01}
"""


def write_all(folder: Path, curves: list[np.ndarray]) -> list[str]:
    """Write the curves in every form that can be read; return the files' names."""
    lists = [curve.tolist() for curve in curves]
    (folder / "a.json").write_text(json.dumps({str(i): each for i, each in enumerate(lists)}))
    (folder / "b.jsonl").write_text("\n".join(map(json.dumps, lists)))
    longest = max(map(len, lists))
    padded = np.array([each + [np.nan] * (longest - len(each)) for each in lists])
    cells = [["" if np.isnan(score) else repr(float(score)) for score in row] for row in padded.T]
    rows = "\n".join(map(",".join, cells))
    (folder / "c.csv").write_text(f"one,two,three\n{rows}\n")
    offsets = np.cumsum([0, *map(len, lists)])
    np.savez(folder / "d.npz", val=np.concatenate(curves), other=np.zeros(3), offsets=offsets)
    np.savez(folder / "e.npz", padded)
    return ["a.json", "b.jsonl", "c.csv", "d.npz", "e.npz"]


def test_files_of_every_kind_give_the_means_over_their_curves(tmp_path):
    expected = goodness_of_fit(CURVES)
    for name in write_all(tmp_path, CURVES):
        facts = json.loads(schedplan("curves", name, "-f", "json", cwd=tmp_path).stdout)
        assert (facts["curves"], facts["used"]) == (3, 3), name
        for each, wanted in zip(facts["families"], expected, strict=True):
            assert each["family"] == wanted.family
            assert each["rmse"] == pytest.approx(wanted.rmse, rel=1e-6)
            assert each["r2"] == pytest.approx(wanted.r2, rel=1e-6)
    table = schedplan("curves", "c.csv", cwd=tmp_path).stdout
    for family in FAMILIES:
        assert family.name in table
    assert "means over 3 of 3 curves" in table


def test_losses_are_negated(tmp_path):
    write_all(tmp_path, [-curve for curve in CURVES])
    arguments = ["curves", "a.json", "--lower-is-better", "-f", "json"]
    facts = json.loads(schedplan(*arguments, cwd=tmp_path).stdout)
    assert facts["families"][2]["rmse"] == pytest.approx(goodness_of_fit(CURVES)[2].rmse)


def test_a_run_folder_gives_the_curves_of_its_transitions(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    schedplan("run", "config.yaml", "-q", cwd=tmp_path)
    facts = json.loads(schedplan("curves", "runs/short", "-f", "json", cwd=tmp_path).stdout)
    assert facts["curves"] == facts["used"] == 2
    assert all(0 <= each["rmse"] < 0.1 for each in facts["families"])
    one = "runs/short/transitions/S0__0.1/1/epochs.jsonl"
    facts = json.loads(schedplan("curves", one, "-f", "json", cwd=tmp_path).stdout)
    assert facts["curves"] == facts["used"] == 1


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["none.npz"], ["none.npz: there is no such file or folder"]),
        (["empty"], ["empty: this is no run folder"]),
        (["empty", "--key", "a"], ["--key and --lower-is-better are for files"]),
        (["text.txt"], ["cannot read curves from a .txt file", ".npz, .csv, .json, .jsonl"]),
        (["d.npz", "--key", "vel"], ["no scores called 'vel'", "did you mean 'val'"]),
        (["c.csv", "--key", "one"], ["--key one is for .npz and .json files"]),
        (["bad.json"], ["bad.json: the file holds no curves; allowed: [[0.1, 0.2], ...]"]),
        (["bad.npz"], ["bad.npz: the file holds no curves; allowed: an array of numbers"]),
        (["texts.npz"], ["texts.npz: the file holds no curves; allowed: an array"]),
        (["deep.npz"], ["deep.npz: the file holds no curves; allowed: an array"]),
        (["words.csv"], ["words.csv: the file holds no curves; allowed: a column of numbers"]),
        (["empty.csv"], ["empty.csv: the file holds no curves"]),
        (["number.json"], ["number.json: the file holds no curves"]),
        (["null.json"], ["null.json: the file holds no curves"]),
        (["empty.jsonl"], ["empty.jsonl: the file holds no curves"]),
        (["other.jsonl"], ["other.jsonl: the file holds no curves", "a `score` in each line"]),
        (["binary.jsonl"], ["binary.jsonl: the file holds no curves"]),
        (["flat.json"], ["flat.json: none of the 1 curves can be fitted", "more than 7"]),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, arguments, phrases):
    write_all(tmp_path, CURVES)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("0.5")
    (tmp_path / "bad.json").write_text("[1, 2")
    (tmp_path / "bad.npz").write_text("no archive")
    np.savez(tmp_path / "texts.npz", names=np.array(["a", "b"]))
    np.savez(tmp_path / "deep.npz", np.zeros((2, 3, 4)))
    (tmp_path / "words.csv").write_text("a,b\nc,d\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "number.json").write_text("3")
    (tmp_path / "null.json").write_text('{"a": null}')
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "other.jsonl").write_text('{"loss": 1}\n')
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "flat.json").write_text(json.dumps([[0.5] * 20]))
    result = schedplan("curves", *arguments, cwd=tmp_path, code=2)
    for phrase in phrases:
        assert phrase in result.stderr
