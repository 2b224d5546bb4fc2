#!/bin/sh
# The ten most frequent words of a text: an old pipeline, taken as it is. Usage: wordcount.sh [TEXT]
set -eu
text=${1:-poems.txt}

tr -cs '[:alpha:]' '\n' <"$text" | tr '[:upper:]' '[:lower:]' | sort | uniq -c | sort -k1,1nr -k2 | head -n 10 >words.txt
wc -l -w <"$text" | awk '{ print $1 " lines, " $2 " words" }'
cat words.txt
