"""How many programs that other people wrote run at the first try, with nothing said but their name.

The programs are the examples of packages (corpus.toml names them), fetched when this runs and kept in a cache. Which of
them are run is settled by a rule before any is tried:

1. of each package's directory of examples, all files with the named endings, in alphabetical order;
2. without those that are no program of their own: parts of packages, tests, and what only defines functions (a C file
   without main, a file without an ending and without a #! line);
3. without those that cannot run alone by what they are: they want a person or a screen, the internet, arguments and
   input that nobody gives here, or what lies outside of their directory (`_WANTS` says by which words that is told);
4. of the rest, as many as `take` says, evenly spaced.

Each is run by `clif run NAME` in a copy of its directory, on a server of its own alone on this machine. It passes if
the job completes. Nothing here or in the product knows of any of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent
CLIF = Path(sys.executable).parent / "clif"
UV = Path(sys.executable).parent / "uv"
CACHE = Path(os.environ.get("CLIF_CORPUS_CACHE", "/var/tmp/clif-corpus"))

FIELDS = "fields/"  #: before the categories whose packages corpus_draw.py has drawn
_NO_PROGRAM = re.compile(r"(^|/)(_|\.|test_|conftest|setup\.py|conf\.py)|/tests?/|_test\.sh$", re.IGNORECASE)
_WANTS = {
    "a person or a screen": {
        "*": r"\b(tkinter|tcltk|turtle|pygame|mayavi|PyQt\d?|PySide\d?|wx|gi\.repository|gtk|readkey|dialog|"
        r"FigureCanvas(Wx|Tk|Qt|GTK)\w*|ginput|waitforbuttonpress|raw_input)\b|(?<![.\w])input\s*\(|readline\s*\(\s*\)",
        ".py": r"\bstdin\b",
        ".pl": r"<(STDIN)?>|\bSTDIN\b",
        ".c": r"\b(stdin|STDIN_FILENO)\b",
        "sh": r"\bread\s+[-\w]|\bselect\b.*\bin\b|\btput\b|\bstty\b",
    },
    "the internet": {
        "*": r"\b(fetch_\w+|load_dataset|get_rdataset|urlopen|urlretrieve|pooch|LWP|wget|curl|telnet|"
        r"ftp|mail|webget)\b|\brequests\.(get|post)|read_csv\(\s*.https?:|dev/tcp",
    },
    "arguments": {
        ".py": r"\bsys\.argv\b|\bargparse\b|\boptparse\b",
        ".ipynb": r"\bsys\.argv\b",
        ".R": r"commandArgs",
        ".pl": r"@ARGV|\bshift\s*(;|\|\|)|GetOptions",
        ".c": r"\bargc\s*[<>=!-]|--\s*argc|\bargv\s*\[|\bgetopt\b",
        "sh": r"\$\{?[1-9@*#]|\bgetopts?\b",
    },
    "what lies elsewhere": {"sh": r"(^|[\s\"'=/])\.\./"},
}
#: Besides, of the fields of Debian's scientists, whose programs are in more languages; those drawn before keep theirs.
_ALSO_WANTS = {
    "a person or a screen": {
        "*": r"\b(Gtk[23]?|Wx|SDL|Curses|OpenGL|glut\w*|GLUT|glfw\w*|X11|Xlib|swing|awt|javafx|QApplication|rgl|"
        r"waitKey|highgui|\w*RenderWindowInteractor|Tk)\b|\bx11\s*\(",
        ".c": r"\b(cin|getchar)\b|(?<!\w)(scanf|gets)\s*\(",
        ".f90": r"\bread\s*(\(\s*)?[*5]",
        ".rb": r"\bgets\b|\bSTDIN\b|\$stdin\b",
        ".java": r"\bSystem\.in\b",
    },
    "the internet": {
        "*": r"\b(IO::Socket|Net::\w+|HTTP::\w+|socket\.socket|TCP(Socket|Server)|ServerSocket|aiohttp|ftplib|Entrez|"
        r"RemoteBlast|EUtilities|Bio::DB::(GenBank|GenPept|SwissProt|EMBL|RefSeq)|download\.file)\b",
    },
    "a service or a device": {
        "*": r"\bDBI->connect|\b(mysql\w*|postgres\w*|psycopg2?|redis|ldap|kafka|drmaa|DRMAA|qsub|sbatch|libusb\w*|"
        r"VideoCapture)\b|/dev/(tty|video|snd|input|fb)",
    },
    "arguments": {
        ".f90": r"\b(get_command_argument|command_argument_count|getarg|iargc)\b",
        ".rb": r"\bARGV\b|\bARGF\b",
        ".java": r"\bargs?\s*(\[\s*\w|\.length)",
    },
    "what lies elsewhere": {"*": r"[\"'(]\.\./"},
    "its package attached beforehand": {".R": r"\A(?![\s\S]*\b(library|require|requireNamespace)\b)"},
}
_KINDS = {"": "sh", ".sh": "sh", ".bash": "sh", ".cpp": ".c", ".cc": ".c", ".f": ".f90", ".F90": ".f90"}
_SECONDS = 900  #: in which a program must have ended, its image included


@dataclass
class Program:
    """One program, and what became of it."""

    category: str
    package: str
    path: str
    ok: bool = False
    seconds: float = 0.0
    why: str = ""


# --- which programs


def unpack_debian(package: str) -> Path:
    """Download a Debian package and unpack it."""
    home = CACHE / "debian" / package
    if not home.exists():
        with fresh(home) as made:
            subprocess.run(["apt-get", "download", package], cwd=made, check=True, capture_output=True)
            archive = next(made.glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive, made], check=True)
            archive.unlink()
    for packed in home.rglob("*.gz"):  # as Debian keeps long examples
        if packed.is_file() and "examples" in packed.parts:
            subprocess.run(["gunzip", "-f", packed], check=True)
    return home


def unpack_index(package: str) -> Path:
    """Download a package's source from the Python package index by pip, which must not go on to build it."""
    home = CACHE / "index" / package
    if not home.exists():
        with fresh(home) as made:
            argv = [UV, "tool", "run", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
            argv += ["--no-build-isolation", "--no-clean", "-d", made, package]  # unpacked, then left there
            subprocess.run(argv, env=os.environ | {"TMPDIR": str(made)}, capture_output=True, check=False)
            found = next(made.glob("pip-download-*/*/"), None)
            if found is None:
                sys.exit(f"pip did not bring the source of {package}")
            for part in found.iterdir():
                part.rename(made / part.name)
    return home


@contextmanager
def fresh(home: Path) -> Iterator[Path]:
    """Fill a directory beside its place, and put it there when it is whole."""
    home.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=home.parent))
    yield made
    made.rename(home)


