"""Commands that need no package: the shell's own, those that every base has, and those that mean nothing in a job."""

from __future__ import annotations

from cluster_interface.inspection.wordlist import words

SHELL = words(
    ". : [ [[ { } ! alias bg bind break builtin case cd command continue coproc declare dirs disown do done echo elif "
    "else enable esac eval exec exit export fc fg fi for function getopts hash help history if in jobs kill let local "
    "logout mapfile popd printf pushd pwd read readarray readonly return select set shift shopt source suspend test "
    "then time times trap true type typeset ulimit umask unalias unset until wait while false"
)
ESSENTIAL = words(  # packages of priority "required" in Debian: coreutils, findutils, grep, sed, mawk, tar, gzip …
    "arch awk b2sum base32 base64 basename bash basenc cat chgrp chmod chown chroot cksum cmp comm cp csplit cut dash "
    "date dd df diff diff3 dir dircolors dirname du egrep env expand expr factor fgrep find fmt fold getopt grep "
    "groups gunzip gzip head hostid hostname id install join link ln logger logname ls mawk md5sum mkdir mkfifo mknod "
    "mktemp more mv nice nl nohup nproc numfmt od paste pathchk perl pinky pr printenv ptx readlink realpath rev rm "
    "rmdir runcon sdiff sed seq sh sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat "
    "stdbuf stty sum sync tac tail tar tee timeout touch tr truncate tsort tty uname unexpand uniq unlink uptime users "
    "getconf getent iconv ldd locale tput clear dpkg dpkg-query update-alternatives sysctl mount flock "
    "vdir wc which who whoami xargs yes zcat zcmp zdiff zegrep zfgrep zforce zgrep zless zmore znew"
)
#: shells, by their names in a first line: what runs them, and the package of it where not every base has it
SHELLS = {
    **{name: (name, "") for name in ("bash", "sh", "dash")},
    **dict.fromkeys(("csh", "tcsh"), ("tcsh", "tcsh")),
    **dict.fromkeys(("ksh", "ksh93"), ("ksh93", "ksh93u+m")),
    "mksh": ("mksh", "mksh"),
    "zsh": ("zsh", "zsh"),
}
INTERPRETERS = frozenset(SHELLS)
OF_OTHERS = words(  # of these shells, besides
    "autoload chdir emulate limit noglob notify print rehash repeat setopt unlimit unsetenv unsetopt whence which "
    "where zmodload zstyle"
)
SITE = {
    "conda": "conda is not there in the job: the environment is made from --with and --system",
    "mamba": "conda is not there in the job: the environment is made from --with and --system",
    "micromamba": "conda is not there in the job: the environment is made from --with and --system",
    "apt": "nothing can be installed while the job runs: say --system PACKAGE",
    "apt-get": "nothing can be installed while the job runs: say --system PACKAGE",
    "yum": "nothing can be installed while the job runs: say --system PACKAGE",
    "docker": "containers cannot be started from within the job",
    "podman": "containers cannot be started from within the job",
    "singularity": "containers cannot be started from within the job: say environment.image in a spec",
    "apptainer": "containers cannot be started from within the job: say environment.image in a spec",
    "dnf": "nothing can be installed while the job runs: say --system PACKAGE",
    "salloc": "the scheduler is not there in the job: submit jobs from outside",
    "squeue": "the scheduler is not there in the job",
    "scontrol": "the scheduler is not there in the job",
    "sacct": "the scheduler is not there in the job",
    "scancel": "the scheduler is not there in the job",
    "qstat": "the scheduler is not there in the job",
    "qdel": "the scheduler is not there in the job",
    "sbatch": "the scheduler is not there in the job: submit jobs from outside",
    "qsub": "the scheduler is not there in the job: submit jobs from outside",
    "bsub": "the scheduler is not there in the job: submit jobs from outside",
    **dict.fromkeys(("bjobs", "bkill", "bhosts", "bqueues"), "the scheduler is not there in the job"),
    **dict.fromkeys(("msub", "condor_submit"), "the scheduler is not there in the job: submit jobs from outside"),
}
FETCHERS = frozenset({"curl", "wget", "git", "rsync", "scp", "ssh", "aws", "gsutil", "rclone"})
HOSTED = words(  # licensed programs: they cannot be had from anywhere but the host
    "matlab mex mcc abaqus ansys ansys231 fluent cfx5solve comsol g09 g16 gaussian stata stata-mp stata-se sas "
    "spss mathematica wolframscript maple idl vasp vasp_std vasp_gam molpro orca qchem starccm+ lsdyna gams cplex "
    "gurobi_cl nastran castep.mpi icc icpc icx ifort ifx mpiicc mpiifort nvfortran pgcc pgf90"
)
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
COMPILERS = (
    "gcc",
    "g++",
    "cc",
    "c++",
    "gfortran",
    "clang",
    "clang++",
    "mpicc",
    "mpicxx",
    "mpic++",
    "mpif90",
    "mpifort",
    "f77",
)
_RUNNING = (
    "R",
    "Rscript",
    "perl",
    "ruby",
    "node",
    "nodejs",
    "julia",
    "octave",
    "octave-cli",
    "java",
    "javac",
    "lua",
    "rustc",
)
RUN_BY: dict[
    str, tuple[str, ...]
] = {  #: programs that are given files to run or to build -> what they take by themselves
    **dict.fromkeys((*COMPILERS, *_RUNNING), ()),
    "cmake": ("CMakeLists.txt",),
    "snakemake": ("Snakefile", "workflow/Snakefile"),
    "make": _MAKEFILES,
    "gmake": _MAKEFILES,
}
