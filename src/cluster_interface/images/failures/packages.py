"""What uv, rattler and R say of packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from cluster_interface.images.failures.words import (
    DISK,
    disk_full,
    image_failed,
    last,
    network,
    short,
    telling,
    without_secrets,
)
from cluster_interface.model.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.model.errors import ClusterError

_LATER = (408, 429, 500, 502, 503, 504)  #: what a repository answers that may be there again soon
FEW_TRIES = 4  #: of a repository that has not answered yet, in some seconds
PYTORCH = "download.pytorch.org"  #: where uv takes the packages without CUDA from


def of_uv(text: str, python: str, store: object) -> ClusterError:
    """Make an error of what uv said when it failed."""
    text = without_secrets(text)
    if DISK.search(text):
        return disk_full(f"the image store ({store})")
    if trouble := network(text, "the package index", "images.index_url", last(text)):
        return trouble
    cause = _cause(text)
    for pattern, sentence in _UV:
        if found := pattern.search(cause):
            said = sentence.format(*found.groups(), python=python)
            return image_failed(f"{said} (the resolver says: {short(cause)})")
    return image_failed(f"the packages could not be installed: {short(cause)}")


_UV = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"([\w.-]+==\S+) was yanked",
            (
                "`{0}` was withdrawn by those who publish it (yanked), and is taken only where exactly that version is "
                "asked for: ask for another version"
            ),
        ),
        (
            r"Because ([\w.-]+) was not found in the package registry",
            (
                "nobody publishes a package named `{0}`: if it is a file of yours, put it beside the script; "
                "if it is misspelt or has another name on the index, correct it in environment.python.packages"
            ),
        ),
        (
            r"([\w.-]+) was not found in the package registry",
            "there is no package `{0}` on the index, which something that was asked for needs",
        ),
        (
            r"Hash mismatch for `?([^`\s]+)",
            "the index now gives other bytes for {0} than when it was locked; it will not be used",
        ),
        (
            r"(?:of )?`?([\w.-]+?)`?(?:[=<>!~][^ ]*)? ha(?:s|ve) no usable wheels",
            (
                "`{0}`, as it was asked for, is published only as source or not for Python {python} on this platform, "
                "and was not built from that: ask for another version or another package"
            ),
        ),
        (
            r"([\w.-]+)(?:[=<>!~][^ ]*)? ha(?:s|ve) no wheels with a matching Python",
            (
                "`{0}` is not built for Python {python}: ask for a newer version of it, or for another Python "
                "in environment.python.version"
            ),
        ),
        (
            r"([\w.-]+)(?:[=<>!~][^ ]*)? ha(?:s|ve) no wheels with a matching platform",
            "`{0}` is not built for this kind of machine; ask for another version or another package",
        ),
        (
            r"Python version \(([\d.]+)\) does not satisfy Python([^ ]+) and ([\w.-]+)",
            (
                "`{2}` needs Python {1}, and the image has {python}: ask for another version of it, or for "
                "another Python in environment.python.version"
            ),
        ),
        (
            r"there (?:is|are) no versions? of ([\w.-]+?)(?:\[[^\]]*\])?([=<>!~][^ ]*) and you require",
            "there is no version of `{0}` that is {1}",
        ),
        (
            r"there are no versions of ([\w.-]+) and you require",
            "`{0}` has no version that may be used: is environment.python.exclude_newer too early?",
        ),
        (
            r"only ([\w.-]+?)([<>=!~][^ ]*) is available and you require ([\w.-]+?[<>=!~][^ ,]*)",
            "there is no such version as {2}: only {0}{1} is available",
        ),
        (
            r"following versions of ([\w.-]+) are available:.* and you require ([^ ,]+), we can conclude",
            "no version of `{0}` fits {1}",
        ),
        (
            r"[Bb]ecause (?:all versions of )?([\w.-]+)\S* ha(?:s|ve) no source distribution",
            (
                "`{0}` is published for other kinds of machine alone (Windows or macOS?), not for Linux with Python "
                "{python}: leave it out, or ask for another package"
            ),
        ),
        (
            r"[Bb]ecause (\S+) depends on ([\w.-]+)(?:\{[^}]*\})?(\S*) and you require ([\w.-]+\S*),",
            "the packages that were asked for exclude one another: {0} needs {1}{2}; loosen or leave out a version",
        ),
        (
            r"unsatisfiable|incompatible|depends on",
            "the packages that were asked for exclude one another; loosen a version",
        ),
    )
)


def _cause(text: str) -> str:
    """Take uv's own explanation, on one line, without the progress before it and the hints after it."""
    start = text.find("error:")
    lines = text[max(start, 0) :].partition("\n\nhint:")[0].splitlines()
    words = " ".join(line.strip() for line in lines)
    return re.sub(r"^error: (No solution found when resolving dependencies:?)?\s*(cause: )?", "", words)


def of_conda(text: str) -> ClusterError:
    """Make an error of what the solver and installer of conda packages said."""
    text = re.sub(r"[│├└─]+ ?", "", without_secrets(text))
    said = short(text[max(text.find("error:"), 0) :].removeprefix("error:"))
    if trouble := network(text, "the conda channel", "images.conda_alias", said.rpartition("Caused by: ")[2]):
        return trouble
    for pattern, sentence in _CONDA:
        if found := pattern.search(text):
            return image_failed(f"{sentence.format(*found.groups())} (the solver says: {said})")
    if needs := [f"{name} needs {need.strip()}" for name, need in _CONDA_NEEDS.findall(text)]:
        sentence = f"the conda packages that were asked for exclude one another: {', '.join(needs[:4])}"
        return image_failed(f"{sentence}; loosen or leave out a version (the solver says: {said})")
    return image_failed(f"the conda packages could not be installed: {said}")


