# docker's part of job.sh where images come from archives that every node sees. Set above: base_archive thin_archive
# base_tag. The engine takes the base once, and of each image only what is new.

# Where the base was pruned the engine says "layer.tar: no such file", and gets it again.
take_image() {
    [ -n "$thin_archive" ] && "$docker" image inspect "$base_tag" >/dev/null 2>&1 &&
        "$docker" load --quiet --input "$thin_archive" >/dev/null 2>&1 && return
    "$docker" load --quiet --input "$base_archive" >/dev/null || return
    [ -z "$thin_archive" ] || "$docker" load --quiet --input "$thin_archive" >/dev/null
}
