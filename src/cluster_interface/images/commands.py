"""Running other programs: their words in a log, none of this process's secrets in their environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from cluster_interface.images.failures import image_failed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.settings import Images

_PASSED_ON = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy", "all_proxy")


@dataclass
class Ended:
    """How a program ended. While it runs, `code` is None."""

    words: str = ""  #: what it wrote to its standard error
    code: int | None = None


def environment(settings: Images, home: Path) -> dict[str, str]:
    """Make the environment of a tool: the site's proxy and certificates, and a home of its own."""
    names = (*_PASSED_ON, *(name.upper() for name in _PASSED_ON))
    chosen = {name: os.environ[name] for name in names if name in os.environ}
    if settings.proxy:
        chosen |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), settings.proxy)
    if settings.ca_bundle:
        chosen["SSL_CERT_FILE"] = str(settings.ca_bundle)
        chosen.pop("SSL_CERT_DIR", None)
    return {**chosen, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def run(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    log: Path,
    timeout: float,
    text: str | None = None,
    data: Iterable[bytes] | None = None,
) -> tuple[str, Ended]:
    """Run a program to its end and return its standard output, which is short; `text` or `data` is its input."""
    with running(argv, environ=environ, log=log, timeout=timeout, text=text, data=data) as (output, ended):
        answer = output.read().decode(errors="replace")
    return answer, ended


@contextmanager
def running(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    log: Path,
    timeout: float,
    text: str | None = None,
    data: Iterable[bytes] | None = None,
) -> Iterator[tuple[IO[bytes], Ended]]:
    """Run a program and hand out its standard output as it comes; after the block `Ended` says how it went.

    The program dies with this process (PR_SET_PDEATHSIG through setpriv), and with the block if that fails.
    Permanent if it runs longer than `timeout` seconds.
    """
    ended = Ended()
    with _append(log) as words:
        begin = words.tell()
        words.write(f"$ {' '.join(argv)}\n".encode())
        words.flush()
        process = subprocess.Popen(
            [*_dying_with_us(), *argv],
            stdin=subprocess.DEVNULL if text is None and data is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=dict(environ),
            umask=0o022,
            start_new_session=True,
        )
        late = threading.Event()
        timer = threading.Timer(timeout, _too_late, (process, late))
        timer.daemon = True
        timer.start()
        try:
            assert process.stdout is not None  # noqa: S101 - stdout=PIPE
            _feed(process, [(text or "").encode()] if data is None else data)
            yield process.stdout, ended
            process.stdout.close()
            ended.code = process.wait()
        finally:
            timer.cancel()
            _stop(process)
    ended.words = _tail(log, begin)
    if late.is_set():
        raise image_failed(f"{argv[0].rpartition('/')[2]} did not end within {timeout:.0f} s (images.timeout)")


def _append(log: Path) -> IO[bytes]:
    return os.fdopen(os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab", buffering=0)


def _dying_with_us() -> list[str]:
    return ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []


def _feed(process: subprocess.Popen[bytes], data: Iterable[bytes]) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin:
            for chunk in data:
                process.stdin.write(chunk)


def _too_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the program and whatever it started; the polite signal first, so that it takes its mounts away."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace")
