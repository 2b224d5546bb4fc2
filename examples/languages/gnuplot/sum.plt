set terminal svg
set output 'numbers.svg'
plot 'numbers.txt' with lines
stats 'numbers.txt' nooutput
set print 'result.txt'
print sprintf("%d", 2 * STATS_sum)
