"""The group of commands, and what the end of each means.

Exit status: 0 done, 1 the job failed, 2 usage, 3 refused by policy, 4 the server could not be reached;
130 after Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cluster_interface import __version__
from cluster_interface.cli.failing import USAGE, say_error, status_of
from cluster_interface.cli.terminal import plain
from cluster_interface.model.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: name -> its module, and the line that stands in the list of commands: that list imports none of them
COMMANDS = {
    "run": ("running", "Run a script on the cluster and bring its outputs back."),
    "submit": ("submitting", "Submit a script, a directory or a spec; print the job's id."),
    "describe": ("submitting", "Show the job a script would make, and what each guess rests on."),
    "list": ("looking", "List the jobs, newest first."),
    "status": ("looking", "Show a job."),
    "tasks": ("looking", "List a job's tasks with their parameters."),
    "events": ("looking", "Show what happened to a job, and when."),
    "logs": ("logs", "Show what a job prints."),
    "shell": ("shell", "Open a shell where a job runs or ran."),
    "wait": ("waiting", "Wait for jobs to end."),
    "cancel": ("waiting", "Cancel jobs."),
    "rerun": ("waiting", "Submit a job again as it was."),
    "deliver": ("waiting", "Take outputs once more to where they did not arrive."),
    "outputs": ("outputs", "List a job's outputs, print one, or fetch them."),
    "capsule": ("capsule", "Write a job into one image that runs anywhere."),
    "patterns": ("patterns", "The common kinds of job: list, show and check them."),
    "keep": ("keeping", "Keep the files of ended jobs for longer."),
    "remove": ("keeping", "Remove the files of ended jobs."),
    "me": ("keeping", "Show who you are, and how much your jobs hold."),
    "share": ("sharing", "Make a link to outputs for somebody without an account."),
    "unshare": ("sharing", "Take such a link back."),
    "data": ("sources", "List the data that the site shares."),
    "credentials": ("sources", "Your keys for sources that are not open to everybody."),
    "files": ("files", "Describe, make and compare directories as file trees."),
    "images": ("images", "The images that jobs run in."),
    "queues": ("server", "List the queues and what they can give."),
    "ui": ("server", "Open the pages in the browser."),
    "doctor": ("server", "Examine the server and its settings."),
}

EPILOG = """\b
JOB is a job's id, the beginning of one, or `last`.
Exit status: 0 done, 1 the job failed, 2 usage, 3 refused by policy, 4 the server could not be reached.
Completion: eval "$(_CLIF_COMPLETE=bash_source clif)"   (zsh_source, fish_source)
"""


class App(click.Group):
    """Commands by name, imported when called; every error as one sentence and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which a newcomer meets them."""
        return [*COMMANDS, *(name for name in super().list_commands(ctx) if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _ = COMMANDS[cmd_name]
        found: click.Command = getattr(import_module(f"cluster_interface.cli.{module}"), f"{cmd_name}_command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        del ctx
        rows = [(name, line) for name, (_, line) in COMMANDS.items()]
        rows += [(name, found.get_short_help_str(90)) for name, found in self.commands.items() if not found.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,
    ) -> Any:
        """Run the command line and exit; without `standalone_mode`, errors are raised instead."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        sys.exit(_status(lambda: super(App, self).main(args, prog_name, complete_var, standalone_mode=False, **extra)))


def _status(run: Any) -> int:
    try:
        ended = run()
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ClusterError as error:
        say_error(error)
        return status_of(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("clif: interrupted", err=True)
        return 130
    except BrokenPipeError:
        _drop_stdout()
        return 1
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a person
        return _last_resort(error)
    return ended if isinstance(ended, int) else 0


def _last_resort(error: Exception) -> int:
    if isinstance(error, OSError) and (words := _of_a_file(error)):
        click.echo(f"clif: {words}", err=True)
        return USAGE
    click.echo(f"clif: unexpected error: {type(error).__name__}; its details are in {_note(error)}", err=True)
    return 1


def _of_a_file(error: OSError) -> str:
    """Say what the system refused of a file of the person's, or of where the output goes; nothing for all else."""
    if isinstance(error.filename, (str, bytes)):
        return f"{plain(os.fsdecode(error.filename))}: {(error.strerror or str(error)).lower()}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _drop_stdout()
        return f"the output cannot be written: {(error.strerror or str(error)).lower()}"
    return ""


def _drop_stdout() -> None:
    """Whoever read our output has gone: let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _note(error: Exception) -> str:
    fd, path = tempfile.mkstemp(prefix="clif-error-", suffix=".log")
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"clif {__version__}, Python {sys.version}\n")
        file.writelines(traceback.format_exception(error))
    return path


def leave(status: int) -> NoReturn:
    """End the command with an exit status."""
    raise click.exceptions.Exit(status)


@click.group(cls=App, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="clif", message="%(prog)s %(version)s")
def app() -> None:
    """Hand a script to a cluster: its software is put into a container, its files are staged, it is run and
    watched, and its outputs come back.

    \b
      clif run count.py -- --top 10
    """  # noqa: D205, D301 - \b is click's mark for a paragraph that keeps its lines
