local twice = require('twice')
local sum = 0
for line in io.lines('numbers.txt') do sum = sum + tonumber(line) end
local out = io.open('result.txt', 'w')
out:write(twice(sum), '\n')
out:close()
