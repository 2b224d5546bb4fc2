"""Summarize the Palmer penguins by species and sex, and draw how they differ."""

import argparse

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from palmerpenguins import load_penguins

MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
COLORS = {"Adelie": "#ff8c00", "Chinstrap": "#8a2be2", "Gentoo": "#008b8b"}


def summarize(penguins: pd.DataFrame) -> pd.DataFrame:
    groups = penguins.groupby(["species", "sex"])
    summary = groups[MEASURES].mean().round(1)
    summary.insert(0, "count", groups.size())
    return summary


def draw(penguins: pd.DataFrame, path: str) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for species, birds in penguins.groupby("species"):
        color = COLORS[species]
        left.scatter(birds.bill_length_mm, birds.bill_depth_mm, s=22, alpha=0.7, color=color, label=species)
        right.hist(birds.flipper_length_mm, bins=range(170, 236, 4), alpha=0.6, color=color, label=species)
    left.set(xlabel="bill length (mm)", ylabel="bill depth (mm)", title="Bills")
    right.set(xlabel="flipper length (mm)", ylabel="penguins", title="Flippers")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False)
    figure.suptitle(f"{len(penguins)} penguins of the Palmer Archipelago")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--species", choices=sorted(COLORS), help="only this one")
    arguments = parser.parse_args()

    penguins = load_penguins().dropna()
    if arguments.species:
        penguins = penguins[penguins.species == arguments.species]

    summary = summarize(penguins)
    summary.to_csv("summary.csv")
    draw(penguins, "penguins.png")
    print(summary.to_string())


if __name__ == "__main__":
    main()
