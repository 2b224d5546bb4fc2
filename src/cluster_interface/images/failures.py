"""What uv, mmdebstrap and the disk say, in one sentence for a person; the whole text stays in the log.

The patterns are taken from real output of uv 0.13, apt 2.6 and mmdebstrap 1.3.
"""

from __future__ import annotations

import re

from cluster_interface.model.errors import ClusterError, Permanent, Transient
from cluster_interface.model.state import FailureCode

_LONGEST = 500  #: characters of a tool's own words in a message
_SECRET = re.compile(r"(://)[^/@\s\"']+@")

_DISK = re.compile(r"No space left on device|os error 28\b|Disk quota exceeded|os error 122\b")

PYTORCH = "download.pytorch.org"  #: where uv takes the packages without CUDA from

_UNREACHABLE = re.compile(
    r"dns error|tcp connect error|client error \(Connect\)|error sending request|operation timed out|timed out|"
    r"Connection reset|Connection refused|connection closed|request or response body error|"
    r"status server error \(5\d\d|\b429 Too Many Requests|Could not connect to|Could not resolve|"
    r"no such host|dial tcp|i/o timeout|pinging container registry|"
    r"Temporary failure resolving|Unable to connect to|Connection failed|Failed to fetch .*  5\d\d ",
    re.IGNORECASE,
)
_CERTIFICATE = re.compile(
    r"invalid peer certificate|UnknownIssuer|certificate verif|self.signed certificate|x509: certificate", re.IGNORECASE
)
_REFUSED = re.compile(r"status client error \((401|403|407)[^)]*\)|HTTP status (401|403|407)")


def image_failed(message: str) -> Permanent:
    """Make the error that fails a job for its image."""
    return Permanent(message, code=FailureCode.IMAGE_FAILED)


def without_secrets(text: str) -> str:
    """Leave out passwords in addresses."""
    return _SECRET.sub(r"\1***@", text)


def disk_full(where: object) -> Permanent:
    """Say that the disk is full."""
    return image_failed(f"the disk that holds the image store ({where}) is full; free some space and run the job again")


def of_uv(text: str, python: str, store: object) -> ClusterError:
    """Make an error of what uv said when it failed."""
    text = without_secrets(text)
    if _DISK.search(text):
        return disk_full(store)
    if trouble := _network(text, "the package index", "images.index_url", _last(text)):
        return trouble
    cause = _cause(text)
    for pattern, sentence in _UV:
        if found := pattern.search(cause):
            said = sentence.format(*found.groups(), python=python)
            return image_failed(f"{said} (the resolver says: {_short(cause)})")
    return image_failed(f"the packages could not be installed: {_short(cause)}")


_UV = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
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
                "`{0}`, as it was asked for, is published only as source or not for Python {python} on this platform; "
                "building it needs a compiler, which is not done here: ask for another version or another package"
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
            r"unsatisfiable|incompatible|depends on",
            "the packages that were asked for exclude one another; loosen a version",
        ),
    )
)


def of_conda(text: str) -> ClusterError:
    """Make an error of what the solver and installer of conda packages said."""
    text = without_secrets(text)
    said = _short(text[max(text.find("error:"), 0) :].removeprefix("error:"))
    if trouble := _network(text, "the conda channel", "images.conda_alias", said):
        return trouble
    for pattern, sentence in _CONDA:
        if found := pattern.search(text):
            return image_failed(f"{sentence.format(*found.groups())} (the solver says: {said})")
    return image_failed(f"the conda packages could not be installed: {said}")


_CONDA = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"No candidates were found for ([\w.-]+)",
            "environment.conda.packages: no channel that was named has `{0}` in this version",
        ),
        (r"404|not found", "environment.conda.channels: there is no such channel, or it has not all of its files"),
        (
            r"[Cc]annot solve|conflict|can be installed with any of",
            "the conda packages that were asked for exclude one another; loosen a version",
        ),
    )
)


