"""The pages' words: states, hostile names, timelines, what was used."""

from __future__ import annotations

import pytest

from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.plan import Ask, Lock, Plan
from cluster_interface.model.resources import GIB
from cluster_interface.model.state import FailureCode, JobState, TaskState
from cluster_interface.web import words
from cluster_interface.web.timeline import stages
from cluster_interface.web.usage import usage
from cluster_interface.wire import EventView, JobView, TaskView

S = JobState


def job(state: JobState, **more: object) -> JobView:
    """Make a job that was submitted at 100."""
    spec = JobSpec(command="true")
    ask = Ask(cpus=2, memory=4 * GIB, time=600, queue="local", runtime="bubblewrap", disk=GIB)
    values = {
        "id": "x", "name": "n", "owner": "ada", "group": "ada", "state": state, "code": None, "reason": "",
        "created": 100.0, "changed": 100.0, "ended": None, "rerun_of": None, "spec": spec,
        "plan": Plan(spec=spec, command="true", lock=Lock(base="b", image="i"), ask=ask), "plan_sha256": None,
        "tasks": (), "attempts": (), "progress": (), "last_event": 0, "cancel_requested": False,
    }  # fmt: skip
    return JobView(**{**values, **more})


def moves(*way: tuple[float, JobState]) -> list[EventView]:
    """Make the events of a way."""
    return [EventView(id=n, at=at, old=None, new=new, who="x", why="") for n, (at, new) in enumerate(way)]


def test_every_state_and_every_failure_has_a_sentence() -> None:
    """No page can meet a state or a failure code that it has no words for."""
    assert set(words.MEANING) == set(JobState)
    assert set(words.ADVICE) == set(FailureCode)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [("a\u202eb", "a⟨U+202E⟩b"), ("a\nb", "a⟨U+000A⟩b"), ("\x1b]52;", "⟨U+001B⟩]52;"), ("ü 漢", "ü 漢")],
)
def test_hidden_characters_are_shown(hostile: str, shown: str) -> None:
    """Control characters and bidi marks in names are shown, letters of any script are left alone."""
    assert words.visible(hostile) == shown


def test_long_names_are_cut() -> None:
    """A name without an end takes no page with it."""
    assert len(words.visible("x" * 10**6)) == words.LONGEST_SHOWN + 1


def test_a_command_keeps_its_lines() -> None:
    """A command of several lines keeps them, and nothing of it is cut."""
    text = "a \\\n\tb\u202e" + "c" * 1000
    assert words.visible_lines(text) == "a \\\n\tb⟨U+202E⟩" + "c" * 1000


def test_what_is_typed_is_set_as_code():
    """Backticks by pairs; markup in any of it stays text."""
    assert words.coded("say `--with <b>`: `x`") == "say <code>--with &lt;b&gt;</code>: <code>x</code>"
    assert words.coded("a ` b <i>") == "a ` b &lt;i&gt;"
    assert words.coded("`a` b ` c") == "<code>a</code> b ` c"
    assert words.coded("") == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "just now"), (59, "50 s ago"), (3599, "59 min ago"), (86400, "1 day ago"), (2e5, "2 days ago")],
)  # fmt: skip
def test_ages_are_round(seconds: float, said: str) -> None:
    """How long ago something was is said in one round unit."""
    assert words.ago(0, now=seconds) == said


def test_a_running_job_has_stages_behind_and_ahead() -> None:
    """The stages left have their lengths, the present one its beginning, the rest nothing."""
    way = stages(job(S.RUNNING), moves((100, S.SUBMITTED), (103, S.PREPARING), (110, S.QUEUED), (111, S.RUNNING)))
    assert [(stage.state, stage.now) for stage in way] == [
        (S.SUBMITTED, "done"), (S.PREPARING, "done"), (S.QUEUED, "done"), (S.RUNNING, "here"),
        (S.STAGING_OUT, "ahead"), (S.COMPLETED, "ahead"),
    ]  # fmt: skip
    assert [stage.seconds for stage in way[:3]] == [3, 7, 1]
    assert way[3].since == 111


def test_a_failed_job_shows_what_it_never_reached() -> None:
    """A job that failed early ends in red, and the stages it missed say so."""
    way = stages(job(S.FAILED), moves((100, S.SUBMITTED), (102, S.FAILED)))
    assert [stage.now for stage in way] == ["done", "skipped", "skipped", "skipped", "skipped", "failed"]


def test_a_new_attempt_goes_back_and_adds_up() -> None:
    """After a lost node the job prepares again: later stages are ahead, and the times add up in the end."""
    back = moves((100, S.PREPARING), (110, S.QUEUED), (120, S.RUNNING), (130, S.PREPARING))
    assert [stage.now for stage in stages(job(S.PREPARING), back)][2:4] == ["ahead", "ahead"]
    again = [*back, *moves((135, S.QUEUED), (137, S.RUNNING))]
    assert stages(job(S.RUNNING), again)[1].seconds == 15


def test_approval_appears_only_where_it_happened() -> None:
    """A job that no steward looked at has no such stage."""
    assert S.AWAITING_APPROVAL not in [stage.state for stage in stages(job(S.RUNNING), [])]
    waiting = stages(job(S.AWAITING_APPROVAL), moves((101, S.AWAITING_APPROVAL)))
    assert waiting[1].state == S.AWAITING_APPROVAL
    assert waiting[1].now == "here"


def test_usage_is_that_of_the_busiest_task() -> None:
    """Time, memory and cores are shown beside what was asked for."""
    task = TaskView(
        index=0, state=TaskState.COMPLETED, attempt=1, exit_code=0, reason="", started=100, ended=160,
        cpu_seconds=60, peak_memory=GIB, measured_by="cgroup",
    )  # fmt: skip
    time, memory, cores = usage(job(S.COMPLETED, tasks=(task,)), now=1000)
    assert (time.used, time.asked, time.share) == ("1 min", "10 min", 0.1)
    assert (memory.used, memory.share) == ("1 GiB", 0.25)
    assert (cores.used, cores.asked) == ("50 % busy", "2 cores")


def test_what_was_not_measured_is_not_shown_as_nothing() -> None:
    """Where no one could measure there is no number and no bar."""
    assert [row.share for row in usage(job(S.QUEUED), now=1000)] == [None, None, None]


def test_without_a_plan_the_defaults_are_named() -> None:
    """Before the job is resolved the page says that the queue decides."""
    assert {row.asked for row in usage(job(S.SUBMITTED, plan=None), now=0)} == {"the queue's default"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the program exited with 1", "The program exited with 1"),
        ("labtools is not well known", "labtools is not well known"),
        ("environment.setup ends with 2", "environment.setup ends with 2"),
    ],
)
def test_sentences_begin_with_a_capital_letter_and_names_do_not(text: str, shown: str) -> None:
    """What may be a name is as it is called."""
    assert words.sentence(text) == shown


def test_advice_speaks_of_what_the_page_has() -> None:
    """A button says what it does; a flag is a field of the form."""
    text = "it found no Python module `x`: `--with x` brings it"
    assert words.on_page(text, object()) == "it found no Python module `x`"
    assert words.on_page("it wanted the network: `--network`") == "it wanted the network: “Let it use the network”"
    assert words.on_page("say `--input a.csv`") == "use “Choose files”: `a.csv`"
    assert words.on_page("`--as-of 2021-01-01` takes those of then") == "`--as-of 2021-01-01` takes those of then"
