"""The names under which things outside are found again. They must not depend on chance or on when they are made."""

from __future__ import annotations


def attempt_mark(job: str, attempt: int) -> str:
    """Name an attempt: what its containers are called after."""
    return f"ci-{job}-{attempt}"


def order_mark(attempt: str, order: int) -> str:
    """Name a native job of an attempt: finds it after the scheduler's answer was lost. Most attempts have but one."""
    return attempt if order == 0 else f"{attempt}.{order}"


def work_mark(job: str, kind: str, attempt: int) -> str:
    """Name a job's own piece of long work."""
    return f"{job}.{kind}.{attempt}"


def again_mark(job: str, asked: float) -> str:
    """Name delivering an ended job's outputs again: each time that was asked for is work of its own."""
    return work_mark(job, "deliver", int(asked * 1000))


def image_mark(image: str, face: str) -> str:
    """Name the building of an image in one face, which jobs share."""
    return f"image.{image}.{face}"
