"""Signs that a program asks for something from the network, which a job has only where its spec says so."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.wording import shown
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.modules import Program
    from cluster_interface.inspection.python.source import Module

_MODULES = words(
    "requests aiohttp httpx urllib3 urllib.request ftplib smtplib selenium scrapy wget boto3 botocore huggingface_hub "
    "wandb openai anthropic tweepy praw yfinance gdown googleapiclient gspread sentinelsat cdsapi ee osmnx astroquery "
    "pooch paramiko pystac_client earthaccess kaggle mechanize youtube_dl yt_dlp Bio.Entrez websockets"
)
_CALLS = words("get post head put request urlopen urlretrieve Request stream read_html read_json wget download")
_FETCHES = re.compile(
    r"(?:^|\.)(?:fetch_(?!all$|one$|many$|array$)\w+|get_rdataset|from_pretrained|download_url|efetch|esearch)$"
    r"|^data\.(?:brain|cells3d|eagle|human_mitosis|kidney|lily|nickel_solidification|palisades_of_vogt|protein_transport"
    r"|skin|vortex|download_all)$"
    r"|(?:^|\.)search_(?:lightcurve|targetpixelfile|tesscut)$"
    r"|^(?:sns|seaborn|datasets)\.load_dataset$|^nltk\.download$|^load_dataset$|^torch\.hub\.load$|^hub\.load$"
)
_LINK = re.compile(r"(?:https?|ftp|s3|gs)://[^/\s]")


def look_for_network(draft: Draft, program: Program) -> None:
    """Note what a program imports and calls that speaks of the network."""
    for outside in program.outside + list(program.standard.values()):
        names = {outside.item.name, outside.item.top, *(f"{outside.item.name}.{m}" for m in outside.item.members)}
        if names & _MODULES and not outside.item.optional:
            where = "" if outside.file == draft.script else f" of {outside.file}"
            draft.needs_network(f"import {outside.item.name} (line {outside.item.line}{where})")
    for module in program.modules.values():
        for node in module.nodes:
            if isinstance(node, ast.Call):
                _look_at(draft, module, node)


def _look_at(draft: Draft, module: Module, node: ast.Call) -> None:
    name = dotted(node.func)
    last = node.func.attr if isinstance(node.func, ast.Attribute) else name
    where = f"line {node.lineno}" + ("" if module.name == draft.script else f" of {module.name}")
    first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    if last in _CALLS and isinstance(first, str) and _LINK.match(first):
        draft.needs_network(f"{shown(first)} ({where})")
    elif _FETCHES.search(name or last) or any(
        word.arg == "download" and isinstance(word.value, ast.Constant) and word.value.value is True
        for word in node.keywords
    ):
        draft.needs_network(f"{last} ({where})")
