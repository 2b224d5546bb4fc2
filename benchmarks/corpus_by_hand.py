"""What the programs of a category of the corpus do by hand, where a person has installed all that belongs to them.

The rule that chooses programs cannot tell by a file's words that it is a part of a build, wants a screen or is older
than what it calls. This can: in one Debian with every package of the sources of the corpus, what those recommend, and
the tools of each language, each program is run in a copy of its directory by the command that its kind is run with, as
an ordinary user, with no network and no screen. Who does not run there is nothing that anybody could run as it is.

Usage: corpus_by_hand.py CATEGORY [--report FILE of corpus.py], as root; the Debian is kept beside the corpus.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path

from corpus import CACHE, HERE, choose

ROOT = CACHE / "by-hand"
TOOLS = (
    "build-essential", "gfortran", "pkg-config", "python3", "r-base-core", "perl", "ruby", "default-jdk-headless",
    "jupyter-nbconvert", "python3-ipykernel", "file", "procps",
)  # fmt: skip
SECONDS = 120
COMMANDS = {
    ".py": "python3 {name}",
    ".ipynb": "jupyter nbconvert --to notebook --execute --stdout {name} > /dev/null",
    ".pl": "perl {name}",
    ".R": "Rscript {name}",
    ".rb": "ruby {name}",
    ".java": "java -cp '/usr/share/java/*' {name}",
    ".c": "gcc {name} -o /tmp/program $(pkg-config --cflags --libs {modules}) -lm && /tmp/program",
    ".cpp": "g++ {name} -o /tmp/program $(pkg-config --cflags --libs {modules}) && /tmp/program",
}
SCRIPT = "chmod +x ./{name} && ./{name}"


def of_sources(wanted: list[str]) -> dict[str, list[str]]:
    """List the packages of the same source as each package."""
    said = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, text=True).stdout
    source, made = {}, defaultdict(list)
    for paragraph in said.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if line[:1].isalpha() and ": " in line)
        if name := fields.get("Package"):
            source[name] = fields.get("Source", name).split(" ")[0]
            made[source[name]].append(name)
    return {name: made[source[name]] for name in wanted}


def install(packages: dict[str, list[str]]) -> None:
    """Make the Debian: one package's source after the other, so that one that excludes others spoils nothing else."""
    if not (ROOT / "usr").exists():
        subprocess.run(
            [
                "mmdebstrap",
                "--variant=apt",
                f"--include={','.join(TOOLS)}",
                "bookworm",
                ROOT,
                "http://deb.debian.org/debian",
            ],
            check=True,
        )
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    shutil.copy("/etc/resolv.conf", ROOT / "etc/resolv.conf")
    subprocess.run(["chroot", ROOT, "apt-get", "update", "-q"], env=environ, stdout=subprocess.DEVNULL, check=True)
    for package, all_ in packages.items():
        done = ROOT / "var/by-hand" / package
        if done.exists():
            continue
        for several in (all_, *([one] for one in all_)):
            argv = ["chroot", ROOT, "apt-get", "install", "-y", "-q", "--install-recommends", *several]
            if (
                subprocess.run(argv, env=environ, stdout=subprocess.DEVNULL, check=False).returncode == 0
                and several == all_
            ):
                break
        done.parent.mkdir(exist_ok=True)
        done.touch()
        subprocess.run(["chroot", ROOT, "apt-get", "clean"], env=environ, check=False)


def modules(packages: list[str]) -> list[str]:
    """Name what pkg-config knows of the installed ones."""
    argv = [
        "chroot",
        ROOT,
        "sh",
        "-c",
        f"cat $(ls -d {' '.join(f'/var/lib/dpkg/info/{one}*.list' for one in packages)})",
    ]
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    return [Path(line).stem for line in said.splitlines() if line.endswith(".pc")]


def run(script: Path, packages: list[str]) -> str:
    """Run one program; return what it said at last if it did not go well."""
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        here = Path(scratch) / script.parent.name
        shutil.copytree(script.parent, here, symlinks=True)
        name = f"./{script.name}" if script.suffix == ".java" else script.name
        command = COMMANDS.get(script.suffix, SCRIPT).format(name=name, modules=" ".join(modules(packages)) or "zlib")
        argv = [
            "bwrap", "--ro-bind", ROOT, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/home",
            "--bind", scratch, "/mnt", "--chdir", f"/mnt/{here.name}", "--unshare-all", "--die-with-parent",
            "--uid", "1000", "--gid", "1000", "--clearenv", "--setenv", "HOME", "/tmp", "--setenv", "LC_ALL", "C.UTF-8",
            "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", "sh", "-c", command,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"had not ended after {SECONDS} s"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else f"{done.returncode}: {(lines or ['?'])[-1][:160]}"


def main() -> None:
    """Install, run, tell; beside what the product did, if its report is given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("category")
    parser.add_argument("--report", type=Path, help="of corpus.py")
    wanted = parser.parse_args()
    sources = tomllib.loads((HERE / "corpus.toml").read_text())["source"]
    chosen = [one for one in sources if one["category"].partition("/")[0] == wanted.category]
    if os.geteuid() != 0 or any("debian" not in one for one in chosen):
        sys.exit("this is for packages of Debian, and for root")
    packages = of_sources([one["debian"] for one in chosen])
    install(packages)
    product = (
        {(one["package"], one["path"]): one["ok"] for one in json.loads(wanted.report.read_text())}
        if wanted.report
        else {}
    )
    by_hand, both = 0, 0
    for source in chosen:
        top, scripts, _ = choose(source)
        for script in scripts:
            said = run(script, packages[source["debian"]])
            path = str(script.relative_to(top))
            ours = product.get((source["debian"], path))
            by_hand += not said
            both += not said and ours is True
            mark = {True: "clif ran it", False: "clif did not", None: ""}[ours]
            print(f"{'ok  ' if not said else 'FAIL'} {source['debian']} {path}  {mark}  {said}", flush=True)
    print(f"{by_hand} run by hand" + (f"; of these clif ran {both} ({100 * both / by_hand:.1f} %)" if product else ""))


if __name__ == "__main__":
    main()
