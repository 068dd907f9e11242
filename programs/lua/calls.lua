-- Calls: recursion, closures, varargs, methods through metatables. `calls.lua [N]`, N rounds.
local rounds = tonumber(arg[1] or "3")

local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local function ackermann(m, n)
  if m == 0 then return n + 1 end
  if n == 0 then return ackermann(m - 1, 1) end
  return ackermann(m - 1, ackermann(m, n - 1))
end

local function counter()
  local count = 0
  return function(by) count = count + by; return count end
end

local function sum(...)
  local total = 0
  for i = 1, select("#", ...) do total = total + (select(i, ...)) end
  return total
end

local Vector = {}
Vector.__index = Vector
Vector.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Vector) end
Vector.__eq = function(a, b) return a.x == b.x and a.y == b.y end
function Vector:length_squared() return self.x * self.x + self.y * self.y end

for round = 1, rounds do
  print("fib", fib(22 + round % 2))
  print("ackermann", ackermann(2, 60 + round))
  local count = counter()
  for i = 1, 50000 do count(i % 7) end
  print("closures", count(0))
  local total = 0
  for i = 1, 10000 do total = total + sum(i, i + 1, i + 2, i * 2) end
  print("varargs", total)
  local position, step = setmetatable({ x = 0, y = 0 }, Vector), setmetatable({ x = 1, y = 2 }, Vector)
  for _ = 1, 20000 do position = position + step end
  print("methods", position:length_squared(), position == setmetatable({ x = 20000, y = 40000 }, Vector))
end
