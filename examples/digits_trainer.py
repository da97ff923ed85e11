"""A scikit-learn network on handwritten digits, as five plain functions. Used by digits.yaml."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from schedplan import FunctionTrainer

x, y = load_digits(return_X_y=True)
x_train, x_rest, y_train, y_rest = train_test_split(x / 16, y, test_size=0.5, random_state=0)
x_val, x_test, y_val, y_test = train_test_split(x_rest, y_rest, test_size=0.5, random_state=0)


def build(params, seed):
    rate, batch = params["learning_rate"], params["batch_size"]
    model = MLPClassifier(
        (32,), solver="sgd", momentum=0, learning_rate_init=rate, batch_size=batch, shuffle=False,
        random_state=seed,
    )  # fmt: skip
    return model.partial_fit(x_train[:batch], y_train[:batch], classes=range(10))  # makes weights


def train(model, seed):
    order = np.random.default_rng(seed).permutation(len(x_train))
    model.partial_fit(x_train[order], y_train[order])
    return {"loss": model.loss_}


def evaluate(model):
    # Nothing is chosen by the latter: it is there for `schedplan compare --metric test_accuracy`.
    return {"accuracy": model.score(x_val, y_val), "test_accuracy": model.score(x_test, y_test)}


def save(model, folder):
    np.savez(folder / "weights.npz", *model.coefs_, *model.intercepts_)


def load(model, folder):
    with np.load(folder / "weights.npz") as weights:
        arrays = list(weights.values())
    model.coefs_, model.intercepts_ = arrays[:2], arrays[2:]


def make():
    scales = {"accuracy": (0.1, 1.0)}  # guessing among 10 digits, and the best
    metrics = ("accuracy", "test_accuracy")
    return FunctionTrainer(build, train, evaluate, save, load, metrics=metrics, scales=scales)
