"""Notebooks as they are, through the command line on a real runtime."""

import json


def cell(text, *tags):
    """Write one cell of code."""
    return {
        "cell_type": "code",
        "source": text,
        "metadata": {"tags": list(tags)},
        "outputs": [],
        "execution_count": None,
    }


def test_a_notebook_runs_and_comes_back_executed(quick):
    """Magics, a module and a file beside it, a parameter, a picture that made it large: nothing has to be changed."""
    cells = [
        cell("scale = 2  # how much", "parameters"),
        cell("%pip install six\nimport six, tools"),
        cell(
            "numbers = [int(line) for line in open('numbers.txt')]\n!echo from the shell\ntools.scaled(numbers, scale)"
        ),
        cell("open('sum.txt', 'w').write(str(sum(tools.scaled(numbers, scale))))\nprint('written')"),
    ]
    cells[1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 2**20}]
    document = {"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": {"name": "conda-env-mine-py", "language": "python", "display_name": "Mine"}}, "cells": cells}  # fmt: skip
    (quick.work / "study").mkdir()
    quick.write("study/sums.ipynb", json.dumps(document))
    quick.write("study/tools.py", "def scaled(numbers, by):\n    return [number * by for number in numbers]\n")
    quick.write("study/numbers.txt", "1\n2\n3\n")
    done = quick.clif("run", "study/sums.ipynb", "--", "--scale", "10")
    assert done.returncode == 0, done.stderr
    assert (quick.work / "study/sum.txt").read_text() == "60"
    executed = json.loads((quick.work / "study/sums.executed.ipynb").read_text())
    shown = [output for one in executed["cells"] for output in one.get("outputs", ())]
    assert any("from the shell" in str(output) for output in shown)
    assert any("[10, 20, 30]" in str(output) for output in shown)
    assert "six  (pip install, cell 2, line 1)" in done.stderr
