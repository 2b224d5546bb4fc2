"""What a shell script uses of its batch system: variables, modules, and the programs that start processes.

The variables are those of sbatch(1) ("OUTPUT ENVIRONMENT VARIABLES"), qsub(1) of Grid Engine, qsub(1B) of PBS
and bsub(1) of LSF.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.wordlist import words as words_of
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from cluster_interface.inspection.batch.directives import Dialect
    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.software import Module
    from cluster_interface.model.host import HostSoftware

INDEX = "\x01"  #: stands in a word for the index of the array
MOST_MODULES = 50

_INDICES = ("SLURM_ARRAY_TASK_ID", "SGE_TASK_ID", "PBS_ARRAY_INDEX", "PBS_ARRAYID", "LSB_JOBINDEX")
_HERE = ("SLURM_SUBMIT_DIR", "SGE_O_WORKDIR", "PBS_O_WORKDIR", "LS_SUBCWD", "PWD")
_PROCESSES = ("SLURM_NTASKS", "SLURM_NPROCS", "NSLOTS", "PBS_NP", "LSB_DJOB_NUMPROC", "LSB_MAX_NUM_PROCESSORS")
_OWN: dict[Dialect, re.Pattern[str]] = {
    "slurm": re.compile(r"\$\{?(SLURM_[A-Z_]+)"),
    "gridengine": re.compile(r"\$\{?(SGE_[A-Z_]+|NSLOTS|PE_HOSTFILE)\b"),
    "pbs": re.compile(r"\$\{?(PBS_[A-Z_]+)"),
    "lsf": re.compile(r"\$\{?(LSB_[A-Z_]+|LS_SUBCWD)"),
}
_HOSTS = re.compile(r"\$\{?((?:PE_HOSTFILE|PBS_GPUFILE|LSB_DJOB_HOSTFILE|LSB_DJOB_RANKFILE)\b|TMPDIR\}?/machines\b)")
_MPI = frozenset({"mpirun", "mpiexec", "mpiexec.hydra", "orterun"})
_OPEN_MPI = {  # more processes than processors are no mistake; reading each other's memory is not allowed everywhere
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}
_LOADING = frozenset({"load", "add", "try-load"})
_SWAPPING = frozenset({"swap", "switch"})
_OTHER_WORDS = words_of(
    "purge list avail av unload rm del use unuse show display spider save restore reset whatis help keyword is-loaded "
    "refresh update init initadd initrm is-avail"
)


def known_variables(draft: Draft) -> dict[str, str]:
    """Return the variables whose values are known before the job runs; the array's index is a mark in a word."""
    asked = draft.batch.resources if draft.batch else {}
    processes = str(_processes(draft) * (asked.get("cpus", 1) if draft.dialect in ("gridengine", "lsf") else 1))
    return {
        **dict.fromkeys(_HERE, "."),
        **(dict.fromkeys(_INDICES, INDEX) if draft.array else {}),
        **(dict.fromkeys(_PROCESSES, processes) if asked else {}),
        **({"SLURM_CPUS_PER_TASK": str(asked["cpus"])} if "cpus" in asked else {}),
        "TMPDIR": "/tmp",  # noqa: S108 - private in the container
    }


def use_of_batch_system(draft: Draft, text: str) -> None:
    """Note whose variables the script uses, and warn of those that have no meaning in the job."""
    code = "\n".join("" if line.lstrip().startswith("#") else line for line in text.split("\n"))
    found = {dialect: used for dialect, own in _OWN.items() if (used := own.search(code))}
    if draft.dialect is None and found:
        draft.dialect, used = next(iter(found.items()))
        draft.guess("dialect", draft.dialect, f"it uses ${used[1]}, {_line(code, used)}", Sureness.LIKELY)
    for dialect, used in found.items():
        if dialect != draft.dialect:
            draft.warn(f"{_line(code, used)} uses ${used[1]}, which is not set: the script is one for {draft.dialect}")
    index = re.search(rf"\$\{{?({'|'.join(_INDICES)})\b", code)
    if index and not draft.array:
        draft.warn(
            f"{_line(code, index)} uses ${index[1]}, but nothing in the script asks for an array: "
            "say which indices there are with --sweep array=1,2,3"
        )
    if hosts := _HOSTS.search(code):
        draft.warn(f"{_line(code, hosts)} uses ${hosts[1].replace('}', '')}: there is no such file inside a container")


def _line(text: str, found: re.Match[str]) -> str:
    return f"line {text.count(chr(10), 0, found.start()) + 1}"


