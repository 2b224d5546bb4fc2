"""Placeholders and parameters: whatever a value holds, it arrives as it is, wherever the placeholder stands."""

import os
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster_interface.model.errors import Rejected
from cluster_interface.model.parameters import element_lines, parameter_lines
from cluster_interface.model.placeholders import PREFIX, offer, place, used

VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
HOSTILE = [
    "$(touch canary)",
    "`touch canary`",
    "'; touch canary; '",
    '"; touch canary; "',
    "a\nb\n",
    "*",
    "-n",
    "\\",
    " x  y ",
]
SHELLS = ["/bin/sh", "/bin/bash"]
CONTEXTS = [
    "{n}",
    '"{n}"',
    "'{n}'",
    "''{n}",
    "\"\"{n}''",
    '"$(printf %s {n})"x',
    '"$(printf %s "{n}")"x',
    "\"$(printf %s '{n}')\"x",
    '"$( (printf %s {n}) )"x',
    '"${nothing:-{n}}"',
    "{n} # it's a comment",
]


def printed(command: str, shell: str = "/bin/sh", **values: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        **{PREFIX + name: text for name, text in values.items()},
    }
    done = subprocess.run([shell, "-c", command], env=environment, capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_arrive_literally(shell, context, value, tmp_path, monkeypatch):
    """In every way of quoting, nothing of the value is read by the shell."""
    monkeypatch.chdir(tmp_path)
    found = printed(place(f"printf '[%s]' {context}", ["n"]), shell, n=value)
    expected = value.rstrip("\n") + "x" if "$(" in context else value
    assert found == f"[{expected}]"
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES, st.sampled_from(CONTEXTS[:5]), st.sampled_from(CONTEXTS[:5]))
@example("a'b", 'c"d', "'{n}'", '"{n}"')
def test_any_value_arrives_literally(first, second, one, other):
    """Two values, quoted in two ways, beside each other."""
    command = f"printf '<%s>' {one} {other.replace('{n}', '{m}')}"
    assert printed(place(command, ["n", "m"]), n=first, m=second) == f"<{first}><{second}>"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b_1", "C"]), VALUES), max_size=5))
def test_parameter_lines_give_a_shell_the_values(rows):
    """The list beside job.sh holds each task's values in one line, whatever is in them."""
    lines = parameter_lines(rows)
    assert lines.count("\n") == len(rows)
    for line, row in zip(lines.split("\n"), rows, strict=False):
        shown = " ".join(f'"${PREFIX}{name}"' for name in row)
        script = f"nl='\n'\n{line}\nprintf '%s\\0' {shown}"
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, timeout=60)
        assert done.stdout.decode().split("\0")[: len(row)] == list(row.values())


def test_element_lines_name_the_tasks():
    """One line an element."""
    assert element_lines([[0], [1, 2]]) == "0\n1 2\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("x {n}", 'x "${CLIF_PARAM_n}"'),
        ("awk '{print}' {n}", "awk '{print}' \"${CLIF_PARAM_n}\""),
        ("""python -c 'print({"a": {"b": 1}})' {n}""", """python -c 'print({"a": {"b": 1}})' "${CLIF_PARAM_n}\""""),
        ("echo ${a:-${b}} ${n}", "echo ${a:-${b}} ${n}"),
        ("echo {{n}} '{{n}}' '{{other}}'", "echo {n} '{n}' '{{other}}'"),
        ("echo {1,2} {a,n} {}", "echo {1,2} {a,n} {}"),
        (r"echo \{n}", r"echo \{n}"),
        (r"echo '\' {n}", "echo '\\' \"${CLIF_PARAM_n}\""),
        ("echo '# ' {n}", "echo '# ' \"${CLIF_PARAM_n}\""),
        ('echo "# " {n}', 'echo "# " "${CLIF_PARAM_n}"'),
        ("echo a#b {n}", 'echo a#b "${CLIF_PARAM_n}"'),
        ("x # {nobody's}\n{n}", 'x # {nobody\'s}\n"${CLIF_PARAM_n}"'),
    ],
)
def test_what_else_has_braces_is_left_alone(command, expected):
    """A shell's own braces, those of other languages in single quotes, and those that are meant."""
    assert place(command, ["n"]) == expected


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("x {m}", r"\{m\} has no parameter; the sweep has n. Where braces are meant, write \{\{m\}\}"),
        ('x "{m}"', "has no parameter"),
        ("x `echo {n}`", r"cannot stand in backticks .* \$CLIF_PARAM_n"),
        ("x $(( {n} + 1 ))", "cannot stand in backticks or in"),
        ("x $(( ({n}) + 1 ))", "cannot stand in backticks or in"),
    ],
)
def test_a_placeholder_that_cannot_be_is_refused(command, words):
    """Without a parameter, or where the shell would read the value."""
    with pytest.raises(Rejected, match=words) as caught:
        place(command, ["n"])
    assert caught.value.problems[0].field == "command"


@given(st.text("{}()$`'\"\\#n ma\n", max_size=40))
def test_any_command_is_placed_or_refused(command):
    """However the quotes and braces stand, there is an answer; without a placeholder, the command is as it was."""
    try:
        placed = place(command, ["n"])
    except Rejected:
        return
    if "{n}" not in command and "{{" not in command:
        assert placed == command


def test_used_names_the_parameters_with_a_place():
    """The others can only be read from the environment."""
    assert used("x {n} '{m}' {{k}}", ["n", "m", "k", "l"]) == {"n", "m"}


def options(*names: str, flags: tuple[str, ...] = ()) -> list[dict]:
    """Options as a proposal has them."""
    return [{"name": name, "positional": not name.startswith("-"), "flag": name in flags} for name in names]


def test_a_parameter_goes_to_the_option_of_its_name():
    """Once, and never to a flag or a position."""
    found = options("--n", "--learning-rate", "path", "--v", flags=("--v",))
    assert offer("python fit.py", ["n", "learning_rate"], found) == (
        "python fit.py --n {n} --learning-rate {learning_rate}",
        [],
    )
    carried = [f"parameter {name}: the program finds it as $CLIF_PARAM_{name}" for name in ("path", "v")]
    assert offer("python fit.py", ["path", "v"], found) == ("python fit.py", carried)
    for given_already in ("python fit.py --n 3", "python fit.py -- x"):
        assert offer(given_already, ["n"], found)[0] == given_already
    assert offer("x {n}", ["n"], ()) == ("x {n}", [])
    assert offer("", ["n"], found)[0] == ""
