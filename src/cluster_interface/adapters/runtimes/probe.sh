# Looks at the node it runs on and writes one JSON object to $out: what is there, which runtimes really start something,
# and why the others do not. Submitted as a job, since the machine that submits may be another kind.
# Set above: out workspace store rootfs (a root filesystem to start /bin/true in; may be empty). POSIX sh and coreutils.
set -u
umask 022
PATH=${PATH:-/bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
uid=$(id -u)
gid=$(id -g)
USER=${USER:-$(id -un)}
export USER
private=$(mktemp -d) || exit
trap 'rm -rf "$private"' EXIT
namespaces="unshare --user --map-root-user --mount --pid --ipc --net --fork --kill-child --mount-proc"
account="unshare --user --map-user=$uid --map-group=$gid --"

# --- JSON
string() { printf '"%s"' "$(printf '%s' "$1" | tr '\000-\037' ' ' | sed 's/[\\"]/\\&/g' | cut -c 1-400)"; }
truth() { if "$@" >/dev/null 2>&1; then printf true; else printf false; fi; }

# Run something for a while; $said is the end of its complaint.
try() {
    said=$(cd / && timeout -k 5 30 "$@" 2>&1 >/dev/null </dev/null) && return
    ended=$?
    said=$(printf '%s' "$said" | sed "s/$(printf '\033')\[[0-9;]*m//g" | grep -v '^ *$' | tail -n 2)
    [ "$ended" -ne 124 ] || said='it did not answer for 30 s'
    said=${said:-it exits with $ended}
    return 1
}

has() { command -v "$1" >/dev/null 2>&1; }

place() { # path -> what it is on this node
    printf '{"path": %s, "visible": %s, "readable": %s, "writable": %s, "type": %s}' "$(string "$1")" \
        "$(truth test -d "$1")" "$(truth test -r "$1" -a -x "$1")" "$(truth writable "$1")" \
        "$(string "$(stat -f -c %T "$1" 2>/dev/null)")"
}

writable() { probe=$(mktemp "$1/.probe.XXXXXX" 2>/dev/null) && rm -f "$probe"; }

# --- what bounds this very job
memory_limit() { # the smallest limit from its cgroup up; nothing where there is none
    if path=$(sed -n 's/^[0-9]*:\([^:]*,\)\{0,1\}memory\(,[^:]*\)\{0,1\}://p' /proc/self/cgroup) && [ -n "$path" ]; then
        top=/sys/fs/cgroup/memory file=memory.limit_in_bytes
    else
        path=$(sed -n 's/^0:://p' /proc/self/cgroup) top=/sys/fs/cgroup file=memory.max
    fi
    total=$(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) * 1024))
    least=$total
    while :; do
        limit=$(cat "$top$path/$file" 2>/dev/null)
        case $limit in '' | *[!0-9]*) ;; *) [ "${#limit}" -lt 19 ] && [ "$limit" -lt "$least" ] && least=$limit ;; esac
        case $path in '' | /) break ;; esac
        path=${path%/*}
    done
    [ "$least" -lt "$total" ] && echo "$least"
}

addresses() { # bytes that each process may map; nothing where there is no limit
    # shellcheck disable=SC3045  # dash, bash and busybox have it
    most=$(ulimit -v)
    case $most in *[!0-9]*) ;; *) echo $((most * 1024)) ;; esac
}

# --- runtimes: each sets $said if it does not work
lacks_namespaces() {
    # shellcheck disable=SC2086
    try $namespaces $account true && return 1
    for switch in /proc/sys/kernel/apparmor_restrict_unprivileged_userns /proc/sys/user/max_user_namespaces; do
        case $switch:$(cat "$switch" 2>/dev/null) in *userns:1 | *namespaces:0) said="$said ($switch forbids them)" ;; esac
    done
    said="no namespaces can be made: $said"
}

missing() { # program, and what it is
    has "$1" && return 1
    said="there is no $1"
}

not_seen() { # the root filesystem that is to be tried
    [ -z "$rootfs" ] || [ -x "$rootfs/bin/true" ] || { said="$rootfs cannot be read here" && return; }
    return 1
}

check_apptainer() {
    missing apptainer && return 1
    lacks_namespaces && return 1
    not_seen && return 1
    if [ -z "$rootfs" ]; then try apptainer --version && return; return 1; fi
    # shellcheck disable=SC2086
    try $namespaces $account env -i "PATH=$PATH" "HOME=$private" "USER=$USER" "APPTAINER_CONFIGDIR=$private" \
        apptainer --silent exec --userns --containall --no-home "$rootfs" /bin/true
}

check_podman() {
    missing podman && return 1
    missing newuidmap && return 1
    has runc || has crun || { said="there is neither runc nor crun" && return 1; }
    mkdir -p "$private/podman/root"
    # shellcheck disable=SC2016
    try sh -c 'export XDG_RUNTIME_DIR="$1" HOME="$1"; podman --log-level error --root "$1/storage" --runroot "$1/runroot" \
        --tmpdir "$1/tmp" --storage-driver vfs --cgroup-manager cgroupfs unshare sh -c \
        "test \"\$(wc -l </proc/self/uid_map)\" -gt 1 || { echo the account has no range in /etc/subuid >&2; exit 1; }"
        ended=$?; kill "$(cat "$1/tmp/pause.pid")" 2>/dev/null; exit "$ended"' sh "$private/podman"
}

check_charliecloud() {
    missing ch-run && return 1
    lacks_namespaces && return 1
    not_seen && return 1
    if [ -z "$rootfs" ]; then try ch-run --version && return; return 1; fi
    # shellcheck disable=SC2086
    try $namespaces ch-run --uid="$uid" --gid="$gid" --private-tmp --no-passwd "$rootfs" -- /bin/true
}

check_bubblewrap() {
    missing bwrap && return 1
    not_seen && return 1
    bwrap --help 2>&1 | grep -q -e --size || { said='bwrap is older than 0.8' && return 1; }
    try bwrap --unshare-all --unshare-user --disable-userns --ro-bind "${rootfs:-/}" / --proc /proc --cap-drop ALL /bin/true
}

# An engine that answers here may be another machine's.
check_docker() {
    missing docker && return 1
    try docker version || return 1
    where=$(timeout 30 docker info --format '{{.Name}} {{.ServerVersion}}' 2>/dev/null)
    case $where in
        "$(uname -n) "[0-9]*) ;;
        [!\ ]*" "[0-9]*) said="its engine is on another machine, ${where%% *}" && return 1 ;;
        *) said="its engine does not answer this account" && return 1 ;;
    esac
}

runtimes() {
    comma=''
    for name in apptainer podman charliecloud bubblewrap docker; do
        said=''
        printf '%s"%s": ' "$comma" "$name"
        if "check_$name"; then printf null; else string "$said"; fi
        comma=', '
    done
}

gpus() {
    comma=''
    has nvidia-smi && timeout 30 nvidia-smi -L 2>/dev/null | grep '^GPU ' | while IFS= read -r line; do
        printf '%s%s' "$comma" "$(string "$line")"
        comma=', '
    done
}

# The kernel tells it also where a scheduler keeps the devices from jobs that asked for none.
driver() {
    version=$(sed -n 's/^NVRM version:.* \([0-9][0-9]*\.[0-9.]*\)  *.*/\1/p' /proc/driver/nvidia/version 2>/dev/null)
    if [ -z "$version" ] && has nvidia-smi; then
        version=$(timeout 30 nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | sed -n 1p)
    fi
    case $version in '' | *[!0-9.]*) printf null ;; *) string "$version" ;; esac
}