_CONDA = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"No candidates were found for ([\w.-]+) \*",
            (
                "environment.conda.packages: no channel that was named has a package `{0}`: is it misspelt, or in "
                "another channel (environment.conda.channels)?"
            ),
        ),
        (
            r"No candidates were found for ([\w.-]+)\s+([^\n.]*[^\n.\s])",
            "environment.conda.packages: no channel that was named has `{0}` in the version {1}",
        ),
        (
            r"([\w.-]+) \S+ would require\s+([^,]+?), for which no candidates were found",
            (
                "environment.conda.packages: `{0}` needs {1}, which no channel that was named has; name that one's "
                "channel too (environment.conda.channels)"
            ),
        ),
        (r"404|not found", "environment.conda.channels: there is no such channel, or it has not all of its files"),
    )
)
_CONDA_NEEDS = re.compile(r"([\w.-]+) \S+ would require\s+([^,]+?),")


def of_r(text: str, package: str) -> ClusterError:
    """Make an error of what R said when a package could not be built from its source."""
    if DISK.search(text):
        return disk_full("the image store")
    for pattern, sentence in _R:
        if found := pattern.search(text):
            return image_failed(
                f"the R package {package} cannot be built: {sentence.format(*found.groups())} ({telling(text)})"
            )
    return image_failed(f"the R package {package} cannot be built: {telling(text)}")


def no_r_package(name: str, wanted_by: str, suite: str, archived: str) -> ClusterError:
    """Say that there is no such R package any more, or that there is none; `archived` is the last version there was."""
    needed = f" (which {wanted_by} needs)" if wanted_by else ""
    if archived:
        instead = f"another version of {wanted_by}, or another package" if wanted_by else "the package that replaces it"
        return image_failed(
            f"environment.r: CRAN has archived the R package `{name}`{needed}: {archived} was its last version, and it "
            f"is not kept up any more; ask for {instead}, or for packages as of a day when it was there "
            "(environment.as_of, where the site's images.cran has a {date})"
        )
    return image_failed(
        f"environment.r: there is no R package `{name}`{needed} in Debian {suite}, nor in the site's repositories"
    )


def of_r_repository(error: Exception, url: str, wanted: Sequence[str] = (), suite: str = "") -> ClusterError:
    """Make an error of why a file of a repository of R packages cannot be had.

    Where it is the list of what there is (`wanted` of it, which Debian lacks), nothing has answered yet: a machine that
    does not reach the repository says so soon.
    """
    said, where = str(getattr(error, "reason", error)), without_secrets(url)
    if isinstance(error, HTTPError) and error.code not in _LATER:
        return image_failed(f"the R repository answers {error.code} for {where}; correct images.cran")
    if url.startswith("file:"):
        return image_failed(f"images.cran: {where} cannot be read: {said}")
    trouble = network(said, f"the R repository {where}", "images.cran", said) or Transient(
        f"the R repository {where} cannot be reached ({said})"
    )
    if not wanted or isinstance(error, HTTPError) or not isinstance(trouble, Transient):
        return trouble
    lacking = ", ".join(f"`{name}`" for name in wanted)
    return Transient(
        f"Debian {suite} lacks the R package{'s' if len(wanted) > 1 else ''} {lacking}, and {trouble}; do without, or "
        "ask the site to name a repository that it reaches (images.cran)",
        tries=FEW_TRIES,
    )


def of_source(text: str, package: str) -> ClusterError:
    """Make an error of what was said when a Python package could not be built from its source."""
    if DISK.search(text):
        return disk_full("the image store")
    text = _own_words(text)
    why = f"`{package}` is published only as source for this Python, and building it failed"
    for pattern, sentence in _SOURCE:
        if found := pattern.search(text):
            return image_failed(f"{why}: {sentence.format(*found.groups())} ({telling(text)})")
    return image_failed(f"{why}: ask for another version of it, or another Python ({telling(text)})")


def _own_words(text: str) -> str:
    """Take what a package's build says out of what pip says around it, if it does."""
    found = re.findall(r"\[\d+ lines? of output\]\n(.*?)\n\s*\[end of output\]", text, re.DOTALL)
    return str(found[-1]) if found else text


_LACKS = (
    (
        r"fatal error: ([^:]+\.h[a-z]*): No such file",
        "it needs the header {0}: add the -dev package to environment.system",
    ),
    (r"cannot find -l([^\s:]+)", "it needs the library {0}: add its -dev package to environment.system"),
    (r"No such file or directory: '([\w.+-]+)'", "it needs `{0}`: add its package to environment.system"),
    (r"(\S+): (?:command )?not found", "it needs `{0}`: add its package to environment.system"),
)
_SOURCE = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        *_LACKS,
        (
            r"ModuleNotFoundError: No module named '([\w.]+)'",
            "its setup imports {0}, which it does not say: ask for a newer version",
        ),
        (r"deprecated, use '?([\w.-]+)'?", "it is another package's old name: ask for {0} instead"),
        (
            r"(?i)(?:requires|only (?:supported |works |runs )?(?:on|for)) (macos|mac os x|windows)",
            "it is made for {0}: leave it out",
        ),
        (r"\[Errno -\d\] |Temporary failure in name resolution", "it wants the network while it is built"),
    )
)
_R = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (r"dependenc(?:y|ies) (.+?) (?:is|are) not available", "it needs {0}, which could not be had"),
        *_LACKS,
        (r"this R is (\S+), package '[^']+' requires R ([^\n]+)", "it needs R {1}, and the image has {0}"),
    )
)
