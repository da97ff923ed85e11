"""A trainer: any object with five methods; this one is softmax regression in numpy."""

import math

import numpy as np

from schedplan.errors import TrainerError

ALPHABET = 26
LONGEST = 32
TEXTS = 200  # of each language, for training and as many for validation


class LettersTrainer:
    """Tells invented languages apart by their pairs of letters.

    The hyperparameters of a stage are `text_length` (how many letters of a text are read),
    `batch_size` and `learning_rate`.

    Args:
        languages: how many there are, at least 2.

    Raises:
        TrainerError: if there are fewer.
    """

    metrics = ("accuracy",)

    def __init__(self, languages: int = 4) -> None:
        if languages < 2:
            raise TrainerError(
                f"languages is {languages}", allowed="2 or more", path=("languages",)
            )
        self.languages = languages
        self.scales = {"accuracy": (1 / languages, 1.0)}  # guessing, and the best there is
        self.training = _texts(languages, seed=0)
        self.validation = _texts(languages, seed=1)

    def begin(self, params, start, seed):
        self.params, self.seed, self.epoch = params, seed, 0
        self.weights = np.zeros((ALPHABET**2, self.languages))
        if start:
            self.weights = np.load(start / "weights.npy")
        length = params["text_length"]
        self.inputs, self.validation_inputs = (
            _pairs(texts[:, :length]) for texts, _ in (self.training, self.validation)
        )

    def train_epoch(self):
        self.epoch += 1
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.inputs))
        wanted = np.eye(self.languages)[self.training[1]]
        losses = []
        for batch in np.split(order, range(0, len(order), self.params["batch_size"])[1:]):
            scores = np.exp(self.inputs[batch] @ self.weights)
            found = scores / scores.sum(axis=1, keepdims=True)
            losses.append(-np.log((found * wanted[batch]).sum(axis=1)).mean())
            slope = self.inputs[batch].T @ (found - wanted[batch]) / len(batch)
            self.weights -= self.params["learning_rate"] * slope
        return {"loss": float(np.mean(losses))}

    def evaluate(self):
        found = (self.validation_inputs @ self.weights).argmax(axis=1)
        return {"accuracy": float((found == self.validation[1]).mean())}

    def save(self, folder):
        np.save(folder / "weights.npy", self.weights)
        (folder / "epoch.txt").write_text(str(self.epoch))

    def restore(self, folder):
        self.weights = np.load(folder / "weights.npy")
        self.epoch = int((folder / "epoch.txt").read_text())


def _texts(languages, seed):
    """Return texts, shape (n, LONGEST), whose next letter depends on the last, and their languages.

    The languages are the same for any seed, and alike.
    """
    tables = np.exp(
        np.random.default_rng(7).normal(scale=0.6, size=(languages, ALPHABET, ALPHABET))
    )
    steps = (tables / tables.sum(axis=2, keepdims=True)).cumsum(axis=2)
    rng = np.random.default_rng(seed)
    language = np.repeat(np.arange(languages), TEXTS)
    texts = rng.integers(ALPHABET, size=(len(language), LONGEST))
    for place in range(1, LONGEST):
        drawn = rng.random(len(language))
        following = (steps[language, texts[:, place - 1]] < drawn[:, None]).sum(axis=1)
        texts[:, place] = following.clip(max=ALPHABET - 1)
    return texts, language


def _pairs(texts):
    """Return how often each pair of letters follows each other, of length 1 for even counts."""
    pairs = texts[:, :-1] * ALPHABET + texts[:, 1:]
    counts = np.zeros((len(texts), ALPHABET**2))
    np.add.at(counts, (np.arange(len(texts))[:, None], pairs), 1)
    return counts / math.sqrt(pairs.shape[1])
