# docker's part of job.sh where images come from archives that every node sees. Set above: archives, as words of shell,
# a tag and a file for each. The engine takes each once: the base, what that has grown by, and what an image has more.

take_image() {
    eval "take $archives"
}

# take TAG FILE [TAG FILE]...: load the first, which stands on the next one. Where that was pruned the engine says
# "layer.tar: no such file", and gets it again.
take() {
    if [ $# -gt 2 ]; then
        "$docker" image inspect "$3" >/dev/null 2>&1 && "$docker" load --quiet --input "$2" >/dev/null 2>&1 && return
        (shift 2 && take "$@") || return
    fi
    "$docker" load --quiet --input "$2" >/dev/null
}
