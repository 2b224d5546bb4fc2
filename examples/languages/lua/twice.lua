return function(n) return math.tointeger(2 * n) end
