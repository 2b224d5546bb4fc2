# Ends every process of a mark, or of one element of it (the mark, a dash, its number): they have
# it in their environment.
for round in 1 2 3 4 5; do
    files=$(grep -lzFx -e "CLIF_MARK=$mark" -e "CLIF_NAME=$mark" /proc/[0-9]*/environ)
    [ -n "$files" ] || break
    for file in $files; do
        pid=${file#/proc/}
        kill -s KILL "${pid%/environ}"
    done
    [ "$round" = 1 ] || sleep 0.1
done 2>/dev/null
:
