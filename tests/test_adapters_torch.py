"""A plan in a loop of torch: rates, fresh optimisers, all other hyperparameters, resuming."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plans import PLAN, make_plan

from schedplan import Plan, replay
from schedplan.adapters.torch import PlanScheduler
from schedplan.errors import PlanError


class Loop:
    """A loop as a user writes it; it notes what it really trained with."""

    def __init__(self, plan: Plan = PLAN, rate: str = "learning_rate") -> None:
        torch.manual_seed(0)
        self.data = torch.utils.data.TensorDataset(torch.randn(8, 3), torch.randn(8, 1))
        self.model = torch.nn.Linear(3, 1)
        self.optimizer = torch.optim.SGD(
            [{"params": [self.model.weight]}, {"params": [self.model.bias], "lr": 0.05}],
            lr=0.1,
            momentum=0.9,
        )
        self.scheduler = PlanScheduler(self.optimizer, plan, rate)
        self.seen: list[tuple[float, float, int, bool]] = []

    def train(self, epochs: int) -> None:
        loader = None
        for _ in range(epochs):
            if loader is None or self.scheduler.changed:
                loader = torch.utils.data.DataLoader(self.data, self.scheduler.params["batch_size"])
            fresh = not self.optimizer.state
            for inputs, targets in loader:
                self.optimizer.zero_grad()
                (self.model(inputs) - targets).square().mean().backward()
                self.optimizer.step()
            one, other = (group["lr"] for group in self.optimizer.param_groups)
            self.seen.append((one, other, len(inputs), fresh))
            self.scheduler.step()


def test_a_loop_trains_what_was_planned():
    loop = Loop()
    loop.train(PLAN.epochs)
    planned = map(PLAN.params_at, range(PLAN.epochs))
    expected = [(p["learning_rate"], p["learning_rate"] / 2, p["batch_size"]) for p in planned]
    assert [seen[:3] for seen in loop.seen] == expected
    assert [seen[3] for seen in loop.seen] == [epoch in (0, 3, 5) for epoch in range(7)]


class LoopTrainer:
    """The same training as schedplan does it: stage by stage, with a new optimiser in each."""

    def begin(self, params, start, seed):
        self.loop = Loop(make_plan((params, PLAN.epochs)))
        if start:
            self.loop.model.load_state_dict(torch.load(start / "model.pt", weights_only=True))

    def train_epoch(self):
        self.loop.train(1)
        return {}

    def evaluate(self):
        return {"top1": 0.5}

    def save(self, folder):
        torch.save(self.loop.model.state_dict(), folder / "model.pt")

    def restore(self, folder):
        raise AssertionError("nothing interrupts this")


def test_a_loop_ends_with_the_model_of_a_replay(tmp_path):
    loop = Loop()
    loop.train(PLAN.epochs)
    replay(PLAN, LoopTrainer, tmp_path)
    replayed = torch.load(tmp_path / "model" / "model.pt", weights_only=True)
    assert all(torch.equal(replayed[name], loop.model.state_dict()[name]) for name in replayed)


@pytest.mark.parametrize("cut", range(1, 7))
def test_a_loop_goes_on_as_if_never_cut_off(cut):
    whole, begun, resumed = Loop(), Loop(), Loop()
    whole.train(PLAN.epochs)
    begun.train(cut)
    file = io.BytesIO()
    torch.save(
        [getattr(begun, name).state_dict() for name in ("model", "optimizer", "scheduler")], file
    )
    states = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    for name, state in zip(("model", "optimizer", "scheduler"), states, strict=True):
        getattr(resumed, name).load_state_dict(state)
    assert resumed.scheduler.get_last_lr() == begun.scheduler.get_last_lr()
    resumed.train(PLAN.epochs - cut)
    assert begun.seen + resumed.seen == whole.seen
    assert torch.equal(resumed.model.weight, whole.model.weight)


@pytest.mark.parametrize("capturable", [False, True])
def test_a_scheduler_made_after_the_optimiser_was_loaded_goes_on_at_the_planned_rates(capturable):
    begun = Loop()
    begun.train(6)
    resumed = Loop()
    resumed.optimizer.load_state_dict(begun.optimizer.state_dict())
    if capturable:
        for group in resumed.optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"])
    resumed.scheduler = PlanScheduler(resumed.optimizer, PLAN, "learning_rate")
    resumed.scheduler.load_state_dict(begun.scheduler.state_dict())
    rates = [float(group["lr"]) for group in resumed.optimizer.param_groups]
    assert rates == pytest.approx([0.01, 0.005])


@given(
    stages=st.lists(st.tuples(st.floats(1e-6, 10), st.integers(1, 4)), min_size=1, max_size=5),
    bases=st.lists(st.floats(1e-4, 1), min_size=1, max_size=3),
)
def test_rates_are_the_plans_and_keep_their_proportion(stages, bases):
    plan = make_plan(*(({"rate": rate}, epochs) for rate, epochs in stages))
    parameters = [torch.zeros(1, requires_grad=True) for _ in bases]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(parameters, bases, strict=True)]
    optimizer = torch.optim.SGD(groups)
    scheduler = PlanScheduler(optimizer, plan, rate="rate")
    for epoch in range(plan.epochs):
        rates = scheduler.get_last_lr()
        assert rates[0] == plan.params_at(epoch)["rate"]
        for (a, b), (x, y) in zip(pairwise(rates), pairwise(bases), strict=True):
            assert a * y == pytest.approx(b * x)
        assert scheduler.stage is plan.stage_at(epoch)
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_lr() == rates


def test_a_loop_longer_than_the_plan_is_told():
    loop = Loop()
    loop.train(PLAN.epochs)
    with pytest.raises(PlanError, match="at its end after 7 epochs"):
        loop.scheduler.step()
    with pytest.raises(PlanError, match="no epoch 7; allowed: 0 to 6"):
        _ = loop.scheduler.params


@pytest.mark.parametrize(
    ("plan", "rate", "message"),
    [
        (PLAN, "learning_rat", "did you mean 'learning_rate'"),
        (make_plan(({"lr": "high"}, 1)), "lr", "'lr' is 'high' in stage 1 of the plan"),
        (make_plan(({"lr": 0.1}, 1), ({"lr": 0}, 1)), "lr", "'lr' is 0 in stage 2 of the plan"),
        (make_plan(), "lr", "no stages"),
    ],
)
def test_a_plan_without_a_learning_rate_is_refused(plan, rate, message):
    with pytest.raises(PlanError, match=message):
        Loop(plan, rate)


def test_a_checkpoint_of_another_plan_is_refused():
    other = Loop(make_plan(({"learning_rate": 0.1, "batch_size": 2}, 4)))
    with pytest.raises(PlanError, match="along another plan"):
        Loop().scheduler.load_state_dict(other.scheduler.state_dict())


def test_groups_in_no_proportion_are_refused():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0)
    with pytest.raises(PlanError, match="first parameter group is 0"):
        PlanScheduler(optimizer, PLAN)
