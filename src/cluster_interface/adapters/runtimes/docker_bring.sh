# docker's part of job.sh on nodes whose engine is not the server's. Set above: tag key base_archive thin_archive base_tag.
# The engine takes the base once, and of each image only what is new; whoever comes while another brings it waits.
parents=no init=no
for place in "$(command -v docker-init)" /usr/libexec/docker/docker-init /usr/local/libexec/docker/docker-init \
    /usr/local/lib/docker/docker-init /usr/lib/docker/docker-init; do
    [ -x "$place" ] && init=yes
done

bring() {
    has_image "$tag" "$key" && return
    words=$(locked load_image 2>&1) && has_image "$tag" "$key" && return
    # A line for a status file: the last thing that was said, without what would need quoting there.
    words=$(printf '%s' "$words" | tail -n 1 | tr -d '"\\\000-\037' | cut -c 1-200)
    reason="docker on $node does not take the image: ${words:-it is not there after loading}"
    return 1
}

has_image() {
    found=$("$docker" image inspect -f '{{index .Config.Labels "cluster-interface.key"}}' "$1" 2>/dev/null) &&
        [ "$found" = "$2" ]
}

# Nobody else can make this directory beforehand, or what is in it: in /run as root, else our own in /tmp.
locked() {
    if [ "$(id -u)" = 0 ]; then locks=/run/cluster-interface; else locks=/tmp/cluster-interface-$(id -u); fi
    mkdir -m 700 "$locks" 2>/dev/null
    if [ -L "$locks" ] || [ "$(stat -c %u:%a "$locks")" != "$(id -u):700" ]; then
        "$@" # two may load the same: that costs time, no more
        return
    fi
    (
        flock 9
        has_image "$tag" "$key" || "$@"
    ) 9>"$locks/docker"
}

# Where the base was pruned the engine says "layer.tar: no such file", and gets it again.
load_image() {
    [ -n "$thin_archive" ] && "$docker" image inspect "$base_tag" >/dev/null 2>&1 &&
        "$docker" load --quiet --input "$thin_archive" >/dev/null 2>&1 && return
    "$docker" load --quiet --input "$base_archive" >/dev/null || return
    [ -z "$thin_archive" ] || "$docker" load --quiet --input "$thin_archive" >/dev/null
}