def choose(source: dict[str, Any]) -> tuple[Path, list[Path], Counter[str]]:
    """Return the directory of examples, those chosen by the rule, and how many were left out for which reason."""
    package = source.get("debian") or source["index"]
    top = (unpack_debian(package) if "debian" in source else unpack_index(package)) / source["below"]
    left: Counter[str] = Counter()
    kept = []
    for path in sorted(top.rglob("*")):
        if not path.is_file() or path.suffix not in source["endings"]:
            continue
        why = left_out(
            path, path.relative_to(top).as_posix(), (_WANTS, _ALSO_WANTS)[: 1 + source["category"].startswith(FIELDS)]
        )
        left[why] += 1
        if not why:
            kept.append(path)
    take = min(source["take"], len(kept))
    return top, [kept[number * len(kept) // take] for number in range(take)], left


def left_out(path: Path, name: str, tables: Iterable[dict[str, dict[str, str]]]) -> str:
    """Say why a file is not among those to choose from; empty if it is."""
    text = path.read_text(errors="replace")
    if _NO_PROGRAM.search(name) or not is_program(path, text):
        return "no program"
    kind = _KINDS.get(path.suffix, path.suffix)
    wants = ((what, words.get(part)) for table in tables for what, words in table.items() for part in ("*", kind))
    return next((what for what, words in wants if words and re.search(words, text)), "")


def is_program(path: Path, text: str) -> bool:
    """Say whether a file does something by itself."""
    match path.suffix:
        case ".c" | ".cpp" | ".cc":
            return bool(re.search(r"\bmain\s*\(", text))
        case ".java":
            return bool(re.search(r"\bstatic\s+void\s+main\b", text))
        case ".f90" | ".f" | ".F90":
            return bool(re.search(r"^\s*program\b", text, re.IGNORECASE | re.MULTILINE))
        case ".R":
            return path.parent.name == "demo"
        case "" | ".sh" | ".bash":
            return text.startswith("#!") and "sh" in text.partition("\n")[0]
    return True


# --- running them


@contextmanager
def own_server(runtime: str) -> Iterator[Path]:
    """Have a server on a private directory; end it and remove everything afterwards."""
    top = Path(tempfile.mkdtemp(prefix="clif-corpus-", dir="/var/tmp"))
    top.chmod(0o711)  # where the job account passes through
    os.environ |= {
        "CLIF_CONFIG": str(top / "config.toml"),
        "CLIF_SERVER__STATE": str(top / "state"),
        "CLIF_SERVER__RUNTIME": str(top / "run"),
        "CLIF_IMAGES__STORE": os.environ.get("CLIF_IMAGES__STORE", str(CACHE / "images")),
        "CLIF_RUNTIME": runtime,
    }
    subprocess.run([CLIF, "queues"], check=True, capture_output=True)  # starts it, and waits until it answers
    try:
        yield top
    finally:
        subprocess.run([CLIF, "serve", "--stop"], check=False, capture_output=True)
        shutil.rmtree(top, ignore_errors=True)


def run(program: Program, top: Path, scratch: Path) -> Program:
    """Run one program in a copy of its directory."""
    script = top / program.path
    place = Path(tempfile.mkdtemp(dir=scratch))
    here = place / script.parent.name
    shutil.copytree(script.parent, here, symlinks=True)
    began = time.monotonic()
    try:
        done = subprocess.run(
            [CLIF, "run", script.name], cwd=here, capture_output=True, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL, timeout=_SECONDS,
        )  # fmt: skip
        program.ok, program.why = done.returncode == 0, "" if done.returncode == 0 else why(done.stderr)
    except subprocess.TimeoutExpired:
        program.why = f"had not ended after {_SECONDS} s"
    program.seconds = round(time.monotonic() - began, 1)
    shutil.rmtree(place)
    return program


def why(said: str) -> str:
    """Find the lines that tell most: what the product says of it, and the program's last words."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"\bfailed\b|^clif:", line)]
    errors = [line for line in lines if re.search(r"Error\b|error:|not found|cannot|Can't", line) and line not in told]
    return " | ".join((*errors[-1:], *told[-1:]))[:300] or (lines[-1] if lines else "")[:300]


def main() -> None:
    """Choose, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="of this category, or of those whose names begin with it and a /")
    parser.add_argument("--list", action="store_true", help="only say which programs are chosen")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runtime", default="bubblewrap")
    parser.add_argument("--report", type=Path, help="write every result there, as JSON")
    wanted = parser.parse_args()
    programs: list[tuple[Program, Path]] = []
    for source in tomllib.loads((HERE / "corpus.toml").read_text())["source"]:
        if wanted.only in (None, source["category"], source["category"].partition("/")[0]):
            package = source.get("debian") or source["index"]
            top, chosen, left = choose(source)
            counts = ", ".join(f"{count} {reason or 'to choose from'}" for reason, count in sorted(left.items()))
            print(f"{source['category']:15} {package}: {counts}; {len(chosen)} chosen", flush=True)
            programs += [(Program(source["category"], package, str(p.relative_to(top))), top) for p in chosen]
    if wanted.list:
        print("\n".join(f"{one.category:15} {one.package} {one.path}" for one, _ in programs))
        return
    with own_server(wanted.runtime) as top, ThreadPoolExecutor(wanted.workers) as pool:
        jobs = [pool.submit(run, program, home, top) for program, home in programs]
        for job in jobs:
            done = job.result()
            mark = "ok  " if done.ok else "FAIL"
            print(
                f"{mark} {done.seconds:6.1f} s  {done.category:15} {done.package} {done.path}  {done.why}", flush=True
            )
    report([program for program, _ in programs], wanted.report)


def report(programs: list[Program], to: Path | None) -> None:
    """Print the rate by category, and write everything."""
    print()
    for category in [*dict.fromkeys(one.category for one in programs), "all"]:
        those = [one for one in programs if category in (one.category, "all")]
        good = sum(one.ok for one in those)
        print(f"{category:15} {good:3} of {len(those):3}  {100 * good / len(those):5.1f} %")
    if to:
        to.write_text(json.dumps([asdict(one) for one in programs], indent=1) + "\n")


if __name__ == "__main__":
    main()
