"""Write `digits100.csv`, the first hundred test images of the digits network, next to this script: a line for each.

Needs scikit-learn (``pip install 'lipc[examples]'``); the result is in the repository, so there is no need to run it::

    python examples/digit_images.py
"""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

COUNT = 100
SEED = 0
"""As in `train_digits.py`: the images are those that the network was not trained with."""


def main() -> None:
    """Split the data as for the training, and write grey values in [0, 1], row by row."""
    digits = load_digits()
    _, images = train_test_split(digits.data / 16.0, test_size=0.25, random_state=SEED, stratify=digits.target)
    lines = [",".join(f"{value:g}" for value in image) for image in images[:COUNT]]
    (Path(__file__).parent / "digits100.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
