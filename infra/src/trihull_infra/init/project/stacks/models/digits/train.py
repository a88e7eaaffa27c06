"""Train the digits model: `train.py FOLDER` leaves `model.skops` and `test_split.npz` there.

The data set ships with scikit-learn (1,797 images), so training needs no network. The validation split is what the
regularisation strength is chosen on; the test split is seen by nobody until the release is evaluated.
"""

import sys
from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20261123
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)  # C of LogisticRegression, from strong to weak regularisation


def make_model(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000, random_state=SEED))


def main(folder: Path) -> None:
    pixels, digits = load_digits(return_X_y=True)
    pixels = pixels.astype(np.float32)  # what the served model takes
    train_x, rest_x, train_y, rest_y = train_test_split(
        pixels, digits, train_size=0.70, stratify=digits, random_state=SEED
    )
    validation_x, test_x, validation_y, test_y = train_test_split(
        rest_x, rest_y, test_size=0.50, stratify=rest_y, random_state=SEED
    )
    scores = {
        strength: make_model(strength).fit(train_x, train_y).score(validation_x, validation_y) for strength in STRENGTHS
    }
    strength = max(
        scores, key=lambda candidate: (scores[candidate], -candidate)
    )  # of equals the stronger regularisation
    model = make_model(strength).fit(train_x, train_y)
    print(f"C={strength}, validation accuracy {scores[strength]:.4f}, {len(test_x)} rows in the test split")
    skops.io.dump(model, folder / "model.skops")
    np.savez(folder / "test_split.npz", rows=test_x, targets=test_y)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