has_modules() {
    for file in $modules_places; do
        [ -r "$file" ] && return
    done
    return 1
}

limit=$(memory_limit) mapped=$(addresses)
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then cgroups=2; elif [ -d /sys/fs/cgroup/memory ]; then cgroups=1; else cgroups=0; fi
{
    printf '{"version": 1, "host": %s, "uid": %s, ' "$(string "$(uname -n)")" "$uid"
    printf '"kernel": %s, ' "$(string "$(uname -r)")"
    printf '"distribution": %s, ' "$(string "$(sed -n 's/^PRETTY_NAME="*\([^"]*\)"*/\1/p' /etc/os-release 2>/dev/null)")"
    if lacks_namespaces; then printf '"namespaces": %s, ' "$(string "$said")"; else printf '"namespaces": null, '; fi
    printf '"workspace": %s, "store": %s, ' "$(place "$workspace")" "$(place "$store")"
    printf '"cgroups": %s, "memory_limit": %s, "addresses": %s, ' "$cgroups" "${limit:-null}" "${mapped:-null}"
    printf '"cpus": %s, "cpus_of_node": %s, ' "$(nproc)" "$(nproc --all)"
    printf '"fuse": %s, ' "$(truth test -r /dev/fuse -a -w /dev/fuse)"
    printf '"squashfuse": %s, ' "$(truth sh -c 'command -v squashfuse_ll || command -v squashfuse')"
    printf '"modules": %s, "gpus": [%s], "driver": %s, ' "$(truth has_modules)" "$(gpus)" "$(driver)"
    printf '"runtimes": {%s}}\n' "$(runtimes)"
} >"$out.$$" && mv "$out.$$" "$out"