def of_registry(text: str, reference: str) -> ClusterError:
    """Make an error of what skopeo said of an image."""
    text = without_secrets(text)
    said = _last_message(text)
    if re.search(r"manifest unknown|name unknown|not found|NAME_UNKNOWN|MANIFEST_UNKNOWN", text):
        return image_failed(f"environment.image: the registry has no image {reference} ({said})")
    if re.search(r"unauthorized|denied|authentication required", text, re.IGNORECASE):
        return image_failed(
            f"environment.image: the registry does not give {reference} to this server; is it private, or misspelt? "
            f"The site may set images.registry_auth ({said})"
        )
    if re.search(r"no image found in (manifest list|image index) for", text):
        return image_failed(f"environment.image: {reference} is not made for this kind of machine ({said})")
    host = reference.partition("/")[0]
    return _network(text, f"the registry {host}", "images.registry_auth", said) or image_failed(
        f"the image {reference} cannot be taken: {said}"
    )


def of_push(text: str, reference: str) -> ClusterError:
    """Make an error of what skopeo said when it pushed an image to the site's own registry."""
    text = without_secrets(text)
    said = _last_message(text).removesuffix("\\n")
    who = f"the registry {reference.partition('/')[0]}"
    if "HTTP response to HTTPS client" in text:
        return Transient(f"{who} has no certificate: name it in images.insecure_registries, or correct that ({said})")
    if trouble := _network(text, who, "images.registry_auth", said):
        return trouble
    if re.search(r"(?:HTTP status|StatusCode|status code):? (?:429|5\d\d)|unexpected EOF|broken pipe", text):
        return Transient(f"{who} does not take the image now ({said}); it is tried again")
    if re.search(r"unauthorized|denied|authentication required|forbidden|invalid username", text, re.IGNORECASE):
        return image_failed(
            f"images.registry: {who} does not let this server push {reference}; put a login that may into "
            f"images.registry_auth ({said})"
        )
    return image_failed(f"images.registry: {who} does not take {reference}: {said}")


def of_dockerfile(text: str) -> ClusterError:
    """Make an error of what BuildKit or buildah said of a Dockerfile."""
    text = without_secrets(text)
    if _DISK.search(text):
        return disk_full("the engine's")
    said = _telling(text)
    for pattern, sentence in _DOCKERFILE:
        if found := pattern.search(text):
            return image_failed(f"the Dockerfile cannot be built: {sentence.format(*found.groups())} ({said})")
    return image_failed(f"the Dockerfile cannot be built: {said}")


_DOCKERFILE = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence)
    for pattern, sentence in (
        (r"unknown instruction: (\S+)", "{0} is no instruction"),
        (
            r"temporary failure (?:in name resolution|resolving)|could not resolve",
            "its RUN lines have no network here; the site may allow it (images.build_network)",
        ),
        (
            r"failed to do request|dial tcp|pull access denied|pinging container registry",
            "its base image cannot be had here",
        ),
        (
            r"failed to compute cache key: .*not found|\b(?:copying|adding|copier)\b.*no such file",
            "it copies a file that is not among the job's files",
        ),
        (r'process "([^"]+)" did not complete successfully: exit code: (\d+)', "`{0}` ends with {1}"),
    )
)


def of_setup(text: str, code: int | None, *, network: bool) -> ClusterError:
    """Make an error of what a setup step said before it ended with `code`."""
    if _DISK.search(text):
        return disk_full("the store's")
    hint = ""
    if not network and re.search(r"resolv|network is unreachable|connection", text, re.IGNORECASE):
        hint = "; it has no network here, which the site may allow (images.build_network)"
    elif found := re.search(r"(\S+): (?:command )?not found", text):
        hint = f"; `{found[1].rstrip(':')}` is in no package of the environment: add it to environment.system"
    return image_failed(f"environment.setup ends with {code}: {_telling(text)}{hint}")


def of_r(text: str, package: str) -> ClusterError:
    """Make an error of what R said when a package could not be built from its source."""
    if _DISK.search(text):
        return disk_full("the store's")
    for pattern, sentence in _R:
        if found := pattern.search(text):
            return image_failed(
                f"the R package {package} cannot be built: {sentence.format(*found.groups())} ({_telling(text)})"
            )
    return image_failed(f"the R package {package} cannot be built: {_telling(text)}")


_R = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (r"dependenc(?:y|ies) (.+?) (?:is|are) not available", "it needs {0}, which could not be had"),
        (
            r"fatal error: ([^:]+\.h[a-z]*): No such file",
            "it needs the header {0}: add the -dev package to environment.system",
        ),
        (r"cannot find -l(\S+)", "it needs the library {0}: add its -dev package to environment.system"),
        (r"(\S+): (?:command )?not found", "it needs `{0}`: add its package to environment.system"),
        (r"this R is (\S+), package '[^']+' requires R ([^\n]+)", "it needs R {1}, and the image has {0}"),
    )
)

