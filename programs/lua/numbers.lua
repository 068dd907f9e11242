-- Arithmetic: floats that must agree to the last bit, 64-bit integers, bit operations. `numbers.lua [N]`, N rounds.
local rounds = tonumber(arg[1] or "3")

local function logistic(steps)
  local x = 0.3
  for _ = 1, steps do x = 3.9 * x * (1 - x) end
  return x
end

local function matrix(side, seed)
  local rows = {}
  for i = 1, side do
    local row = {}
    for j = 1, side do row[j] = ((i * 31 + j * 17 + seed) % 97) / 97 end
    rows[i] = row
  end
  return rows
end

local function multiply(a, b)
  local side, product = #a, {}
  for i = 1, side do
    local row = {}
    for j = 1, side do
      local cell = 0.0
      for k = 1, side do cell = cell + a[i][k] * b[k][j] end
      row[j] = cell
    end
    product[i] = row
  end
  return product
end

local function xorshift(steps)
  local x = 0x9E3779B97F4A7C15
  for _ = 1, steps do
    x = x ~ (x << 13)
    x = x ~ (x >> 7)
    x = x ~ (x << 17)
  end
  return x
end

local function primes(limit)
  local composite, count = {}, 0
  for i = 2, limit do
    if not composite[i] then
      count = count + 1
      for j = i * i, limit, i do composite[j] = true end
    end
  end
  return count
end

for round = 1, rounds do
  print("logistic", string.format("%a", logistic(100000 + round)))
  local a = matrix(30, round)
  local product = multiply(a, multiply(a, a))
  print("matrix", string.format("%.17g %.17g", product[1][1], product[30][29]))
  print("xorshift", string.format("%016x", xorshift(100000 + round)))
  print("primes", primes(50000 + round))
  print("integers", math.maxinteger // 7, -7 // 2, -7 % 3, 7 % -3, math.maxinteger + 1 == math.mininteger)
  print("floats", 7 // 0.0, -7 // 0.0, 0.1 + 0.2, 1e15, 2^53, 5.3 % 2, -5.3 % 2, math.tointeger(3.0))
end
