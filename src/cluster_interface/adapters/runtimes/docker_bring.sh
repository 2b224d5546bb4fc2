# docker's part of job.sh on nodes whose engine is not the server's. Set above: tag key; see docker_load.sh and
# docker_pull.sh for take_image. Whoever comes while another brings an image waits.
parents=no init=no
for place in "$(command -v docker-init)" /usr/libexec/docker/docker-init /usr/local/libexec/docker/docker-init \
    /usr/local/lib/docker/docker-init /usr/lib/docker/docker-init; do
    [ -x "$place" ] && init=yes
done

bring() {
    has_image "$tag" "$key" && return
    words=$(locked take_image 2>&1) && has_image "$tag" "$key" && return
    # A line for a status file: the last thing that was said, without what would need quoting there.
    words=$(printf '%s' "$words" | tail -n 1 | tr -d '"\\\000-\037' | cut -c 1-200)
    reason="docker on $node does not take the image: ${words:-it is not there after it was brought}"
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
        "$@" # two may take the same: that costs time, no more
        return
    fi
    (
        flock 9
        has_image "$tag" "$key" || "$@"
    ) 9>"$locks/docker"
}
