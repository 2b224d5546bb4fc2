"""Commands that every base image has, so that a script which calls others can be told so.

Mapping other commands to the distribution packages that bring them belongs here as well.
"""

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
INTERPRETERS = frozenset({"bash", "sh", "dash"})
RUNNERS = frozenset({"srun", "mpirun", "mpiexec", "time", "nohup", "exec", "env", "command", "nice", "stdbuf", "sudo"})
SITE = {
    "conda": "conda is not there in the job: the environment is made from --with and --system",
    "mamba": "conda is not there in the job: the environment is made from --with and --system",
    "sudo": "nobody is an administrator in the job: say --system for what is to be installed",
    "apt": "nothing can be installed while the job runs: say --system PACKAGE",
    "apt-get": "nothing can be installed while the job runs: say --system PACKAGE",
    "yum": "nothing can be installed while the job runs: say --system PACKAGE",
    "docker": "containers cannot be started from within the job",
    "sbatch": "the scheduler is not there in the job: submit jobs from outside",
    "qsub": "the scheduler is not there in the job: submit jobs from outside",
}
FETCHERS = frozenset({"curl", "wget", "git", "rsync", "scp", "ssh", "aws", "gsutil", "rclone"})
