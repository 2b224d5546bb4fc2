"""What skopeo, BuildKit, buildah and a setup step say of images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.images.failures.words import (
    DISK,
    disk_full,
    image_failed,
    last_message,
    network,
    short,
    telling,
    without_secrets,
)
from cluster_interface.model.errors import Transient

if TYPE_CHECKING:
    from cluster_interface.model.errors import ClusterError


def of_registry(text: str, reference: str) -> ClusterError:
    """Make an error of what skopeo said of an image."""
    text = without_secrets(text)
    said = last_message(text)
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
    return network(text, f"the registry {host}", "images.registry_auth", said) or image_failed(
        f"the image {reference} cannot be taken: {said}"
    )


def of_push(text: str, reference: str) -> ClusterError:
    """Make an error of what skopeo said when it pushed an image to the site's own registry."""
    text = without_secrets(text)
    said = last_message(text).removesuffix("\\n")
    who = f"the registry {reference.partition('/')[0]}"
    if "HTTP response to HTTPS client" in text:
        return Transient(f"{who} has no certificate: name it in images.insecure_registries, or correct that ({said})")
    if trouble := network(text, who, "images.registry_auth", said):
        return trouble
    if re.search(r"(?:HTTP status|StatusCode|status code):? (?:429|5\d\d)|unexpected EOF|broken pipe", text):
        return Transient(f"{who} does not take the image now ({said})")
    if re.search(r"unauthorized|denied|authentication required|forbidden|invalid username", text, re.IGNORECASE):
        return image_failed(
            f"images.registry: {who} does not let this server push {reference}; put a login that may into "
            f"images.registry_auth ({said})"
        )
    return image_failed(f"images.registry: {who} does not take {reference}: {said}")


def of_dockerfile(text: str) -> ClusterError:
    """Make an error of what BuildKit or buildah said of a Dockerfile."""
    text = without_secrets(text)
    if DISK.search(text):
        return disk_full("the engine's images")
    said = re.sub(r"^error: (failed to (solve|create)\b[^:]*: )*(dockerfile parse error )?", "", telling(text))
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
    if DISK.search(text):
        return disk_full("the image store")
    hint = ""
    if not network and re.search(r"resolv|network is unreachable|connection", text, re.IGNORECASE):
        hint = "; it has no network here, which the site may allow (images.build_network)"
    elif found := re.search(r"(\S+): (?:command )?not found", text):
        name = found[1].rstrip(":")
        hint = f"; `{name}` is in no package of the environment: " + _INSTEAD.get(name, "add it to environment.system")
        hint += " (a setup step has no network here)" if not network and name in _FETCHES else ""
    steps = re.findall(r"^\++ (.*)", text, re.MULTILINE)
    last = f", at `{short(steps[-1])}`" if steps else ""
    return image_failed(f"environment.setup ends with {code}{last}: {telling(text)}{hint}")


_APT = "a setup step has no package manager: name distribution packages in environment.system"
_INSTEAD = {
    **dict.fromkeys(("pip", "pip3", "uv", "poetry"), "name packages of Python in environment.python.packages instead"),
    **dict.fromkeys(("conda", "mamba", "micromamba"), "name its packages in environment.conda.packages instead"),
    **dict.fromkeys(("apt", "apt-get", "dpkg", "yum", "dnf", "apk", "sudo"), _APT),
}  #: what people would install with in a setup step
_FETCHES = ("wget", "curl", "git")