_TELLING = re.compile(r"\berror\b|\bfatal\b|not found|no such|cannot|failed|denied|unable|undefined", re.IGNORECASE)


def _telling(text: str) -> str:
    """Take the line of a log that matters: the first that speaks of an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("$ ")]
    return _short(next((line for line in lines if _TELLING.search(line)), lines[-1] if lines else "no reason given"))


def _last_message(text: str) -> str:
    found = re.findall(r'msg="((?:[^"\\]|\\.)*)"', text)
    return _short(found[-1].replace('\\"', '"')) if found else _last(text)


def of_bootstrap(text: str, suite: str, store: object) -> ClusterError:
    """Make an error of what mmdebstrap and apt said when they failed."""
    text = without_secrets(text)
    if _DISK.search(text):
        return disk_full(store)
    if missing := _missing_packages(text):
        return image_failed(
            f"environment.system: Debian {suite} has no package named {' or '.join(missing)}; "
            "see packages.debian.org for what it is called"
        )
    for pattern, sentence in _APT:
        if pattern.search(text):
            return image_failed(sentence.format(suite=suite) + f" ({_short(_last_errors(text))})")
    if trouble := _network(text, "the Debian mirror", "images.mirror", _short(_last_errors(text))):
        return trouble
    return image_failed(f"the base could not be made from Debian {suite}: {_short(_last_errors(text))}")


_APT = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"unable to pick chroot mode automatically|newuidmap|is not allowed by /etc/sub[ug]id",
            (
                "this account may not make user namespaces with several ids, so it cannot bootstrap a base: have the "
                "administrator add it to /etc/subuid and /etc/subgid, or take a base made elsewhere: "
                "`clif images import-base FILE`"
            ),
        ),
        (
            r"unmet dependencies|held broken packages|Conflicts:",
            "the distribution packages in environment.system cannot be installed together on Debian {suite}",
        ),
        (
            r"NO_PUBKEY|is not signed|signatures couldn't be verified|GPG error",
            "the mirror's signature cannot be checked: install debian-archive-keyring, or correct images.mirror",
        ),
        (r"is not valid yet|is expired", "the mirror's index is not valid now: is this machine's clock right?"),
        (
            r"does not have a Release file|404 +Not Found",
            "the mirror does not have Debian {suite}: correct images.suite or images.mirror",
        ),
    )
)

_MISSING = re.compile(
    r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate|Couldn't find any package "
    r"by (?:glob|regex) '([^']+)'"
)


def _missing_packages(text: str) -> list[str]:
    return sorted({next(filter(None, found)) for found in _MISSING.findall(text)})


def _network(text: str, who: str, setting: str, said: str) -> ClusterError | None:
    if _CERTIFICATE.search(text):
        return Transient(f"{who}'s certificate is not trusted here: set images.ca_bundle to the site's ({said})")
    if found := _REFUSED.search(text):
        code = next(filter(None, found.groups()))
        return image_failed(f"{who} refuses this machine (HTTP {code}); correct {setting} or images.proxy")
    if not _UNREACHABLE.search(text):
        return None
    through = " through the proxy" if re.search(r"tunnel|proxy", text, re.IGNORECASE) else ""
    return Transient(f"{who} cannot be reached{through} ({said}); it is tried again")


def _cause(text: str) -> str:
    """Take uv's own explanation, on one line, without the progress before it and the hints after it."""
    start = text.find("error:")
    lines = text[max(start, 0) :].partition("\n\nhint:")[0].splitlines()
    words = " ".join(line.strip() for line in lines)
    return re.sub(r"^error: (No solution found when resolving dependencies:?)?\s*(cause: )?", "", words)


def _last_errors(text: str) -> str:
    errors = [line.strip() for line in text.splitlines() if line.startswith(("E:", "Err:", "dpkg: error"))]
    telling = [
        line
        for line in errors
        if not line.startswith(("E: run_chroot", "E: apt-get", "E: mmdebstrap", "E: setup failed"))
    ]
    return "; ".join((telling or errors or text.strip().splitlines() or ["no reason given"])[:3])


def _last(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()] or ["no reason given"]
    return _short(lines[-1].removeprefix("cause: ").removeprefix("Caused by: "))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