def warn_of_starter(draft: Draft, starter: str, where: str) -> None:
    """Say what becomes of `srun PROGRAM` and `mpirun PROGRAM`, and add the package that has the latter."""
    if starter == "srun" and draft.dialect in (None, "slurm"):
        _srun(draft, where)
        return
    if starter not in _MPI:
        draft.warn_once(
            starter,
            f"{where} starts its program with {starter}, which is not there inside a container: {_instead(draft)}",
        )
        return
    draft.add_system("openmpi-bin", f"{where} calls {starter}")
    for name, value in _OPEN_MPI.items():
        if name not in draft.variables:
            draft.set_variable(name, value, f"{where} calls {starter}", Sureness.KNOWN)
    if draft.batch and draft.batch.resources.get("nodes", 1) > 1:
        draft.warn_once(starter, f"{where} calls {starter}, which reaches no further than one node: say --nodes 1")


def _srun(draft: Draft, where: str) -> None:
    """Have the job's srun, which starts its processes on one node, wherever the job runs."""
    if draft.dialect is None:
        draft.dialect = "slurm"
        draft.guess("dialect", draft.dialect, f"{where} calls srun", Sureness.LIKELY)
    if draft.batch and draft.batch.resources.get("nodes", 1) > 1:
        draft.warn_once("srun", f"{where} starts its program with srun, which reaches no further than one node inside "
                        "a container: say --nodes 1")  # fmt: skip


def _instead(draft: Draft) -> str:
    if draft.batch and draft.batch.resources.get("nodes", 1) > 1:
        return "processes on several nodes cannot be started from within one"
    return "start its processes with mpirun" if _processes(draft) > 1 else "take it out, a single process needs none"


def _processes(draft: Draft) -> int:
    asked = draft.batch.resources if draft.batch else {}
    return int(asked.get("nodes", 1)) * int(asked.get("tasks_per_node", 1))


def read_modules(draft: Draft, words: tuple[str, ...], where: str) -> None:
    """Record what `module load A B` or `ml A B` loads: as packages where it is known, as the host's own else."""
    loaded = [name for name in _loaded(words)[:MOST_MODULES] if "\0" not in name and INDEX not in name]
    for name in loaded:
        module = draft.software.module(name)
        if module.lent:
            borrow(draft, name, module, where)
            continue
        if not draft.add_module(name, f"{where} loads it", known=module.known):
            continue
        if module.host and module.packages:
            draft.lent[name] = (module, where)
        elif module.host:
            draft.needs_host(name, f"{where} loads it ({module.rests_on})")
        elif module.known:
            draft.stand_in(module, f"{where} loads {name} ({module.rests_on})")
        else:
            draft.warn_once(
                "module",
                f"{where} calls {words[0]}: modules of the site are not there in a container, and it is not known what "
                f"{name} is; say --with or --system for what it loads, or name it in the site's [software.modules]",
            )


def borrow(draft: Draft, name: str, module: Module, where: str) -> None:
    """Take a module that the host lends; programs that nothing else brings come with it."""
    if module.lent is None or not draft.add_module(name, _lent(module, module.lent, where), known=True):
        return
    draft.borrows = True
    draft.stand_in(module, f"{where} loads {name} ({module.rests_on})")
    if servers := ", ".join(module.lent.licenses):
        draft.warn(f"{name} asks {servers} for its licence: say --network, a job has none unless you do")


def _lent(module: Module, lent: HostSoftware, where: str) -> str:
    return f"{where} loads it; the host lends {', '.join(lent.trees)} ({module.rests_on})"


def settle_modules(draft: Draft) -> None:
    """Take the host's compilers only where something needs them that cannot be had, or seen, in a container.

    Many load them by habit; who calls them, or starts what was made with them, is right to.
    """
    for name, (module, where) in draft.lent.items():
        if draft.on_host or draft.opaque:
            draft.needs_host(name, f"{where} loads it ({module.rests_on})")
        else:
            draft.stand_in(module, f"{where} loads {name}, in whose place these do ({module.rests_on})")


def _loaded(words: tuple[str, ...]) -> list[str]:
    named = [word for word in words[1:] if not word.startswith("-")]
    if not named:
        return []
    verb = named[0]
    if verb in _LOADING:
        return named[1:]
    if verb in _SWAPPING:
        return named[-1:] if len(named) > 1 else []
    return named if words[0] == "ml" and verb not in _OTHER_WORDS else []
